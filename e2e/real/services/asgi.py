"""The smallest ASGI application: it tells its version, which a test edits, and in which process it runs."""

import os

VERSION = 1


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"version {VERSION} pid {os.getpid()}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
