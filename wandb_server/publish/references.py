"""References between artifacts: what names a version here must name its twin there."""

import base64
import binascii
import re
from collections.abc import Mapping

from wandb_server import ids
from wandb_server.errors import ClientError

_REFERENCE = re.compile(r"wandb-(client-)?artifact://([0-9A-Za-z]+)/")


class Translator:
    """Rewrites references to versions of the source; `known` grows as versions are sent.

    Attributes:
        known: Ids of the target (base64) by rows of the source.
    """

    def __init__(self, clients: Mapping[str, int]) -> None:
        """Start without a known version.

        Args:
            clients: Rows of versions by the ids that the SDK gave them before they were stored.
        """
        self._clients = clients
        self.known: dict[int, str] = {}

    def __call__(self, text: str) -> str:
        """Rewrite the references in a text whose versions are known; leave the others."""

        def twin(found: re.Match[str]) -> str:
            row = self._row(*found.groups())
            if row not in self.known:
                return found[0]
            return f"wandb-artifact://{base64.b64decode(self.known[row]).hex()}/"

        return _REFERENCE.sub(twin, text)

    def is_unknown(self, text: str) -> bool:
        """Tell whether a text refers to a version that has no known twin."""
        found = _REFERENCE.findall(text)
        return any(self._row(client, name) not in self.known for client, name in found)

    def _row(self, client: str | None, name: str) -> int | None:
        if client:
            return self._clients.get(name)
        try:
            return ids.decode("Artifact", base64.b64encode(binascii.unhexlify(name)).decode())
        except (binascii.Error, ClientError):
            return None
