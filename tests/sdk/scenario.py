"""What users of every SDK release do, against the server that the environment names.

Runs in an environment that holds nothing but one release of `wandb`, and prints JSON: the
release, where it is installed, and for each check "ok" or what went wrong.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import wandb

PROJECT = f"matrix-{wandb.__version__}"


def log_a_run() -> None:
    """A run's config, history, summary, console, files and state read back."""
    with wandb.init(
        project=PROJECT, config={"lr": 0.5}, tags=["one"], group="g", id="first"
    ) as run:
        run.define_metric("loss", summary="min,max")
        for step in range(5):
            run.log({"loss": 1 / (step + 1)})
        Path("water.pdb").write_text("HEADER")
        run.log({"page": wandb.Html("<p>hi</p>"), "molecule": wandb.Molecule("water.pdb")})
        print("[INFO] a line")  # noqa: T201  the SDK captures it
        run.summary["best"] = 7
        Path("notes.txt").write_text("kept")
        run.save("notes.txt")
    read = wandb.Api().run(f"{PROJECT}/first")
    assert (read.state, read.config, read.tags, read.group) == (
        "finished",
        {"lr": 0.5},
        ["one"],
        "g",
    )
    assert [row["loss"] for row in read.scan_history(keys=["loss"])][-1] == 0.2
    assert read.summary["best"] == 7
    assert dict(read.summary["loss"]) == {"min": 0.2, "max": 1}
    assert read.file(read.summary["molecule"]["path"]).download().read() == "HEADER"
    assert "[INFO] a line" in read.file("output.log").download().read()
    assert {"notes.txt", "wandb-metadata.json"} <= {file.name for file in read.files()}


def change_a_run() -> None:
    """The public API changes config, summary, tags and files of a run."""
    run = wandb.Api().run(f"{PROJECT}/first")
    run.config["lr"] = 0.1
    run.tags = [*run.tags, "two"]
    run.update()
    run.summary.update({"late": 1})
    Path("more.txt").write_text("more")
    run.upload_file("more.txt")
    read = wandb.Api().run(f"{PROJECT}/first")
    assert (read.config["lr"], read.tags, read.summary["late"]) == (0.1, ["one", "two"], 1)
    assert read.file("more.txt").download(replace=True).read() == "more"


def resume_a_run() -> None:
    """A resumed run goes on counting steps; `never` is refused for a run that exists."""
    with wandb.init(project=PROJECT, id="first", resume="must") as run:
        run.log({"loss": 0.0})
    steps = [row["_step"] for row in wandb.Api().run(f"{PROJECT}/first").scan_history()]
    assert steps == list(range(7)), steps
    try:
        wandb.init(project=PROJECT, id="first", resume="never")
    except wandb.errors.Error:
        return
    raise AssertionError("resume='never' went on with a run that exists")


def fork_and_rewind() -> None:
    """A fork inherits history; a rewound run forgets it."""
    with wandb.init(project=PROJECT, fork_from="first?_step=1") as run:
        run.log({"loss": 9.0})
    fork = wandb.Api().run(f"{PROJECT}/{run.id}")
    assert [row["loss"] for row in fork.scan_history(keys=["loss"])] == [1.0, 0.5, 9.0]
    with wandb.init(project=PROJECT, resume_from=f"{run.id}?_step=0") as run:
        run.log({"loss": 8.0})
    again = wandb.Api().run(f"{PROJECT}/{run.id}")
    assert [row["loss"] for row in again.scan_history(keys=["loss"])] == [1.0, 8.0]


def log_artifacts() -> None:
    """Versions, aliases, equal content, download, lineage, tables and references."""
    with wandb.init(project=PROJECT, id="maker") as run:
        for number in (0, 1, 1):
            data = wandb.Artifact("data", "dataset", metadata={"number": number})
            with data.new_file("numbers.txt") as file:
                file.write(str(number))
            data.add_reference("http://127.0.0.1:9/elsewhere.bin", checksum=False)
            run.log_artifact(data, aliases=["raw"]).wait()
        run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]])})
    with wandb.init(project=PROJECT, id="user") as run:
        used = run.use_artifact("data:raw")
        entry = used.get_entry("numbers.txt").download("got")
        assert Path(entry).read_text() == "1"
    assert (used.version, used.metadata, sorted(used.aliases)) == (
        "v1",
        {"number": 1},
        ["latest", "raw"],
    )
    assert used.logged_by().id == "maker"
    assert [user.id for user in used.used_by()] == ["user"]
    table = wandb.Api().artifact(f"{PROJECT}/run-maker-table:v0").get("table")
    assert table.data == [[1], [2]]


