"""The page that draws a version's lineage."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from wandb_server import queries
from wandb_server.artifact.lookups import get_artifact
from wandb_server.pages.artifact_pages import base
from wandb_server.pages.formats import cut
from wandb_server.pages.layout import NODE_HEIGHT, NODE_WIDTH, arrange
from wandb_server.pages.lineage_graph import Node, read_lineage
from wandb_server.pages.visits import Visit, linked_run, version_link
from wandb_server.runs import get_run

_NAME_SHOWN = 25  # characters that fit into a node
_NOTE_SHOWN = 30


@dataclass(frozen=True)
class Box:
    """A drawn node; `title` is its whole name, `kind` run or version."""

    x: float
    y: float
    kind: str
    name: str
    note: str
    title: str
    url: str
    state: str
    is_start: bool


def lineage(visit: Visit) -> dict[str, Any]:
    """Draw what led to a version and what came of it."""
    shown = base(visit)
    start = Node("version", shown["member"].artifact_id)
    graph = read_lineage(visit.connection, start.row)
    layout = arrange(graph.nodes, graph.edges)
    boxes = [
        _box(visit.connection, node, layout.places[node], node == start) for node in graph.nodes
    ]
    return shown | {
        "boxes": sorted(boxes, key=lambda box: (box.x, box.y)),
        "layout": layout,
        "node_size": (NODE_WIDTH, NODE_HEIGHT),
        "is_cut": graph.is_cut,
    }


def _box(
    connection: sqlite3.Connection, node: Node, place: tuple[float, float], is_start: bool
) -> Box:
    if node.kind == "run":
        run = get_run(connection, node.row)
        link, state = linked_run(connection, run), run.current_state()
        note = " ".join(link.notes) or "run"
    else:
        row = queries.version_row(connection, get_artifact(connection, node.row))
        link, state = version_link(connection, row), ""
        note = " ".join(link.notes)
    return Box(
        x=place[0],
        y=place[1],
        kind=node.kind,
        name=cut(link.text, _NAME_SHOWN),
        note=cut(note, _NOTE_SHOWN),
        title=f"{node.kind} {link.text}, {note}{', ' + state if state else ''}",
        url=link.url,
        state=state,
        is_start=is_start,
    )
