"""A Flask application: it tells its version, which a test edits, and in which process it runs."""

import os

from flask import Flask

VERSION = 1
app = Flask(__name__)


@app.get("/")
def index():
    return f"version {VERSION} pid {os.getpid()}"