def change_artifacts() -> None:
    """Aliases move; descriptions, tags, links, listings and deletion."""
    api = wandb.Api()
    first = api.artifact(f"{PROJECT}/data:v0")
    first.aliases.append("prod")
    first.description = "the first"
    first.save()
    second = api.artifact(f"{PROJECT}/data:v1")
    second.aliases.append("prod")
    second.tags, second.ttl = ["checked"], timedelta(days=1)
    second.save()
    second = api.artifact(f"{PROJECT}/data:v1")
    assert (second.tags, second.ttl) == (["checked"], timedelta(days=1))
    second.link(f"{PROJECT}/shelf", aliases=["best"])
    assert api.artifact(f"{PROJECT}/data:prod").version == "v1"
    assert api.artifact(f"{PROJECT}/data:v0").description == "the first"
    assert api.artifact(f"{PROJECT}/shelf:best").source_name == "data:v1"
    names = {item.name for item in api.artifact_type("dataset", PROJECT).collections()}
    assert names == {"data", "shelf"}, names
    first.delete(delete_aliases=True)
    assert [item.version for item in api.artifacts("dataset", f"{PROJECT}/data")] == ["v1"]


def use_registries() -> None:
    """A registry is made, linked into and listed."""
    api = wandb.Api()
    name = f"models-{wandb.__version__}"
    api.create_registry(name, visibility="organization")
    api.artifact(f"{PROJECT}/data:v1").link(f"wandb-registry-{name}/best")
    assert name in {item.name for item in api.registries()}
    assert [item.name for item in api.registry(name).collections()] == ["best"]
    assert [item.name for item in api.registry(name).versions()] == ["best:v0"]


def find_runs() -> None:
    """Filters and orders of the public API, page by page."""
    api = wandb.Api()
    found = api.runs(PROJECT, filters={"summary_metrics.best": {"$gt": 6}})
    assert [run.id for run in found] == ["first"]
    ids = [run.id for run in api.runs(PROJECT, order="+created_at")]
    assert ids[0] == "first"
    assert len(ids) == 4


def sync_an_offline_run() -> None:
    """A run that was logged offline arrives with its artifact, once."""
    with wandb.init(project=PROJECT, id="late", mode="offline") as run:
        run.log({"loss": 3.0})
        data = wandb.Artifact("offline", "dataset")
        with data.new_file("a.txt") as file:
            file.write("a")
        run.log_artifact(data)
        folder = str(Path(run.dir).parent)
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "wandb", "sync", folder], check=True, stdout=2)
    read = wandb.Api().run(f"{PROJECT}/late")
    assert [row["loss"] for row in read.scan_history()] == [3.0]
    assert wandb.Api().artifact(f"{PROJECT}/offline:v0").logged_by().id == "late"


def download_history() -> None:
    """Parquet files are there as soon as a run has ended; scans show the rows that are logged."""
    with wandb.init(project=PROJECT, id="exported") as run:
        for number in range(4):
            run.log({"x": number, "even": number} if number % 2 == 0 else {"x": number})
    read = wandb.Api().run(f"{PROJECT}/exported")
    assert [row["x"] for row in read.scan_history()] == [0, 1, 2, 3]
    (file,) = read.download_history_exports(Path("exports")).paths
    content = file.read_bytes()
    assert content[:4] == content[-4:] == b"PAR1"
    evens = [row["even"] for row in read.scan_history(keys=["even"], page_size=2)]
    assert evens == [0, 2], evens
    assert [row["x"] for row in read.scan_history(min_step=1, max_step=2)] == [1]


def run_a_sweep() -> None:
    """An agent runs every trial of a grid."""
    config = {"method": "grid", "parameters": {"x": {"values": [1, 2]}}}
    sweep = wandb.sweep(config, project=PROJECT)

    def trial() -> None:
        with wandb.init() as run:
            run.log({"y": run.config.x})

    wandb.agent(sweep, trial, project=PROJECT)
    read = wandb.Api().sweep(f"{PROJECT}/{sweep}")
    assert sorted(run.summary["y"] for run in read.runs) == [1, 2]
    assert read.state.lower() == "finished"


def delete_a_run() -> None:
    """A deleted run is gone, what it logged is not; a program at work doesn't bring one back."""
    wandb.Api().run(f"{PROJECT}/maker").delete()
    with wandb.init(project=PROJECT, id="dropped") as run:
        wandb.Api().run(f"{PROJECT}/dropped").delete()
        run.config["seen"] = "too late"
        run.log({"x": 1})
    assert not {"maker", "dropped"} & {run.id for run in wandb.Api().runs(PROJECT)}
    assert wandb.Api().artifact(f"{PROJECT}/data:v1").version == "v1"
    try:
        wandb.init(project=PROJECT, id="dropped")
    except wandb.errors.Error:
        return
    raise AssertionError("the id of a deleted run was given to another one")


CHECKS = (
    log_a_run,
    change_a_run,
    resume_a_run,
    fork_and_rewind,
    log_artifacts,
    change_artifacts,
    use_registries,
    find_runs,
    sync_an_offline_run,
    download_history,
    run_a_sweep,
    delete_a_run,
)


def main() -> None:
    """Run the checks, or those named, and print the outcomes; the SDK's output goes to stderr."""
    answers = os.dup(1)
    os.dup2(2, 1)
    wanted = [check for check in CHECKS if check.__name__ in sys.argv[1:] or not sys.argv[1:]]
    outcomes = {check.__name__: _outcome(check) for check in wanted}
    found = {"version": wandb.__version__, "sdk": str(Path(wandb.__file__).parent)}
    with os.fdopen(answers, "w") as stream:
        json.dump({**found, "checks": outcomes}, stream)


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return "ok"


if __name__ == "__main__":
    main()
