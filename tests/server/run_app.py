"""Serves the application of one data folder until it is ended; prints its port first.

Arguments: data folder, API key, port (0 takes a free one), and optionally the largest size of
a file in bytes, which makes writes fail as a full disk does.
"""

import resource
import socket
import sys
from pathlib import Path

import uvicorn

from wandb_server.app import create_app

if __name__ == "__main__":
    folder, key, port, *limit = sys.argv[1:]
    app = create_app(Path(folder), key)
    listener = socket.create_server(("127.0.0.1", int(port)))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_keep_alive=120))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])
