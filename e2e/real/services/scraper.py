"""A FastAPI application that scrapes in a daemon process of its own, with its state in a `Manager`."""

import multiprocessing
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

VERSION = 1
processes = multiprocessing.get_context("fork")


def scrape(state):
    state["state"] = "scraping"
    while True:
        time.sleep(0.1)


@asynccontextmanager
async def lifespan(app):
    manager = processes.Manager()
    app.state.shared = manager.dict(state="idle")
    app.state.scraper = processes.Process(target=scrape, args=(app.state.shared,), daemon=True)
    app.state.scraper.start()
    yield
    app.state.scraper.terminate()
    app.state.scraper.join(timeout=1)
    if app.state.scraper.is_alive():
        app.state.scraper.kill()
    manager.shutdown()


app = FastAPI(lifespan=lifespan)


@app.get("/")
def status(response: Response):
    """503 as soon as the scraper is dead, or the manager with its state."""
    is_alive = app.state.scraper.is_alive()
    try:
        state = app.state.shared["state"]
    except OSError as error:
        is_alive, state = False, f"lost: {error}"
    if not is_alive:
        response.status_code = 503
    return {"says": f"version {VERSION}", "process_alive": is_alive, "pid": app.state.scraper.pid, "state": state}
