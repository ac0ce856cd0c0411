"""By hand: each job a thread that runs its process, sleeps for the interval, and begins anew.

Arguments: the program, the file it writes, how many jobs, the interval in seconds, milliseconds between their starts.
"""
import subprocess
import sys
import threading
import time

program, file, jobs, every, apart = sys.argv[1:]
begun = time.time_ns()


def loop(at):
    due = begun + (1000 + at * int(apart)) * 1_000_000
    time.sleep((due - time.time_ns()) / 1e9)
    while True:
        subprocess.run([program, f"s{at}", file, str(due)])
        time.sleep(int(every))
        due += int(every) * 1_000_000_000


for at in range(int(jobs)):
    threading.Thread(target=loop, args=[at], daemon=True).start()
while True:
    time.sleep(1000)
