"""A worker that tells how it fares with the package sdnotify. The test moves it by files: `go`, `hang`."""

import os
import time

import sdnotify

notifier = sdnotify.SystemdNotifier()
notifier.notify("STATUS=warming up")
while not os.path.exists("go"):
    time.sleep(0.02)
notifier.notify("READY=1\nSTATUS=serving\nX_SOLOIST_STATE=scraping\nX_SOLOIST_PROGRESS=12/50")
while True:
    notifier.notify("WATCHDOG=1")
    with open("pings", "a") as file:
        file.write("ping\n")
    time.sleep(0.1)
    if os.path.exists("hang"):
        os.unlink("hang")
        time.sleep(600)
