"""A local server that the unmodified wandb SDK works with: runs, artifacts, and a page for them.

Example:
    ```
    server = wandb_server.ensure_running()
    os.environ.update(server.environment())
    ```
"""

from wandb_server.server_error import ServerError
from wandb_server.service import Server, ensure_running, running
from wandb_server.version import VERSION

__version__ = VERSION
__all__ = ["Server", "ServerError", "ensure_running", "running"]
