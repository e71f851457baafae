"""Point clouds that a run logged, drawn from one side: a picture that needs no script."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wandb_server.pages.formats import as_number, cut, short_number
from wandb_server.pages.plots import COLOURS
from wandb_server.pages.stored_json import load_json

_LARGEST = 4 << 20  # bytes
_MOST_POINTS, _MOST_BOXES = 2_000, 100
_LONGEST = 60  # characters of a label
_GREATEST = 1e15  # beyond it, numbers are too far apart to be drawn
_WIDTH, _HEIGHT, _MARGIN = 480.0, 360.0, 24.0
_SLICES = 8  # from far to near, each stronger than the one before
_SIDE, _ABOVE = math.radians(-60), math.radians(30)  # where it is looked at from
_RIGHT = (-math.sin(_SIDE), math.cos(_SIDE), 0.0)
_UP = (-math.sin(_ABOVE) * math.cos(_SIDE), -math.sin(_ABOVE) * math.sin(_SIDE), math.cos(_ABOVE))
_NEAR = (math.cos(_ABOVE) * math.cos(_SIDE), math.cos(_ABOVE) * math.sin(_SIDE), math.sin(_ABOVE))
# Corners of the SDK's `box3d` are numbered by the ends of x, y and z in binary.
_EDGES = [(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit]

Place = tuple[float, ...]


@dataclass(frozen=True)
class Stroke:
    """A path: dots of one colour, or the edges of a box, whose label `text` is.

    `paint` is a colour such as `#8090ff`, or "" for the style sheet's number `colour`.
    """

    path: str
    paint: str
    colour: int
    strength: float
    text: str


@dataclass(frozen=True)
class Cloud:
    """A drawn point cloud; `axes` are names with the ends of their lines."""

    kind: ClassVar[str] = "cloud"
    title: str
    text: str
    width: float
    height: float
    axes: Sequence[tuple[str, float, float, float, float]]
    dots: Sequence[Stroke]
    boxes: Sequence[Stroke]


def draw_cloud(path: Path, title: str) -> Cloud | None:
    """Draw a point cloud.

    Args:
        path: Its file, as `wandb.Object3D` writes it: points as x, y, z and perhaps a category
            from 1 on, or red, green and blue up to 255; or a scene of points and boxes.
        title: What it is called.

    Returns:
        The drawing; None for a file that is gone, too large, or has no points.
    """
    found = load_json(path, _LARGEST)
    scene = found if isinstance(found, dict) else {"points": found}
    told = scene.get("points")
    rows = [row for row in map(_numbers, told) if len(row) >= 3] if isinstance(told, list) else []
    if not rows:
        return None
    boxes = _boxes(scene.get("boxes"))
    corners = [corner for _, corners in boxes for corner in corners]
    lows, highs = _ends([*rows, *corners])
    view = _view(lows, highs)
    shown = rows[:: math.ceil(len(rows) / _MOST_POINTS)]
    ends = ", ".join(
        f"{name} from {short_number(low)} to {short_number(high)}"
        for name, low, high in zip("xyz", lows, highs, strict=True)
    )
    left_out = f", of which {len(shown)} are drawn" if len(shown) < len(rows) else ""
    text = f"{len(rows)} points{left_out}: {ends}."
    strokes = [_box(box, corners, view) for box, corners in boxes]
    axes = [_axis(index, lows, highs, view) for index in range(3)]
    return Cloud(title, text, _WIDTH, _HEIGHT, axes, _dots(shown, view), strokes)


@dataclass(frozen=True)
class _View:
    """Looks at a box of space from one side, at right angles; far and near are of its corners."""

    middle: Place
    scale: float
    far: float
    near: float

    def place(self, point: Place) -> tuple[float, float]:
        from_middle = [a - b for a, b in zip(point[:3], self.middle, strict=True)]
        x, y = _along(from_middle, _RIGHT), _along(from_middle, _UP)
        return round(_WIDTH / 2 + x * self.scale, 1), round(_HEIGHT / 2 - y * self.scale, 1)

    def slice(self, point: Place) -> int:
        """Number the slice that holds a point, from 0 for the farthest."""
        share = (_along(point, _NEAR) - self.far) / ((self.near - self.far) or 1.0)
        return min(max(int(share * _SLICES), 0), _SLICES - 1)


def _along(point: Sequence[float], direction: Place) -> float:
    return sum(a * b for a, b in zip(point, direction, strict=False))


def _numbers(told: Any) -> Place:
    """Read a list of numbers; nothing if it has others, or some that can't be drawn."""
    numbers = [as_number(part) for part in told] if isinstance(told, list) else []
    fitting = tuple(part for part in numbers if part is not None and abs(part) < _GREATEST)
    return fitting if len(fitting) == len(numbers) else ()


