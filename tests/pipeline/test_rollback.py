"""The way back from a promotion swaps two aliases, or says why it can't."""

import re
from collections.abc import Callable

import pytest
import wandb

from pipeline.git import read_code
from pipeline.root import ROOT
from tests.end_to_end.commands import environment
from tests.warm import Finished, WarmPython
from wandb_server import Server, ensure_running


@pytest.fixture(scope="module")
def api() -> wandb.Api:
    """A project with two versions of a model; v0 is tagged prod."""
    server = ensure_running()
    with wandb.init(project="back", settings=settings_of(server)) as run:
        for number in range(2):
            model = wandb.Artifact("model_export", type="model", metadata={"number": number})
            with model.new_file("number.txt") as file:
                file.write(str(number))
            run.log_artifact(model, aliases=[] if number else ["prod"]).wait()
    wandb.teardown()
    return wandb.Api(
        overrides={"base_url": server.base_url, "entity": "local"}, api_key=server.api_key
    )


def settings_of(server: Server) -> wandb.Settings:
    return wandb.Settings(base_url=server.base_url, api_key=server.api_key)


@pytest.fixture(scope="module")
def roll_back(python: WarmPython) -> Callable[..., Finished]:
    """Return a function that runs a tool: roll_back("main.random_seed=1", tool="history")."""

    def roll_back(*overrides: str, tool: str = "rollback") -> Finished:
        command = ["-m", "pipeline", tool, "main.wandb=local", *overrides]
        return python.run(
            *command, cwd=ROOT, env=environment(), libraries=("hydra", "wandb.apis.public")
        )

    return roll_back


def test_there_and_back(
    api: wandb.Api, roll_back: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    nothing = roll_back("main.project_name=back")
    assert nothing.returncode == 1
    assert "of local/back/model_export, model_export:v0 holds prod, no version holds previous" in (
        nothing.stderr
    )
    newer = api.artifact("back/model_export:v1")
    newer.aliases.append("previous")
    newer.save()

    first, second = (
        roll_back("main.project_name=back", *why) for why in ([], ["--why", "v1 was slow."])
    )
    told = roll_back("main.project_name=back", tool="history").stdout.split("\n")

    assert first.stdout == (
        "model_export:v1 is now tagged prod\nmodel_export:v0 is now tagged previous\n"
    )
    assert second.stdout == (
        "model_export:v0 is now tagged prod\nmodel_export:v1 is now tagged previous\n"
    )
    assert api.artifact("back/model_export:prod").version == "v0"
    assert api.artifact("back/model_export:previous").version == "v1"
    assert told[0] == "model_export:v0 is tagged prod."
    moved = r"....-..-.. ..:.. UTC  model_export:%s -> model_export:%s  rollback by grace\b.*"
    assert re.fullmatch(moved % ("v1", "v0"), told[2])
    assert told[3] == "    v1 was slow."
    assert re.fullmatch(moved % ("v0", "v1"), told[5])
    assert told[6] == "    No reason was given."
    (record,) = api.artifact("back/model_export:v0").metadata["promotions"]
    code = read_code(ROOT)
    assert (record["commit"] or "", bool(record["dirty"])) == (code.commit, code.dirty)
    assert api.artifact("back/model_export:v0").metadata["number"] == 0


def test_history_tells_a_tag_by_hand_from_a_promotion(
    roll_back: Callable[..., Finished],
) -> None:
    with wandb.init(project="by-hand", settings=settings_of(ensure_running())) as run:
        model = wandb.Artifact("model_export", type="model")
        with model.new_file("number.txt") as file:
            file.write("0")
        run.log_artifact(model, aliases=["prod"]).wait()
    wandb.teardown()

    told = roll_back("main.project_name=by-hand", tool="history").stdout
    missing = roll_back("main.project_name=nothing-here", tool="history")

    assert told == (
        "model_export:v0 is tagged prod.\n"
        "No record says how it got prod: it was tagged by hand, or long ago.\n"
    )
    assert missing.returncode == 1
    assert "There is no artifact 'model_export' in the project 'local/nothing-here': name" in (
        missing.stderr
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("main.projectname=x", "Did you mean"),
        ("random_forest_pipeline.export_artifact=null", "export_artifact is null"),
        ("main.project_name=new", "no version holds prod, no version holds previous"),
    ],
)
def test_what_can_t_be_is_told(
    override: str, message: str, roll_back: Callable[..., Finished]
) -> None:
    result = roll_back(override)

    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
