"""Which W&B keeps the runs: the user's account or server, else the local server."""

import netrc
import socket
from collections.abc import Mapping, MutableMapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import WandbError
from pipeline.schema import Wandb

CLOUD = "https://api.wandb.ai"


@dataclass(frozen=True)
class WandbTarget:
    """The W&B that answers.

    Attributes:
        address: Base URL of its API.
        reason: Why it was chosen, for people.
        variables: Environment variables that lead the SDK to it.
        is_local: Whether it is the local server.
    """

    address: str
    reason: str
    variables: dict[str, str]
    is_local: bool

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """Set what wandb needs in a process that is told by arguments where W&B is.

        So the next trial of a sweep finds the user's own choice of W&B.

        Args:
            environment: Variables of the process; no more of them are changed.
        """
        for name in ("WANDB_ERROR_REPORTING", "NO_PROXY", "no_proxy"):
            if name in self.variables:
                environment[name] = self.variables[name]
        # Which credentials it uses, and the like; what goes wrong, it raises.
        environment["WANDB_SILENT"] = "true"

    def sign_in(self, page: str) -> str:
        """Return the address of a page as a link that opens it; the local server wants a token."""
        if not self.is_local:
            return page
        from wandb_server import ensure_running

        return ensure_running().sign_in_url(urlsplit(page).path)


def choose(wanted: Wandb, environment: Mapping[str, str]) -> WandbTarget:
    """Choose the W&B, and start the local server if it is the one.

    Args:
        wanted: auto, online or local.
        environment: Variables of this process.

    Raises:
        WandbError: W&B is switched off, online is wanted without credentials, or the local
            server can't be started.
    """
    remote = find_remote(wanted, environment)
    if remote:
        return remote
    if wanted == Wandb.local:
        return _local("main.wandb=local")
    if _names_own_server(environment):
        return _local("WANDB_API_KEY is the local server's")
    return _local("no W&B login found; `wandb login` adds one")


def find_remote(wanted: Wandb, environment: Mapping[str, str]) -> WandbTarget | None:
    """Return the W&B that the user is logged in to; None if the local server is the one.

    Args:
        wanted: auto, online or local.
        environment: Variables of this process.

    Raises:
        WandbError: W&B is switched off, or online is wanted without credentials.
    """
    mode = environment.get("WANDB_MODE", "online")
    if mode not in ("online", "shared"):
        raise WandbError(
            f"WANDB_MODE={mode}: the steps pass artifacts through W&B, which that mode refuses. "
            "Unset WANDB_MODE; without an account or a network, main.wandb=local keeps everything "
            "on this machine."
        )
    if wanted == Wandb.local or (wanted == Wandb.auto and _names_own_server(environment)):
        return None
    address, credentials = find_credentials(environment)
    if credentials:
        return WandbTarget(address, credentials, {}, is_local=False)
    if wanted == Wandb.online:
        raise WandbError(
            f"main.wandb=online, but there is no API key for {address}: set WANDB_API_KEY or run "
            "`wandb login`. main.wandb=local needs no account."
        )
    return None


def _names_own_server(environment: Mapping[str, str]) -> bool:
    """Tell whether the variables are those of `python -m wandb_server env`, old ones too.

    Then the server may have ended since, or have got another port.
    """
    host = urlsplit(environment.get("WANDB_BASE_URL", "")).hostname
    key = environment.get("WANDB_API_KEY")
    if host != "127.0.0.1" or not key:
        return False
    from wandb_server.keys import is_current
    from wandb_server.paths import data_dir

    try:
        return is_current(data_dir(), key)
    except OSError:  # not readable, so not this user's
        return False


def _local(reason: str) -> WandbTarget:
    from wandb_server import ServerError, ensure_running

    try:
        server = ensure_running()
    except ServerError as error:
        raise WandbError(f"The local W&B server can't be used: {error}") from error
    # A server on this machine is soon back, or something is wrong that a person must mend.
    retries = {"RETRY_MAX": "15", "RETRY_WAIT_MAX_SECONDS": "1"}
    variables = server.environment() | {
        f"WANDB__{part}_{name}": value
        for part in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
        for name, value in retries.items()
    }
    return WandbTarget(server.base_url, reason, variables, is_local=True)


def storage_fault(address: str, since: float) -> str | None:
    """Return what the local server couldn't store, which the SDK doesn't tell.

    Args:
        address: Base URL of the W&B that a step used; empty if none was set.
        since: Seconds since 1970; what was before is an older story.

    Returns:
        A message for people; None if all was stored, or if that W&B isn't the local server.
    """
    from wandb_server import ServerError, running
    from wandb_server.faults import ask

    if urlsplit(address).hostname != "127.0.0.1":
        return None
    try:
        server = running()
    except ServerError as error:
        return str(error)
    if server is None or server.base_url != address:
        return None
    fault = ask(server.base_url, server.api_key)
    return fault.message if fault and fault.at >= since else None


def has_gone(address: str) -> bool:
    """Tell whether nothing listens any more at an address of this machine.

    Args:
        address: Base URL of the W&B that a step used; empty if none was set.
    """
    place = urlsplit(address)
    if place.hostname not in ("127.0.0.1", "localhost") or not place.port:
        return False
    try:
        socket.create_connection((place.hostname, place.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # slow perhaps, but there
        return False
    return False


def find_credentials(environment: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the base URL that the SDK would use, and where it finds a key, or None.

    A base URL set by the user counts as a choice even without a key: the SDK then says what it
    lacks.

    Raises:
        WandbError: The netrc file can't be parsed.
    """
    if address := environment.get("WANDB_BASE_URL"):
        return address, f"WANDB_BASE_URL={address}"
    address = _base_url_setting(environment) or CLOUD
    if environment.get("WANDB_API_KEY"):
        return address, "WANDB_API_KEY is set"
    path = _netrc_file(environment)
    try:
        known = path.exists() and netrc.netrc(path).authenticators(urlsplit(address).netloc)
    except netrc.NetrcParseError as error:
        raise WandbError(
            f"{path} can't be read: {error}. Mend it, or set main.wandb=local."
        ) from error
    return address, f"logged in, by {path}" if known else None


def _base_url_setting(environment: Mapping[str, str]) -> str | None:
    home = Path(environment.get("HOME", "~")).expanduser()
    folder = Path(environment.get("WANDB_CONFIG_DIR", home / ".config" / "wandb"))
    settings = ConfigParser()
    settings.read([folder / "settings", Path("wandb") / "settings"])
    return settings.get("default", "base_url", fallback=None)


def _netrc_file(environment: Mapping[str, str]) -> Path:
    if "NETRC" in environment:
        return Path(environment["NETRC"]).expanduser()
    home = Path(environment.get("HOME", "~")).expanduser()
    return home / ".netrc" if (home / ".netrc").exists() else home / "_netrc"
