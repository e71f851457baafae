"""Templates to responses; all of them are read when the server starts.

The folder that the server was started from may be gone an hour later.
"""

import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.responses import HTMLResponse, Response

from wandb_server.pages import addresses, formats

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
_FILTERS = {
    "size": formats.readable_size,
    "time": formats.local_time,
    "number": formats.short_number,
    "value": formats.full_value,
    "plain": formats.plain_line,
}


class Renderer:
    """Renders pages and serves their style sheet and icon."""

    def __init__(self) -> None:
        folder = files(__package__) / "templates"
        texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}
        self._static = {name: texts.pop(name) for name in ("style.css", "icon.svg")}
        self._templates = Environment(
            loader=DictLoader(texts),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(_FILTERS)
        self._templates.globals["project_url"] = addresses.project
        self._templates.globals["edition"] = self._edition()
        for name in texts:
            self._templates.get_template(name)

    def page(self, template: str, status: int = 200, **variables: Any) -> HTMLResponse:
        """Render a page.

        Args:
            template: Name of the template's file.
            status: Status of the response.
            **variables: What the template shows.

        Returns:
            A response that lets no script run.
        """
        text = self._templates.get_template(template).render(variables)
        return HTMLResponse(text, status, _HEADERS)

    def static(self, name: str) -> Response:
        """Give the style sheet or the icon; 404 for any other name."""
        if name not in self._static:
            return self.page("missing.html", 404, reason=f"There is no file {name}.")
        kind = "text/css" if name.endswith(".css") else "image/svg+xml"
        headers = {"Cache-Control": "max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(self._static[name], media_type=kind, headers=headers)

    def _edition(self) -> str:
        """Name the present style sheet, so that browsers never show an older one."""
        return hashlib.sha256(self._static["style.css"].encode()).hexdigest()[:8]
