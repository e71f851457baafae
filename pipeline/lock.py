"""Pins of everything below the direct dependencies: conda.yml in, constraints.txt out.

The pins hold names and versions only, so they say nothing of where packages came from. One
resolution over all environments comes first; each environment is then resolved within it, so that
a package has one version across the project.
"""

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import PipelineError
from pipeline.root import ROOT

CONSTRAINTS = "constraints.txt"


class LockError(PipelineError):
    """The pins can't be worked out."""


def find_environments(root: Path) -> list[Path]:
    """Return the conda.yml of the project and of each of its components."""
    return sorted([root / "conda.yml", *root.glob("*/conda.yml")])


def read_requirements(conda_file: Path) -> tuple[str, list[str]]:
    """Return the Python version and the direct dependencies that a conda.yml names.

    Raises:
        LockError: The file has no python=, no pip list, or a dependency without `==`.
    """
    dependencies: list[Any] = yaml.safe_load(conda_file.read_text())["dependencies"]
    python = [d.split("=")[-1] for d in dependencies if str(d).startswith("python=")]
    pip = [d["pip"] for d in dependencies if isinstance(d, dict) and "pip" in d]
    if not python or not pip:
        raise LockError(f"{conda_file} must name python=<version> and a pip list.")
    direct = [line for line in pip[0] if not line.startswith("-c ")]
    for line in direct:
        if "==" not in line:
            raise LockError(f"{conda_file}: {line!r} has no exact version; write name==version.")
    return python[0], direct


def fingerprint(conda_file: Path) -> str:
    """Return the first line of the constraints.txt that belongs to a conda.yml."""
    content = json.dumps(read_requirements(conda_file)).encode()
    return (
        "# Made by `python -m pipeline lock` from conda.yml, "
        f"SHA-256 {hashlib.sha256(content).hexdigest()[:16]}"
    )


def is_stale(conda_file: Path) -> bool:
    """Return whether the conda.yml changed since its constraints.txt was made."""
    constraints = conda_file.with_name(CONSTRAINTS)
    return not constraints.exists() or constraints.read_text().split("\n")[0] != fingerprint(
        conda_file
    )


def lock(root: Path = ROOT, *, upgrade: bool = False) -> list[Path]:
    """Write the constraints.txt beside each conda.yml; return their paths.

    Args:
        root: Folder of the project.
        upgrade: Whether to take the newest versions that fit; else those that are pinned stay,
            as far as they fit, so that a new step leaves the other environments as they are.

    Raises:
        LockError: The direct dependencies contradict each other; uv's words are in it.
    """
    files = find_environments(root)
    python = max(read_requirements(file)[0] for file in files)
    everything = sorted({line for file in files for line in read_requirements(file)[1]})
    written = []
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / CONSTRAINTS
        shared.write_text("" if upgrade else "\n".join(_read_pins(files)))
        # uv prefers what this file of its own has.
        _resolve(everything, python, "--output-file", str(shared))
        for file in files:
            version, direct = read_requirements(file)
            target = file.with_name(CONSTRAINTS)
            pins = _resolve(direct, version, "--constraints", str(shared))
            target.write_text(f"{fingerprint(file)}\n{pins}")
            written.append(target)
    return written


def _read_pins(files: list[Path]) -> list[str]:
    """Return what is pinned beside any of the conda.yml files."""
    pinned = [file.with_name(CONSTRAINTS) for file in files]
    texts = [path.read_text() for path in pinned if path.exists()]
    return sorted({line for text in texts for line in text.splitlines() if line[:1] != "#"})


def _resolve(requirements: list[str], python: str, *options: str) -> str:
    """Return pins for all that the requirements bring, on every platform."""
    command = [
        *("uv", "pip", "compile", "-", "--universal", "--python-version", python),
        # One version of a package for all newer Pythons too, instead of one for each.
        *("--fork-strategy", "fewest"),
        *("--no-header", "--no-annotate", "--quiet", *options),
    ]
    result = subprocess.run(
        command, input="\n".join(requirements), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise LockError(f"No set of versions fits {', '.join(requirements)}:\n{result.stderr}")
    return result.stdout
