"""Plots and images that several runs logged, side by side."""

from collections.abc import Sequence
from typing import NamedTuple

from wandb_server.pages import addresses
from wandb_server.pages.run_media import Figure, Shown, last_media
from wandb_server.pages.visits import Visit, file_link
from wandb_server.projects import Project
from wandb_server.run_files import list_files
from wandb_server.runs import Run

_MOST = 16  # of what they have in common


class Beside(NamedTuple):
    """What several runs logged under one name, in their order; None where a run has nothing."""

    key: str
    found: list[Figure | Shown | None]


def put_side_by_side(visit: Visit, home: Project, runs: Sequence[Run]) -> list[Beside]:
    """Collect the last plots and images of runs by their names, those that at least two have."""
    media = [_collect(visit, home, run) for run in runs]
    names = dict.fromkeys(name for found in media for name in found)
    rows = [Beside(name, [found.get(name) for found in media]) for name in names]
    return [row for row in rows if len(row.found) - row.found.count(None) > 1][:_MOST]


def _collect(visit: Visit, home: Project, run: Run) -> dict[str, Figure | Shown]:
    url = addresses.run(home.entity, home.name, run.name)
    files = list_files(visit.connection, run.id)
    links = [file_link(visit.urls, url, file.name, file.size, file.digest, None) for file in files]
    figures, images = last_media(visit, run, files, links)
    return {image.text: image for image in images} | {figure.key: figure for figure in figures}
