"""circus by its own client: how long each `status` takes, in seconds, a line an answer.

Arguments: the endpoint, how many ask at once, for how many seconds.
"""
import sys
import threading
import time

from circus.client import CircusClient

endpoint, connections, span = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
begun = time.monotonic()
spans = []


def ask():
    client = CircusClient(endpoint=endpoint, timeout=60)
    while time.monotonic() - begun < span:
        asked = time.perf_counter()
        answer = client.send_message("status")
        spans.append(time.perf_counter() - asked)
        assert answer["status"] == "ok", answer


askers = [threading.Thread(target=ask) for _ in range(connections)]
for asker in askers:
    asker.start()
for asker in askers:
    asker.join()
print("\n".join(map(str, spans)))
