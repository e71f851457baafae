"""Boxes that a run logged with an image: read from their file, and placed on the image."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wandb_server.pages.formats import as_number, cut, short_number
from wandb_server.pages.plots import COLOURS
from wandb_server.pages.stored_json import load_json

MOST_CLASSES = 64  # of a group of boxes, or of a mask
LONGEST = 60  # characters of a label
_LARGEST = 1 << 20  # bytes of a file of boxes
_NOT_NUMBERED = 8  # the colour, gray, of a box without a class

Labels = Mapping[int, str]
Size = tuple[float, float]


class Layer(NamedTuple):
    """What one switch shows and hides: a class. `filter` colours it in a mask, else it is ""."""

    id: str
    label: str
    colour: int
    filter: str


class Box(NamedTuple):
    """A box in units of its image; `text` stands beside it, `said` tells more of it."""

    layer: Layer
    x: float
    y: float
    width: float
    height: float
    text: str
    said: str


def as_labels(told: object) -> Labels:
    """Take labels from JSON, whose keys are texts; what isn't numbered is left out."""
    pairs = told.items() if isinstance(told, dict) else ()
    return {
        int(number): cut(str(label), LONGEST)
        for number, label in pairs
        if number.isascii() and number.removeprefix("-").isdigit() and len(number) < 10
    }


def read_boxes(
    path: Path, group: int, labels: Labels, size: Size, most: int
) -> tuple[list[Layer], list[Box]]:
    """Read a file of boxes, as the SDK writes it; what is no box there is passed over.

    Args:
        path: Where its content lies.
        group: A number that no other boxes or mask of this image have.
        labels: What the run's config says of the classes; the file itself may say it, too.
        size: Of the image; boxes are in pixels of it or in shares of it.
        most: So many boxes are read.

    Returns:
        The classes, and the boxes in the file's order.
    """
    found = load_json(path, _LARGEST)
    told = found if isinstance(found, dict) else {}
    labels = {**labels, **as_labels(told.get("class_labels"))}
    data = told.get("box_data")
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    placed = [(entry, place) for entry in entries if (place := _place(entry, size))][:most]
    counts = Counter(_class(entry) for entry, _ in placed)
    layers: dict[int | None, Layer] = {}
    for number in sorted(counts, key=lambda number: (number is None, number))[:MOST_CLASSES]:
        label = "no class" if number is None else labels.get(number, f"class {number}")
        colour = _NOT_NUMBERED if number is None else number % COLOURS
        layers[number] = Layer(f"{group}-{number}", f"{label} ({counts[number]})", colour, "")
    boxes = []
    for entry, place in placed:
        number = _class(entry)
        if number in layers:
            label = "" if number is None else labels.get(number, "")
            text = cut(str(entry.get("box_caption") or label), LONGEST)
            boxes.append(Box(layers[number], *place, text, text + _scores(entry)))
    return list(layers.values()), boxes


def _class(entry: Mapping[str, Any]) -> int | None:
    number = entry.get("class_id")
    return number if type(number) is int and abs(number) < 10**9 else None


def _scores(entry: Mapping[str, Any]) -> str:
    scores = entry.get("scores")
    pairs = list(scores.items())[:10] if isinstance(scores, dict) else []
    return "".join(f", {cut(str(name), LONGEST)} {short_number(number)}" for name, number in pairs)


def _place(entry: Mapping[str, Any], size: Size) -> tuple[float, float, float, float] | None:
    """Place a box on its image: its left, top, width and height; None for no box."""
    told = entry.get("position")
    if not isinstance(told, dict):
        return None
    middle = told.get("middle")
    if isinstance(middle, list) and len(middle) == 2:
        numbers = [as_number(part) for part in (*middle, told.get("width"), told.get("height"))]
    else:
        numbers = [as_number(told.get(name)) for name in ("minX", "minY", "maxX", "maxY")]
    a, b, c, d = numbers
    if a is None or b is None or c is None or d is None:
        return None
    ends = ((a - c / 2, a + c / 2), (b - d / 2, b + d / 2)) if middle else ((a, c), (b, d))
    unit = (1.0, 1.0) if entry.get("domain") == "pixel" else size
    (left, right), (top, bottom) = (
        sorted(_near(end * by, whole) for end in pair)
        for pair, by, whole in zip(ends, unit, size, strict=True)
    )
    return left, top, round(right - left, 2), round(bottom - top, 2)


def _near(place: float, whole: float) -> float:
    """Keep a place that is far outside of the image near to it: browsers draw no such numbers."""
    return round(min(max(place, -whole), 2 * whole), 2)
