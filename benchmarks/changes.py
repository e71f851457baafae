"""Who is measured when little or nothing has changed, and in trials."""

import shutil
from collections.abc import Callable, Mapping

from benchmarks.alone import make_joblib
from benchmarks.contestants import Contestant, make_main, make_mlflow
from benchmarks.place import Place
from benchmarks.recording import StepCall
from benchmarks.tools import DEPTHS, WORKERS, Tool, depth_of, find_training, pick, seed_of

FOREST = "random_forest_pipeline.random_forest"


def make_main_tool(place: Place, overrides: list[str]) -> Tool:
    """main.py, with all that it sees by itself."""
    words = ["-m", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={WORKERS}", *overrides]
    words.append(f"{FOREST}.max_depth={','.join(map(str, DEPTHS))}")

    def change_depth(number: int) -> list[str]:
        return [f"{FOREST}.max_depth={depth_of(number)}"]

    def change_trials(number: int) -> list[str]:
        return [f"{FOREST}.random_state={seed_of(number)}"]

    again = make_main(place, overrides)
    return Tool(
        # Nothing is reused: what the others do each time is compared.
        steps=make_main(place, [*overrides, "main.cache=false"]),
        unchanged=again,
        depth=again.also(change=change_depth),
        trials=make_main(place, words).also(label="python main.py -m", change=change_trials),
    )


def make_unchanged(
    place: Place, overrides: list[str], _: list[StepCall], tools: Mapping[str, Tool]
) -> dict[str, Contestant]:
    """Nothing has changed since the last run; for main.py also as the first run that sees it."""
    main, notes = make_main(place, overrides), place.folder / "notes"

    def forget(_: int) -> list[str]:
        shutil.rmtree(notes, ignore_errors=True)
        return []

    return {
        "main": main,
        "first": main.also(
            label="python main.py, first such run",
            variables={"XDG_CACHE_HOME": str(notes)},
            change=forget,
        ),
        "mlflow": make_mlflow(place, overrides),
        **pick(tools, "unchanged"),
    }


def make_depth(
    place: Place, overrides: list[str], calls: list[StepCall], tools: Mapping[str, Tool]
) -> dict[str, Contestant]:
    """Each round has another max_depth, and nothing else has changed."""
    find_training(calls)
    return pick({"main": make_main_tool(place, overrides), **tools}, "depth")


def make_trials(
    place: Place, overrides: list[str], calls: list[StepCall], tools: Mapping[str, Tool]
) -> dict[str, Contestant]:
    """A trial for each of DEPTHS on WORKERS, with data that were prepared before."""
    find_training(calls)
    run_by = {"main": make_main_tool(place, overrides), **tools}
    return {"joblib": make_joblib(place, calls), **pick(run_by, "trials")}


Maker = Callable[[Place, list[str], list[StepCall], Mapping[str, Tool]], dict[str, Contestant]]
CHANGES: dict[str, tuple[str, Maker]] = {
    "unchanged": ("nothing changed", make_unchanged),
    "depth": ("only max_depth changed", make_depth),
    "trials": (f"{len(DEPTHS)} trials on {WORKERS} workers", make_trials),
}