def _boxes(told: Any) -> list[tuple[dict[str, Any], list[Place]]]:
    """Read the boxes of a scene, each with its eight corners."""
    entries = told[:_MOST_BOXES] if isinstance(told, list) else []
    boxes = [entry for entry in entries if isinstance(entry, dict)]
    cornered = [(box, box.get("corners")) for box in boxes]
    read = [(box, list(map(_numbers, told))) for box, told in cornered if isinstance(told, list)]
    return [(box, corners) for box, corners in read if list(map(len, corners)) == [3] * 8]


def _ends(points: Sequence[Place]) -> tuple[Place, Place]:
    columns = list(zip(*(point[:3] for point in points), strict=True))
    return tuple(map(min, columns)), tuple(map(max, columns))


def _view(lows: Place, highs: Place) -> _View:
    """Look at the space between two corners so that all of it is seen."""
    ends = list(zip(lows, highs, strict=True))
    middle = tuple((low + high) / 2 for low, high in ends)
    corners = list(itertools.product(*ends))
    spans = []
    for direction in (_RIGHT, _UP):
        places = [_along(corner, direction) for corner in corners]
        spans.append(max(places) - min(places) or 1.0)
    scale = min((_WIDTH - 2 * _MARGIN) / spans[0], (_HEIGHT - 2 * _MARGIN) / spans[1])
    depths = [_along(corner, _NEAR) for corner in corners]
    return _View(middle, scale, min(depths), max(depths))


def _dots(points: Sequence[Place], view: _View) -> list[Stroke]:
    """Put points of one colour and one slice into one path, the farthest slices first."""
    paths: dict[tuple[int, str, int], list[str]] = {}
    for point in points:
        paint = _paint(point[3:6]) if len(point) >= 6 else ""
        colour = int(point[3]) % COLOURS if len(point) in (4, 5) else 0
        x, y = view.place(point)
        paths.setdefault((view.slice(point), paint, colour), []).append(f"M{x} {y}h0")
    return [
        Stroke("".join(paths[place]), place[1], place[2], 0.3 + 0.7 * place[0] / (_SLICES - 1), "")
        for place in sorted(paths)
    ]


def _box(box: dict[str, Any], corners: Sequence[Place], view: _View) -> Stroke:
    places = [view.place(corner) for corner in corners]
    path = "".join(
        f"M{places[a][0]} {places[a][1]}L{places[b][0]} {places[b][1]}" for a, b in _EDGES
    )
    colour = _numbers(box.get("color"))
    # `box3d` takes shares; scenes that are written by hand have colours up to 255, as points do.
    bright = [part * 255 for part in colour] if max(colour, default=0) <= 1 else colour
    paint = _paint(bright) if len(colour) == 3 else ""
    score = as_number(box.get("score"))
    label = cut(str(box.get("label") or ""), _LONGEST)
    said = [label, "" if score is None else short_number(score)]
    return Stroke(path, paint, 0, 1.0, " ".join(filter(None, said)))


def _paint(colour: Sequence[float]) -> str:
    """Write a colour of red, green and blue up to 255, in 16 steps: points of one share a path."""
    return "#" + "".join(f"{min(max(int(part), 0), 255) // 16:x}" for part in colour)


def _axis(
    index: int, lows: Place, highs: Place, view: _View
) -> tuple[str, float, float, float, float]:
    end = tuple(highs[at] if at == index else low for at, low in enumerate(lows))
    return "xyz"[index], *view.place(lows), *view.place(end)
