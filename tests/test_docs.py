"""The docs hold: links lead somewhere, and commands are ones that the programs take."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.overrides import expand_arguments

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not set(path.relative_to(ROOT).parts) & {".venv", "outputs", "multirun", "mlruns"}
]


def commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").split("\n")
    return [shlex.split(line) for line in lines if line.startswith("python main.py")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_overrides_in_the_docs_are_ones_that_the_config_has(page: Path) -> None:
    for words in commands(page):
        assert len(expand_arguments(words[2:])) == len(words) - 2


def test_the_readme_names_every_page_of_the_docs() -> None:
    text = (ROOT / "README.md").read_text()

    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in text] == []


def test_the_readme_s_first_screen_gets_to_a_finished_run() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().split("\n")[:40])

    assert "mlflow run . --env-manager uv" in first_screen
    assert "mlflow run tests --env-manager uv" in first_screen
    assert "Not for you if" in first_screen
