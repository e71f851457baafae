"""How far a server reaches beyond this machine's own addresses, which is nowhere by default."""

import ipaddress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from wandb_server import paths
from wandb_server.server_error import ServerError

ALL_IPV4 = "0.0.0.0"  # noqa: S104  bound only for who asks for it by two flags
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Reach(NamedTuple):
    """What a server is told about clients from elsewhere.

    `host` is a further address to listen on, beside 127.0.0.1. `public_url` is what clients call
    the server where that isn't an address of its own: a name, or a proxy with TLS.
    """

    host: str | None = None
    public_url: str | None = None

    def url(self, port: int) -> str | None:
        """Give the base URL for other machines; None if there is none."""
        if self.public_url or self.host is None:
            return self.public_url
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach the port itself."""
        return self.host is not None and not ipaddress.ip_address(self.host).is_loopback


LOCAL = Reach()


def read_host(text: str) -> str:
    """Read an address to listen on.

    Raises:
        ValueError: It isn't a numeric one.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError(
            f"{text!r}: give an address of this machine in numbers, such as 192.0.2.1, or 0.0.0.0 "
            "for all of them. A name goes to --public-url."
        ) from error


def read_public_url(text: str) -> str:
    """Read a base URL for clients: scheme, name, and a port that isn't the scheme's own.

    Raises:
        ValueError: It is anything else, or more.
    """
    wanted = f"{text!r}: give a URL without a path, such as https://wandb.example.org"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(wanted) from error
    is_plain = not (parts.username or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not is_plain:
        raise ValueError(wanted)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = port in (None, _DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{name}" if is_usual else f"{parts.scheme}://{name}:{port}"


def check_allowed(reach: Reach, *, allow_remote: bool) -> None:
    """Let nobody open a port to other machines by mistake.

    Raises:
        ServerError: It would be opened, and that wasn't asked for.
    """
    if reach.is_open and not allow_remote:
        raise ServerError(
            f"other machines could reach {reach.host}, and others still could read the key and the "
            "data on their way, since there is no TLS. If you want that, add --allow-remote. If "
            "not, leave --host out, and make a tunnel from the other machine: "
            "ssh -N -L <port>:127.0.0.1:<port> <this machine>"
        )


def warning(reach: Reach, url: str) -> str:
    """Say what it means that other machines can reach a server, and what to do instead.

    Args:
        reach: From where it can be reached.
        url: Its address for this machine.
    """
    port = urlsplit(url).port
    where = "any of this machine's addresses" if _is_any(reach.host) else reach.host
    return (
        f"WARNING: other machines can reach this server at {where}, port {port}, without TLS. "
        "Whoever listens in the\nnetwork in between can read the API key and all data, and then "
        "use the key. Do this only in a network that\nyou trust. Safer, both without --host:\n"
        f"  a tunnel, made on the other machine: ssh -N -L {port}:127.0.0.1:{port} <this one>\n"
        "  a proxy with TLS on this machine: serve --public-url https://<its name>"
    )


def remember(folder: Path, url: str | None) -> None:
    """Note in the data folder what other machines call its server; None: nothing.

    Raises:
        OSError: The folder can't be written.
    """
    if url:
        paths.replace_text(folder / paths.REMOTE, f"{url}\n")
    else:
        (folder / paths.REMOTE).unlink(missing_ok=True)


def recall(folder: Path) -> str | None:
    """Read what other machines call the server that runs for a data folder; None: nothing.

    Raises:
        OSError: The folder can't be read.
    """
    try:
        return (folder / paths.REMOTE).read_text().strip() or None
    except FileNotFoundError:
        return None


def wording(url: str) -> str:
    """Say how other machines reach a server."""
    parts = urlsplit(url)
    where = f"any address of this machine, port {parts.port}" if _is_any(parts.hostname) else url
    return where if parts.scheme == "https" else f"{where} (without TLS)"


def usable(url: str | None) -> str:
    """Give a base URL that other machines can use.

    Raises:
        ServerError: There is none, or it names no single address.
    """
    if url is None:
        raise ServerError(
            "the server is for this machine only. `python -m wandb_server serve --help` says how "
            "other machines can reach it."
        )
    if _is_any(urlsplit(url).hostname):
        raise ServerError(
            "the server listens on every address of this machine, and doesn't know which one "
            "others use. Start it with --public-url http://<name or address>:<port> as well."
        )
    return url


def _is_any(host: str | None) -> bool:
    return host in (ALL_IPV4, "::")
