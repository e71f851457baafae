"""Components are alike: same files, same names for parameters everywhere, pinned environments."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from pipeline.config import STEPS

ROOT = Path(__file__).resolve().parents[1]
# What several steps need. Steps don't import each other, so each has a copy.
COPIES = (
    "check_artifact_name",
    "draw_confusion",
    "draw_predictions",
    "log_artifact",
    "open_run",
    "read_metrics",
    "read_score",
    "refuse_offline",
    "render",
    "use_artifact",
    "write_counts",
)
PROJECTS = sorted(path.parent for path in [ROOT / "MLproject", *ROOT.glob("*/MLproject")])


def parameters_of_project(folder: Path) -> set[str]:
    project = yaml.safe_load((folder / "MLproject").read_text())
    return set(project["entry_points"]["main"]["parameters"])


def arguments_of_program(path: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {
        call.args[0].value.removeprefix("--")
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_argument"
        and isinstance(call.args[0], ast.Constant)
    }


def parameters_in_main() -> dict[str, set[str]]:
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "main.py").read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "step"
    ]
    return {
        call.args[0].value: {str(keyword.arg) for keyword in call.keywords}
        for call in calls
        if isinstance(call.args[0], ast.Constant)
    }


def functions_called(name: str) -> dict[str, str]:
    """Return what each step's function of this name does, whatever it calls its errors."""
    found = {}
    for path in [path for step in STEPS for path in (ROOT / step).glob("*.py")]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                if ast.get_docstring(node):
                    del node.body[0]
                found[path.parent.name] = re.sub(r"\b\w+Error\b", "Error", ast.unparse(node))
    return found


@pytest.mark.parametrize("step", STEPS)
def test_a_component_has_the_files_that_all_have(step: str) -> None:
    files = {path.name for path in (ROOT / step).iterdir()}

    assert {"MLproject", "conda.yml", "constraints.txt", "run.py", "README.md"} <= files


@pytest.mark.parametrize("step", STEPS)
def test_a_parameter_has_one_name_everywhere(step: str) -> None:
    declared = parameters_of_project(ROOT / step)
    command = yaml.safe_load((ROOT / step / "MLproject").read_text())["entry_points"]["main"][
        "command"
    ]

    assert arguments_of_program(ROOT / step / "run.py") == declared
    assert set(re.findall(r"--(\w+) \{(\w+)\}", command)) == {(name, name) for name in declared}
    assert parameters_in_main()[step] == declared


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: path.name)
def test_every_parameter_has_a_description_of_its_own(folder: Path) -> None:
    lines = (folder / "MLproject").read_text().split("\n")
    descriptions = []
    for name in parameters_of_project(folder):
        (number,) = [n for n, line in enumerate(lines) if re.match(rf"\s+{name}: \{{", line)]
        descriptions.append(lines[number - 1].strip())

    assert all(text.startswith("# ") and text.endswith(".") for text in descriptions), descriptions
    assert len(set(descriptions)) == len(descriptions)


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda path: path.name)
def test_dependencies_are_direct_pinned_and_under_pip(folder: Path) -> None:
    python, _, pip = yaml.safe_load((folder / "conda.yml").read_text())["dependencies"]

    assert python == "python=3.11"
    assert pip["pip"][0] == "-c constraints.txt"
    assert all(re.fullmatch(r"[\w.\[\]-]+==[\w.]+", line) for line in pip["pip"][1:])
    names = [line.split("==")[0] for line in pip["pip"][1:]]
    assert names == sorted(names)


@pytest.mark.parametrize("name", ["conda.yml", "constraints.txt"])
def test_a_model_is_read_in_the_environment_that_wrote_it(name: str) -> None:
    assert (ROOT / "evaluate" / name).read_text() == (
        ROOT / "train_random_forest" / name
    ).read_text()


@pytest.mark.parametrize("step", STEPS)
def test_a_component_imports_neither_the_pipeline_nor_another_component(step: str) -> None:
    others = {"pipeline", "wandb_server", *STEPS} - {step}
    for path in (ROOT / step).glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        imported = {
            alias.name.split(".")[0]
            for node in nodes
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not imported & others


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_a_function_stay_equal(name: str) -> None:
    functions = functions_called(name)

    assert len(functions) > 1
    assert len(set(functions.values())) == 1, "\n\n".join(functions.values())


def test_every_step_opens_its_run_alike() -> None:
    assert set(functions_called("open_run")) == set(STEPS)


def test_the_server_knows_nothing_of_the_pipeline() -> None:
    for path in (ROOT / "wandb_server").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) (pipeline|mlflow|hydra)", path.read_text(), re.M)
