"""The docs hold: links lead somewhere, and commands are ones that the programs take."""

import itertools
import re
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline.__main__ import build_parser
from pipeline.config import STEPS
from pipeline.overrides import expand_arguments
from wandb_server.sweeps.choose import chance, draw
from wandb_server.sweeps.config import find_violations, parse_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not set(path.relative_to(ROOT).parts) & {".venv", "outputs", "multirun", "mlruns"}
]


def commands(page: Path, words: str) -> list[list[str]]:
    """Return the commands in a page's shell blocks that hold these words, each as its words."""
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE)
    shell = [content for language, content in blocks if language in {"", "bash", "sh"}]
    lines = "\n".join(shell).replace("\\\n", " ").split("\n")
    return [shlex.split(line, comments=True) for line in lines if words in line]


def component_runs(page: Path) -> list[tuple[Path, list[str]]]:
    """Return the folder and the words of each `mlflow run <folder>` in a page."""
    found = []
    for words in commands(page, "mlflow run "):
        # What stands before sets variables, or runs first.
        words = words[words.index("mlflow") + 2 :]
        found += [(ROOT / word, words) for word in words if (ROOT / word / "MLproject").exists()]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_overrides_in_the_docs_are_ones_that_the_config_has(page: Path) -> None:
    for words in commands(page, "python main.py"):
        words = words[words.index("python") :]
        assert len(expand_arguments(words[2:])) == len(words) - 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tools_in_the_docs_are_ones_that_there_are(page: Path) -> None:
    for words in commands(page, "python -m pipeline "):
        options = build_parser().parse_args(words[words.index("pipeline") + 1 :])

        assert expand_arguments(getattr(options, "overrides", [])) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_parameters_in_the_docs_are_all_that_a_component_needs_and_has(page: Path) -> None:
    for folder, words in component_runs(page):
        project = yaml.safe_load((folder / "MLproject").read_text())
        parameters = project["entry_points"]["main"]["parameters"]
        given = {
            value.partition("=")[0] for option, value in itertools.pairwise(words) if option == "-P"
        }
        required = {name for name, about in parameters.items() if "default" not in about}

        assert required <= given <= set(parameters), f"{page.name}: {' '.join(words)}"


def test_sweep_yaml_is_one_that_the_server_takes_and_the_config_has_the_keys_of() -> None:
    text = (ROOT / "sweep.yaml").read_text()
    sweep = parse_config(text)
    source = chance("any", 0)
    # As the agent writes them on the command line of main.py.
    arguments = [f"{key}={value}" for key, value in draw(sweep.parameters, source).items()]

    assert find_violations(text) == []
    assert "${args_no_hyphens}" in yaml.safe_load(text)["command"]
    assert len(expand_arguments(arguments)) == len(arguments)


def test_every_component_s_readme_shows_how_to_run_it_alone() -> None:
    for step in STEPS:
        assert ROOT / step in [folder for folder, _ in component_runs(ROOT / step / "README.md")]


def test_the_readme_names_every_page_of_the_docs() -> None:
    text = (ROOT / "README.md").read_text()

    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in text] == []


def test_the_readme_s_first_screen_gets_to_a_finished_run() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().split("\n")[:40])

    assert "mlflow run . --env-manager uv" in first_screen
    assert "mlflow run tests --env-manager uv" in first_screen
    assert "Not for you if" in first_screen
