"""A background scanner that keeps itself single by a PID file, as such programs do: racy, and fooled by a PID file
that outlived its process."""

import os
import signal
import sys
import time

PID_FILE = "scanner.pid"


def other():
    try:
        with open(PID_FILE) as file:
            pid = int(file.read())
        os.kill(pid, 0)
        return pid
    except (OSError, ValueError):
        return None


def leave(*_):
    os.unlink(PID_FILE)
    sys.exit(0)


if __name__ == "__main__":
    if other():
        print(f"another scanner is running: pid {other()}", flush=True)
        sys.exit(1)
    with open(PID_FILE, "w") as file:
        file.write(str(os.getpid()))
    signal.signal(signal.SIGTERM, leave)
    with open("scanners", "a") as journal:
        journal.write(f"{os.getpid()}\n")
    while True:
        time.sleep(0.1)
