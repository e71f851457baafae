"""Files of JSON that clients uploaded, and that may be anything."""

import json
from pathlib import Path
from typing import Any


def load_json(path: Path, largest: int) -> Any:
    """Read a stored file of JSON.

    Args:
        path: Where its content lies.
        largest: Size in bytes above which it isn't read.

    Returns:
        Its content; None for a file that is gone, too large, or no JSON.
    """
    try:
        return json.loads(path.read_bytes()) if path.stat().st_size <= largest else None
    except (FileNotFoundError, ValueError, RecursionError):
        return None
