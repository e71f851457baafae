"""Downloads a table, without W&B."""

import tempfile
from pathlib import Path

from convert import make_parquet
from fetch import fetch
from files import Call, run_script


def download(call: Call, url: str) -> None:
    """Fetch a table, and make it a Parquet file that can be read."""
    target = Path(call["output_artifact"])
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        limits = float(call["timeout"]), int(call["retries"])
        fetched = fetch(url, folder / "fetched", *limits)
        table = make_parquet(fetched.path, folder / "table.parquet", fetched.content_type)
        table.path.replace(target)


def main(call: Call) -> None:
    """Download what the step would."""
    download(call, call["url"])


if __name__ == "__main__":
    run_script(main)
