"""A Flask application that starts the background scanner by itself, in a session of its own, as many do."""

import os
import subprocess
import sys

from flask import Flask

app = Flask(__name__)
scanner = subprocess.Popen([sys.executable, "scanner.py"], start_new_session=True)


@app.get("/")
def index():
    # poll() also looks after a scanner that has ended.
    return f"pid {os.getpid()} scanner {scanner.pid} exit {scanner.poll()}"


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
