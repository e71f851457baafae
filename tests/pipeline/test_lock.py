"""The pins are complete, agree with each other and belong to the conda.yml beside them."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.lock import (
    CONSTRAINTS,
    LockError,
    find_environments,
    is_stale,
    lock,
    read_requirements,
)

ROOT = Path(__file__).resolve().parents[2]
CONDA = """name: x
dependencies:
  - python=3.11
  - pip:
      - -c constraints.txt
      - {requirement}
"""


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in path.read_text().split("\n"):
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), set()).add(
                str(requirement.specifier)
            )
    return found


@pytest.mark.parametrize("conda_file", find_environments(ROOT), ids=lambda p: p.parent.name)
def test_pins_belong_to_the_conda_file_beside_them(conda_file: Path) -> None:
    assert not is_stale(conda_file), "run `python -m pipeline lock`"
    pinned = pins(conda_file.with_name(CONSTRAINTS))
    for line in read_requirements(conda_file)[1]:
        requirement = Requirement(line)
        assert pinned[canonicalize_name(requirement.name)] == {str(requirement.specifier)}


def test_a_package_has_one_version_across_the_project() -> None:
    versions: dict[str, set[str]] = {}
    for conda_file in find_environments(ROOT):
        for name, found in pins(conda_file.with_name(CONSTRAINTS)).items():
            versions.setdefault(name, set()).update(found)

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_pins_hold_names_and_versions_only() -> None:
    for conda_file in find_environments(ROOT):
        text = conda_file.with_name(CONSTRAINTS).read_text()
        assert "://" not in text
        assert " @ " not in text


def test_a_changed_conda_file_makes_its_pins_stale(tmp_path: Path) -> None:
    conda_file = tmp_path / "conda.yml"
    conda_file.write_text(CONDA.format(requirement="six==1.17.0"))
    assert is_stale(conda_file)
    lock(tmp_path)
    assert not is_stale(conda_file)
    assert pins(tmp_path / CONSTRAINTS) == {"six": {"==1.17.0"}}

    conda_file.write_text(CONDA.format(requirement="six==1.16.0"))

    assert is_stale(conda_file)


def test_what_is_pinned_stays_unless_newer_versions_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "conda.yml").write_text(CONDA.format(requirement="anyio==4.16.0"))
    (tmp_path / CONSTRAINTS).write_text("# of another conda.yml\nidna==3.10\n")

    lock(tmp_path)
    assert pins(tmp_path / CONSTRAINTS)["idna"] == {"==3.10"}
    lock(tmp_path, upgrade=True)
    assert pins(tmp_path / CONSTRAINTS)["idna"] != {"==3.10"}


def test_a_dependency_without_a_version_is_refused(tmp_path: Path) -> None:
    conda_file = tmp_path / "conda.yml"
    conda_file.write_text(CONDA.format(requirement="six"))

    with pytest.raises(LockError, match="'six' has no exact version"):
        read_requirements(conda_file)


def test_contradicting_dependencies_are_told(tmp_path: Path) -> None:
    (tmp_path / "conda.yml").write_text(CONDA.format(requirement="six==1.17.0"))
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "conda.yml").write_text(CONDA.format(requirement="six==1.16.0"))

    with pytest.raises(LockError, match=r"No set of versions fits six==1.16.0, six==1.17.0"):
        lock(tmp_path)
