"""Who may do what: the API key, and short-lived signed tokens derived from it.

A token is bound to one subject (for transfers: method and path) and to an expiry time. It
needs no state, so it survives a restart of the server, and a new API key ends all of them.
"""

import base64
import binascii
import hashlib
import hmac
import time

# The cookie of a signed-in browser, and what its token is signed for.
SESSION_COOKIE = "wandb_server_session"
SESSION = "session"


class Signer:
    """Makes and checks the tokens of one API key."""

    def __init__(self, api_key: str) -> None:
        self._secret = hmac.digest(api_key.encode(), b"wandb_server tokens v1", hashlib.sha256)

    def sign(self, subject: str, seconds: float) -> str:
        """Make a token for a subject.

        Args:
            subject: What the token allows, such as "PUT /upload/blob/..." or "session".
            seconds: How long it holds from now.

        Returns:
            `<expiry as seconds since 1970>.<signature>`, safe in a URL and in a cookie.
        """
        expiry = str(int(time.time() + seconds))
        return f"{expiry}.{self._signature(subject, expiry)}"

    def verify(self, subject: str, token: str) -> bool:
        """Tell whether a token was signed for this very subject and hasn't expired."""
        expiry, _, signature = token.partition(".")
        expected = self._signature(subject, expiry)
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            return False
        return int(expiry) >= time.time()

    def _signature(self, subject: str, expiry: str) -> str:
        message = f"{expiry}\n{subject}".encode()
        digest = hmac.digest(self._secret, message, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_key(authorization: str, api_key: str) -> bool:
    """Tell whether an `Authorization` header carries the key as `Basic api:<key>`.

    The comparison takes the same time wherever the first difference is.
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, _, key = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(key, api_key.encode()) and user == b"api"
