"""Places for the nodes of a graph: in layers from left to right, with few crossings.

Sugiyama's way: layers by the longest path, a point of passage in each layer that an edge
crosses, and each layer sorted by where its neighbours are.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

NODE_WIDTH, NODE_HEIGHT = 190.0, 42.0
_LAYER_GAP, _ROW_GAP, _PASSAGE = 60.0, 16.0, 12.0
_MARGIN = 12.0
_SWEEPS = 6


@dataclass(frozen=True)
class Layout(Generic[Name]):
    """Upper left corners of the nodes, the edges as SVG paths, and the size of it all."""

    places: dict[Name, tuple[float, float]]
    paths: list[str]
    width: float
    height: float


def arrange(nodes: Sequence[Name], edges: Iterable[tuple[Name, Name]]) -> Layout[Name]:
    """Place nodes so that edges run from left to right.

    Args:
        nodes: All nodes.
        edges: Pairs of nodes; one that closes a circle is drawn backwards.
    """
    index = {node: place for place, node in enumerate(nodes)}
    ordered = sorted(edges, key=lambda edge: (index[edge[0]], index[edge[1]]))
    forward = _without_circles(nodes, ordered)
    depth = _depths(nodes, forward)
    chains = [_chain(edge, depth) for edge in ordered]
    layers = _layers(nodes, depth, chains)
    _sort_layers(layers, chains)
    return _place(nodes, layers, chains)


# A node, or a point of passage: (edge, layer).
_Item = Hashable


def _without_circles(
    nodes: Sequence[Name], edges: Sequence[tuple[Name, Name]]
) -> list[tuple[Name, Name]]:
    """Leave out the edges that lead back to a node from which they can be reached."""
    after: dict[Name, list[Name]] = {node: [] for node in nodes}
    for cause, effect in edges:
        after[cause].append(effect)
    state: dict[Name, int] = {}  # 1: on the way, 2: done
    kept: list[tuple[Name, Name]] = []
    for root in nodes:
        stack = [(root, iter(after[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            node, rest = stack[-1]
            other = next(rest, None)
            if other is None:
                state[node] = 2
                stack.pop()
            elif state.get(other) != 1:
                kept.append((node, other))
                if other not in state:
                    state[other] = 1
                    stack.append((other, iter(after[other])))
    return kept


def _depths(nodes: Sequence[Name], edges: Sequence[tuple[Name, Name]]) -> dict[Name, int]:
    """Count for each node the edges of the longest way that leads to it."""
    depth = dict.fromkeys(nodes, 0)
    after: dict[Name, list[Name]] = {node: [] for node in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for cause, effect in edges:
        after[cause].append(effect)
        waiting[effect] += 1
    ready = [node for node in nodes if not waiting[node]]
    for node in ready:  # grows while it is gone through
        for other in after[node]:
            depth[other] = max(depth[other], depth[node] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return depth


def _chain(edge: tuple[Name, Name], depth: Mapping[Name, int]) -> list[_Item]:
    """List what an edge passes: its start, a point in each layer between, its end."""
    cause, effect = edge
    between = range(depth[cause] + 1, depth[effect])
    return [cause, *((edge, layer) for layer in between), effect]


def _layers(
    nodes: Sequence[Name], depth: Mapping[Name, int], chains: Sequence[Sequence[_Item]]
) -> list[list[_Item]]:
    layers: list[list[_Item]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    for chain in chains:
        for offset, item in enumerate(chain[1:-1], start=1):
            layers[depth[chain[0]] + offset].append(item)  # type: ignore[index]  # a node
    return layers


def _sort_layers(layers: list[list[_Item]], chains: Sequence[Sequence[_Item]]) -> None:
    """Sort each layer by the mean place of the neighbours, to and fro."""
    before: dict[_Item, list[_Item]] = {}
    after: dict[_Item, list[_Item]] = {}
    for chain in chains:
        for cause, effect in pairwise(chain):
            after.setdefault(cause, []).append(effect)
            before.setdefault(effect, []).append(cause)
    rank = {item: index for layer in layers for index, item in enumerate(layer)}
    for sweep in range(_SWEEPS):
        neighbours, order = (before, layers) if sweep % 2 == 0 else (after, layers[::-1])
        for layer in order:
            means = {item: _mean(item, neighbours, rank) for item in layer}
            layer.sort(key=means.__getitem__)
            rank.update({item: index for index, item in enumerate(layer)})


def _mean(item: _Item, neighbours: Mapping[_Item, list[_Item]], rank: Mapping[_Item, int]) -> float:
    near = neighbours.get(item)
    return sum(rank[other] for other in near) / len(near) if near else float(rank[item])


def _place(
    nodes: Sequence[Name],
    layers: Sequence[Sequence[_Item]],
    chains: Sequence[Sequence[_Item]],
) -> Layout[Name]:
    known = set(nodes)
    heights = [sum(_height(item in known) for item in layer) for layer in layers]
    tallest = max(heights)
    middles: dict[_Item, tuple[float, float]] = {}
    for index, layer in enumerate(layers):
        x = _MARGIN + index * (NODE_WIDTH + _LAYER_GAP)
        y = _MARGIN + (tallest - heights[index]) / 2
        for item in layer:
            height = _height(item in known)
            middles[item] = (x, y + height / 2)
            y += height
    places = {node: (middles[node][0], middles[node][1] - NODE_HEIGHT / 2) for node in nodes}
    width = 2 * _MARGIN + len(layers) * (NODE_WIDTH + _LAYER_GAP) - _LAYER_GAP
    paths = [_path([middles[item] for item in chain]) for chain in chains]
    return Layout(places, paths, width, tallest + 2 * _MARGIN)


def _height(is_node: bool) -> float:
    return NODE_HEIGHT + _ROW_GAP if is_node else _PASSAGE


def _path(middles: Sequence[tuple[float, float]]) -> str:
    """Draw a curve out of the right side of the first node, level through each passage."""
    x, y = middles[0][0] + NODE_WIDTH, middles[0][1]
    parts = [f"M{x:.0f},{y:.0f}"]
    for index, (left, middle) in enumerate(middles[1:], start=1):
        bend = (left - x) / 2 if left > x else _LAYER_GAP
        parts.append(
            f"C{x + bend:.0f},{y:.0f} {left - bend:.0f},{middle:.0f} {left:.0f},{middle:.0f}"
        )
        x, y = left, middle
        if index < len(middles) - 1:
            x = left + NODE_WIDTH
            parts.append(f"H{x:.0f}")
    return " ".join(parts)
