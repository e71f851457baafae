"""The lineage of a version: the runs and versions that led to it, and what came of it."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from wandb_server.artifact.records import LOGGED_TABLE

Kind = Literal["run", "version"]

_MOST_NODES = 400


class Node(NamedTuple):
    """A run or a version by its row."""

    kind: Kind
    row: int


@dataclass
class Graph:
    """Nodes in the order in which they were found, and edges from cause to effect.

    `is_cut` says that there are more than are shown.
    """

    nodes: list[Node] = field(default_factory=list)
    edges: set[tuple[Node, Node]] = field(default_factory=set)
    is_cut: bool = False


def read_lineage(connection: sqlite3.Connection, artifact_id: int) -> Graph:
    """Follow a version's lineage in both directions, the nearest first.

    Args:
        connection: Open for reading.
        artifact_id: Row of the version.

    Returns:
        All that it comes from and all that comes from it, up to 400 nodes; but no tables
        that runs logged beside their metrics, which the SDK stores as artifacts of their own.
    """
    start = Node("version", artifact_id)
    graph = Graph([start])
    for neighbours, is_down in ((_causes, False), (_effects, True)):
        _follow(connection, graph, start, neighbours, is_down=is_down)
    return graph


_Neighbours = Callable[[sqlite3.Connection, Node], Iterable[Node]]


def _follow(
    connection: sqlite3.Connection,
    graph: Graph,
    start: Node,
    neighbours: _Neighbours,
    *,
    is_down: bool,
) -> None:
    known, seen = set(graph.nodes), {start}
    waiting = [start]
    while waiting:
        following: list[Node] = []
        for node in waiting:
            for other in neighbours(connection, node):
                if other not in known and len(known) >= _MOST_NODES:
                    graph.is_cut = True
                    continue
                graph.edges.add((node, other) if is_down else (other, node))
                if other not in known:
                    known.add(other)
                    graph.nodes.append(other)
                if other not in seen:
                    seen.add(other)
                    following.append(other)
        waiting = following


def _causes(connection: sqlite3.Connection, node: Node) -> Iterable[Node]:
    if node.kind == "version":
        return _runs(connection, "SELECT run_id FROM run_output WHERE artifact_id = ?", node.row)
    return _versions(connection, "run_input", node.row)


def _effects(connection: sqlite3.Connection, node: Node) -> Iterable[Node]:
    if node.kind == "version":
        return _runs(connection, "SELECT run_id FROM run_input WHERE artifact_id = ?", node.row)
    return _versions(connection, "run_output", node.row)


def _runs(connection: sqlite3.Connection, sql: str, row: int) -> Iterable[Node]:
    return [Node("run", found[0]) for found in connection.execute(f"{sql} ORDER BY run_id", (row,))]


def _versions(connection: sqlite3.Connection, table: str, row: int) -> Iterable[Node]:
    sql = (
        f"SELECT artifact.id FROM artifact JOIN {table} ON artifact_id = artifact.id"  # noqa: S608
        " JOIN collection ON collection.id = collection_id"
        " JOIN artifact_type ON artifact_type.id = type_id"
        f" WHERE {table}.run_id = ? AND state = 'COMMITTED' AND artifact_type.name != ?"
        " ORDER BY artifact.id"
    )
    return [Node("version", found[0]) for found in connection.execute(sql, (row, LOGGED_TABLE))]
