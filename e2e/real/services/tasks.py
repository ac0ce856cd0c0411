"""A Celery worker with a pool of forks. Its broker is its own memory: nobody sends it anything."""

from celery import Celery

app = Celery("tasks", broker="memory://")


@app.task
def scan():
    return "scanned"
