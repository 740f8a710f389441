"""How each contender's process serves: the same server with the same settings as the service itself."""

import os
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI


def serve(application: FastAPI | Callable[[], FastAPI]) -> None:
    """Serve on the `PORT` of the environment, one process, without an access log."""
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        http="httptools",
        loop="uvloop",
        ws="none",
        backlog=2048,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
