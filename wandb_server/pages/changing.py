"""The one thing that pages change: aliases, by a form that only this server's pages can send.

A form carries a token that is bound to the browser's session, which another site can't read.
Together with the cookie, which isn't sent along from other sites, and the browser's own word
on where the form was, that keeps others from changing anything in a person's name.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from wandb_server.auth import SESSION_COOKIE, Signer
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.guard import CHANGES
from wandb_server.pages.alias_changes import ConflictError, change
from wandb_server.pages.rendering import Renderer
from wandb_server.threads import in_thread

ALIAS = CHANGES + "alias"
_FORM_SECONDS = 12 * 3600.0
_LARGEST_FORM = 16 * 1024  # bytes
_FIELDS = ("entity", "project", "artifact", "version", "alias", "holder", "action")


def make_token(signer: Signer, session: str) -> str:
    """Make what a form of this session must send back."""
    return signer.sign(f"change {session}", _FORM_SECONDS)


def alias_endpoint(state: State, renderer: Renderer) -> Callable[[Request], Awaitable[Response]]:
    """Make what answers the form that sets, moves or takes away an alias."""

    async def answer(request: Request) -> Response:
        fields = await _read_form(request)
        session = request.cookies.get(SESSION_COOKIE, "")
        is_foreign = request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
        if is_foreign or not state.signer.verify(f"change {session}", fields.get("token", "")):
            reason = "This form is too old, or not from this page. Go back, load it again."
            return renderer.page("missing.html", 403, heading="Not changed", reason=reason)
        return await in_thread(_apply, state, renderer, fields)

    return answer


def _apply(state: State, renderer: Renderer, fields: dict[str, str]) -> Response:
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        reason = f"The form lacks {', '.join(missing)}."
        return renderer.page("missing.html", 400, heading="Not changed", reason=reason)
    try:
        with state.database.write() as connection:
            return RedirectResponse(change(connection, fields), 303)
    except ClientError as error:
        kinds = {NotFoundError: 404, ConflictError: 409}
        status = kinds.get(type(error), 400)
        return renderer.page("missing.html", status, heading="Not changed", reason=str(error))


async def _read_form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            return {}
    return dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
