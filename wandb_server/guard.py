"""The door: only this server's own names, and only who holds the key, get past it."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from wandb_server.auth import SESSION, SESSION_COOKIE, Signer, is_key

_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
# Where the SDK asks, without a key, whether its telemetry is wanted. A 404 says no; told that a key
# is missing, it goes on and prints errors.
_TELEMETRY = {"/sdk/otel/v1/metrics", "/sdk/otel/v1/logs"}
# Paths that check a token of their own, or hold nothing to guard.
_OPEN_PATHS = {"/healthz", "/signin", *_TELEMETRY}
_OPEN_PREFIXES = ("/upload/", "/download/")
# Paths where a browser's session may change something; each asks for a form's token besides.
CHANGES = "/change/"
_READING = {"GET", "HEAD"}
_UNKNOWN_NAME = (
    "Use http://127.0.0.1 or http://localhost. From another machine, use the address or the "
    "public URL that the server was started with."
)


class Guard:
    """ASGI middleware that turns away foreign hosts (421), pages (403) and callers (401).

    The check of `Host` keeps a web page of another site, whose name was made to point to this
    machine, from reading answers. The check of `Origin` keeps pages of other sites, and of
    other servers on this machine, from using a key that the browser remembers. A browser's
    session may only read, and below `/change/` send forms of this server's own pages.

    A server that listens on further addresses goes by each of them for who came to it, and by
    the name in its public URL for everybody.
    """

    def __init__(
        self, app: ASGIApp, api_key: str, signer: Signer, public_url: str | None = None
    ) -> None:
        self._app = app
        self._api_key = api_key
        self._signer = signer
        self._public = urlsplit(public_url or "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scheme = self._scheme(headers.get("host", "").lower(), scope)
        # All addresses that are handed out begin with it.
        scope = {**scope, "scheme": scheme}
        if not scheme:
            app: ASGIApp = PlainTextResponse(_UNKNOWN_NAME, 421)
        elif scope["method"] != "OPTIONS" and not _is_own_page(headers, scheme):
            app = PlainTextResponse("Pages of other sites may not ask this server.", 403)
        elif self._is_allowed(scope, headers):
            app = self._app
        else:
            app = PlainTextResponse(
                "The API key is missing or wrong. For the page, run: python -m wandb_server open",
                401,
                {"WWW-Authenticate": 'Basic realm="wandb_server"'},
            )
        await app(scope, receive, send)

    def _scheme(self, host: str, scope: Scope) -> str:
        """Give the scheme by which clients name this server so; "" if it isn't its name."""
        if self._public.netloc and host == self._public.netloc:
            return self._public.scheme  # a proxy may add TLS
        return "http" if _is_own_address(host, scope) else ""

    def _is_allowed(self, scope: Scope, headers: Headers) -> bool:
        path = scope["path"]
        if path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES):
            return True
        if is_key(headers.get("authorization", ""), self._api_key):
            return True
        session = HTTPConnection(scope).cookies.get(SESSION_COOKIE, "")
        is_fitting = scope["method"] in _READING or path.startswith(CHANGES)
        return is_fitting and self._signer.verify(SESSION, session)


def _is_own_address(host: str, scope: Scope) -> bool:
    """Tell whether a Host header names this machine, or the address that its client came to.

    Web pages of other sites can make a name of theirs point here, but not an address.
    """
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name = host
    elif not port.isascii() or not port.isdigit():
        return False
    address = (scope.get("server") or ("",))[0]
    return name in _HOSTS or (address != "" and name in (address, f"[{address}]"))


def _is_own_page(headers: Headers, scheme: str) -> bool:
    """Tell whether a request comes from a page of this server, or from no page at all."""
    origin = headers.get("origin")
    return origin is None or origin.lower() == f"{scheme}://{headers['host'].lower()}"
