"""Logged web pages: shown in frames that can do nothing, or run their own scripts on request.

A figure that carries its script, such as plotly's, needs that script to be seen. It runs only
when a person asks for it, in a frame whose content has an origin of its own: it reads neither
these pages nor their cookies, and loads and sends nothing.
"""

from pathlib import Path
from typing import NamedTuple

from starlette.responses import FileResponse, Response

from wandb_server.errors import NotFoundError
from wandb_server.pages import addresses
from wandb_server.pages.visits import FileLink, Visit

_QUERY = "scripts"  # names the file whose scripts are to run
_LARGEST = 32 << 20  # bytes that are searched for scripts
_HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; "
        "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}


class Frame(NamedTuple):
    """A web page in a frame: `state` of its scripts is none, held or run.

    `url` is what the frame shows; `switch` leads to this page with the scripts run.
    """

    state: str
    url: str
    switch: str


def make_frame(visit: Visit, here: str, owner: str, file: FileLink, path: Path) -> Frame:
    """Tell how a logged web page is shown.

    Args:
        visit: Whose query may name the file whose scripts are to run.
        here: Address of the page that holds the frame.
        owner: Address of the run's or version's page that the file belongs to.
        file: The web page; it has a `url`.
        path: Where its content lies.
    """
    if not _has_scripts(path):
        return Frame("none", file.url or "", "")
    if visit.query.get(_QUERY) == file.name:
        return Frame("run", addresses.frame(owner, file.name), "")
    kept = [(name, value) for name, value in visit.query.multi_items() if name != _QUERY]
    switch = addresses.with_query(here, [*kept, (_QUERY, file.name)])
    return Frame("held", file.url or "", switch)


def give_frame(path: Path) -> Response:
    """Give a web page as it may run its scripts.

    Args:
        path: Where its content lies.

    Raises:
        NotFoundError: It is gone.
    """
    if not path.is_file():
        raise NotFoundError("The stored file is gone.")
    return FileResponse(path, headers=_HEADERS, media_type="text/html")


def _has_scripts(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"<script" in file.read(_LARGEST).lower()
    except FileNotFoundError:
        return False
