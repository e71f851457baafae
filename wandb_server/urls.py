"""Every address that the server hands out is made here.

Upload and download addresses are absolute, since the SDK takes them as they are, and carry a
short-lived token that is bound to this one path and method, since the SDK sends no key there.
"""

import time
from urllib.parse import quote

from wandb_server.auth import Signer

NO_DIGEST = "0"  # stands for the content of a file that isn't there; the SDK looks for it
_UPLOAD_SECONDS = 6 * 3600.0
_DOWNLOAD_SECONDS = 3600.0
_SAME_SECONDS = 600.0  # so long a download has the same address


class Urls:
    """Makes the addresses for one request, below the address that the client used."""

    def __init__(self, base_url: str, signer: Signer) -> None:
        self._base_url = base_url
        self._signer = signer

    def upload_blob(self, digest: str) -> str:
        """Address that takes the content with this digest (hex MD5) and no other."""
        return self._signed("PUT", f"/upload/blob/{digest}", _UPLOAD_SECONDS)

    def upload_part(self, digest: str, number: int, part: str) -> str:
        """Address that takes one part (by number and hex MD5) of the file with this digest."""
        return self._signed("PUT", f"/upload/part/{digest}/{number}/{part}", _UPLOAD_SECONDS)

    def upload_run_file(self, run_id: int, name: str) -> str:
        """Address that takes the content of one file of a run."""
        return self._signed("PUT", f"/upload/run/{run_id}/{name}", _UPLOAD_SECONDS)

    def download(self, digest: str, name: str) -> str:
        """Address that gives the content with this digest (hex MD5) under a file name."""
        path = f"/download/{digest}/{name.rpartition('/')[2]}"
        # Browsers find again what they have, and a page that is followed doesn't blink. The half
        # second keeps the time between two looks at the clock out of it.
        left = _SAME_SECONDS - time.time() % _SAME_SECONDS + 0.5
        return self._signed("GET", path, _DOWNLOAD_SECONDS + left)

    def _signed(self, method: str, path: str, seconds: float) -> str:
        token = self._signer.sign(subject(method, path), seconds)
        return f"{self._base_url}{quote(path)}?token={token}"


def subject(method: str, path: str) -> str:
    """What a token for a transfer is signed for."""
    return f"{method} {path}"
