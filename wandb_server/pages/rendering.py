"""Templates to responses; all of them are read when the server starts.

The folder that the server was started from may be gone an hour later. Each is compiled for the
first page that needs it: all of them would take a third of the server's start.
"""

import hashlib
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.responses import HTMLResponse, Response

from wandb_server.pages import addresses, formats
from wandb_server.pages.cells import Media

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Other sites learn nothing; this server's own forms need it to say where they come from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
_STATIC = {
    "style.css": "text/css",
    "charts.css": "text/css",
    "pages.js": "text/javascript",
    "parallel.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_FILTERS = {
    "size": formats.readable_size,
    "time": formats.local_time,
    "duration": formats.readable_duration,
    "number": formats.short_number,
    "value": formats.full_value,
    "short": formats.cut,
}


def _encode(text: str) -> bytes:
    """Encode what may hold halves of characters: JSON can spell them, UTF-8 can't."""
    return text.encode("utf-8", errors="replace")


class Renderer:
    """Renders pages and serves their style sheets, their script and their icon."""

    def __init__(self) -> None:
        folder = files(__package__) / "templates"
        texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}
        self._static = {name: texts.pop(name) for name in _STATIC}
        self._templates = Environment(
            loader=DictLoader(texts),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(_FILTERS)
        self._templates.tests["media"] = lambda cell: isinstance(cell, Media)
        self._templates.globals["project_url"] = addresses.project
        self._templates.globals["edition"] = self._edition()

    def page(self, template: str, status: int = 200, **variables: Any) -> HTMLResponse:
        """Render a page.

        Args:
            template: Name of the template's file.
            status: Status of the response.
            **variables: What the template shows.

        Returns:
            A response that lets only the pages' own script run.
        """
        text = self._templates.get_template(template).render(variables)
        return HTMLResponse(_encode(text), status, _HEADERS)

    def download(self, name: str, text: str) -> Response:
        """Give a table that was made for this request as a CSV file."""
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        return Response(_encode(text), media_type="text/csv", headers=headers)

    def static(self, name: str) -> Response:
        """Give a style sheet, the script or the icon; 404 for any other name."""
        if name not in self._static:
            reason = f"There is no file {name}."
            return self.page("missing.html", 404, heading="Not found", reason=reason)
        headers = {"Cache-Control": "max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(self._static[name], media_type=_STATIC[name], headers=headers)

    def _edition(self) -> str:
        """Name the present files, so that browsers never show older ones."""
        return hashlib.sha256("".join(self._static.values()).encode()).hexdigest()[:8]
