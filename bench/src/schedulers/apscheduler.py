"""APScheduler 3: one BackgroundScheduler, an interval trigger a job, each run a process of its own.

Arguments: the program, the file it writes, how many jobs, the interval in seconds, milliseconds between their starts.
"""
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

program, file, jobs, every, apart = sys.argv[1:]
due = {}


class Executor(ThreadPoolExecutor):
    """As it is, but each run can look up when the scheduler wanted it."""

    def _do_submit_job(self, job, run_times):
        due[job.id] = run_times[-1]
        super()._do_submit_job(job, run_times)


def run(name):
    # A moment of Python has whole microseconds.
    at = (due[name] - datetime.fromtimestamp(0, timezone.utc)) // timedelta(microseconds=1)
    subprocess.Popen([program, name, file, str(at * 1000)]).wait()


scheduler = BackgroundScheduler(timezone=timezone.utc, executors={"default": Executor(int(jobs))})
begun = datetime.now(timezone.utc)
for at in range(int(jobs)):
    first = begun + timedelta(seconds=int(every), milliseconds=at * int(apart))
    scheduler.add_job(run, "interval", [f"s{at}"], id=f"s{at}", seconds=int(every), start_date=first)
scheduler.start()
while True:
    time.sleep(1000)
