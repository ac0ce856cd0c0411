#!/usr/bin/env python3
"""A worker that is started once and then ticked: what costs seconds to import is imported once.

    [services.worker]
    command = "python3 examples/ticked_worker.py"
    trigger = "stdin"
    every = "6s"
"""

import json
import os
import socket
import sys


def tell(*words):
    """Says words to soloist, each of them NAME=value, as one message."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talk:
            # A leading @ stands for a name in no folder (unix(7)).
            talk.connect("\0" + address[1:] if address[0] == "@" else address)
            talk.send("\n".join(words).encode())


def work(scheduled_at):
    """The work of one turn; what it gives is shown in the history."""
    return f"did what was due at {scheduled_at}"


# Ends with its standard input, which soloist closes when the worker is to stop.
for line in sys.stdin:
    tick = json.loads(line)
    try:
        result, summary = "ok", work(tick["scheduled_at"])
    except Exception as error:
        result, summary = "error", repr(error)
    tell(f"X_SOLOIST_RUN={tick['run']}", f"X_SOLOIST_RESULT={result}", f"X_SOLOIST_SUMMARY={summary}")
