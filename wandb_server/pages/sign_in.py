"""How a browser gets in: a short-lived link from the command line, exchanged for a cookie."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wandb_server.auth import SESSION, SESSION_COOKIE, Signer
from wandb_server.pages.rendering import Renderer
from wandb_server.service import SIGN_IN

PATH = "/signin"  # answers for itself: a link may have expired
_STATIC = "/static/"
_COOKIE_SECONDS = 30 * 24 * 3600


def sign_in(request: Request, signer: Signer, renderer: Renderer) -> Response:
    """Exchange a sign-in link's token for a cookie and go on to the page that was asked for."""
    if not signer.verify(SIGN_IN, request.query_params.get("token", "")):
        return renderer.page("sign_in.html", 401, expired=True, retry=False)
    response = RedirectResponse(_own_path(request.query_params.get("next", "/")), 303)
    response.set_cookie(
        SESSION_COOKIE,
        signer.sign(SESSION, _COOKIE_SECONDS),
        max_age=_COOKIE_SECONDS,
        httponly=True,
        secure=request.url.scheme == "https",
        samesite="strict",
    )
    response.headers["Referrer-Policy"] = "no-referrer"  # the address holds the token
    return response


def _own_path(target: str) -> str:
    """Let nobody use the sign-in to send a browser to another site."""
    parts = urlsplit(target)
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own and not parts.scheme and not parts.netloc else "/"


class FrontDoor:
    """ASGI wrapper for what people see before they are signed in.

    It serves the style sheet, and shows the sign-in page where programs get a bare 401.
    """

    def __init__(self, app: ASGIApp, renderer: Renderer) -> None:
        self._app = app
        self._renderer = renderer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, pass a request on, or replace the refusal of a page."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(_STATIC):
            static = self._renderer.static(scope["path"].removeprefix(_STATIC))
            await static(scope, receive, send)
        elif "text/html" in Headers(scope=scope).get("accept", "") and scope["path"] != PATH:
            await self._show_page(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _show_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal refused
            refused = refused or message.get("status") == 401
            if not refused:
                await send(message)

        await self._app(scope, receive, send_unless_refused)
        if refused:
            # A browser that follows a link from another site holds the cookie back; when the
            # page loads itself again, it doesn't.
            retry = Headers(scope=scope).get("sec-fetch-site") == "cross-site"
            page = self._renderer.page("sign_in.html", 401, expired=False, retry=retry)
            await page(scope, receive, send)
