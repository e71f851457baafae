"""Runs one scenario with several releases of the SDK: `python -m tests.sdk.matrix`.

Each release gets an environment of its own from uv, all share one server on an empty data
folder. What a release could send is checked as well: every GraphQL document that it holds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import validate

from tests.server.documents import sdk_documents
from wandb_server import ensure_running, service
from wandb_server.graphql_endpoint import RULES
from wandb_server.lenient import strip_document
from wandb_server.schema import SCHEMA
from wandb_server.unserved import explain

RELEASES = ("0.28.2", "0.29.0", "0.30.0", "0.31.0")
_SCENARIO = Path(__file__).with_name("scenario.py")


@dataclass(frozen=True)
class Outcome:
    """What came of one release.

    `checks` holds "ok" or a traceback by the name of the check; `served` and `refused` count
    GraphQL documents, `unknown` names those that are neither.
    """

    release: str
    checks: dict[str, str]
    served: int
    refused: int
    unknown: list[str]

    def failures(self) -> list[str]:
        """List what went wrong, a text each."""
        failed = [f"{name}: {text}" for name, text in self.checks.items() if text != "ok"]
        return [f"wandb {self.release}: {text}" for text in [*failed, *self.unknown]]


def main() -> int:
    """Run the wanted releases, print the table and what failed; return 1 if anything did."""
    parser = argparse.ArgumentParser(prog="python -m tests.sdk.matrix", description=__doc__)
    parser.add_argument("releases", nargs="*", default=RELEASES, help="releases of wandb")
    releases = parser.parse_args().releases
    with tempfile.TemporaryDirectory() as name:
        os.environ["WANDB_SERVER_DIR"] = str(Path(name) / "data")
        server = ensure_running()
        try:
            found = []
            for release in releases:
                home = Path(name) / release
                home.mkdir()
                environment = client_environment(home, server.environment())
                found.append(run_scenario(_uv(release), environment, home))
        finally:
            service.stop()
    print(table(found))  # noqa: T201  its output
    failures = [text for outcome in found for text in outcome.failures()]
    print(*failures, sep="\n", file=sys.stderr)  # noqa: T201
    return 1 if failures else 0


def client_environment(home: Path, server: dict[str, str]) -> dict[str, str]:
    """Give the environment of an SDK that writes below `home` only and talks to the server."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    own.pop("VIRTUAL_ENV", None)
    own.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    return {**own, **server, **quiet, "HOME": str(home)}


def run_scenario(
    python: Sequence[str], environment: dict[str, str], folder: Path, checks: Sequence[str] = ()
) -> Outcome:
    """Run the scenario with the SDK of one environment.

    Args:
        python: Command that runs that environment's Python.
        environment: Variables that lead the SDK to the server.
        folder: Working folder, to be written to.
        checks: Names of functions of `scenario.py`; none means all.

    Raises:
        subprocess.CalledProcessError: The scenario couldn't even start.
    """
    command = [*python, str(_SCENARIO), *checks]
    done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    served, refused, unknown = _sort_documents(Path(said["sdk"]))
    return Outcome(said["version"], said["checks"], served, refused, unknown)


def _sort_documents(sdk: Path) -> tuple[int, int, list[str]]:
    served, refused, unknown = 0, 0, []
    for where, document in sdk_documents(sdk).items():
        errors = validate(SCHEMA, strip_document(SCHEMA, document), RULES)
        served += not errors
        refused += bool(explain(errors))
        if errors and not explain(errors):
            unknown.append(f"{where}: {errors[0].message}")
    return served, refused, unknown


def table(outcomes: Sequence[Outcome]) -> str:
    """Lay the outcomes out as Markdown, a row a check and a column a release."""
    lines = [f"| wandb | {' | '.join(outcome.release for outcome in outcomes)} |"]
    lines.append("|---" * (len(outcomes) + 1) + "|")
    for check in outcomes[0].checks:
        cells = ["ok" if outcome.checks[check] == "ok" else "fails" for outcome in outcomes]
        lines.append(f"| {check.replace('_', ' ')} | {' | '.join(cells)} |")
    counts = [
        f"{outcome.served} / {outcome.refused} / {len(outcome.unknown)}" for outcome in outcomes
    ]
    lines.append(f"| GraphQL documents: served / refused by name / other | {' | '.join(counts)} |")
    return "\n".join(lines)


def _uv(release: str) -> list[str]:
    needs = ["--with", f"wandb=={release}"]
    return ["uv", "run", "--quiet", "--no-project", "--python", "3.11", *needs, "python"]


if __name__ == "__main__":
    sys.exit(main())
