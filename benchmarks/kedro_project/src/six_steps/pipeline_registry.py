"""The pipeline: one node a step."""

# mypy: ignore-errors
# (types are checked in an environment without kedro)

import json
import tempfile
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline, node, pipeline
from programs import run_program

STEPS = ("download", "preprocess", "check_data", "segregate", "train_random_forest", "evaluate")


def run_step(name: str, before: str, parameters: dict[str, Any]) -> str:
    """Run a step, which passes its tables on itself; a text says that it has run.

    Args:
        name: The step.
        before: What the step before said.
        parameters: Settings of the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model_config.yaml"
        # JSON is YAML as well.
        file.write_text(json.dumps(parameters))
        others = {"model_config": str(file)} if name == "train_random_forest" else {}
        run_program(name, **others)
    return f"{before} {name}"


def make_node(name: str, before: str) -> Any:
    """Make the node of a step."""

    def run(said: str, parameters: dict[str, Any]) -> str:
        return run_step(name, said, parameters)

    return node(run, [before, "parameters"], f"{name}_done", name=name)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the one pipeline; its nodes follow each other."""
    before = ["begin", *(f"{name}_done" for name in STEPS)]
    nodes = [make_node(name, said) for name, said in zip(STEPS, before, strict=False)]
    return {"__default__": pipeline(nodes)}
