"""Boxes and masks that a run logged with its images, as the pages lay them over these.

The SDK stores boxes as JSON, a mask as a gray picture whose shades are the numbers of classes,
and the names of classes in the run's config. The browser colours a mask itself, with one SVG
filter a class that lets only this class's shade through: neither a script nor a decoder of
pictures is needed, and each class is a layer that can be switched off.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wandb_server.pages.boxes import (
    LONGEST,
    MOST_CLASSES,
    Box,
    Labels,
    Layer,
    Size,
    as_labels,
    read_boxes,
)
from wandb_server.pages.formats import as_number, cut
from wandb_server.pages.logged import Value
from wandb_server.pages.plots import COLOURS

_MOST_GROUPS, _MOST_BOXES = 8, 200  # of an image
_SHADES = 256  # of a mask
_SOURCES = {"boxes": "bounding_box/class_labels", "masks": "mask/class_labels"}
_JOINT = "_wandb_delimeter_"  # as the SDK spells it, between the key and the name of a group


class Source(NamedTuple):
    """A file of boxes or the picture of a mask: where it lies, and its address."""

    path: Path
    url: str


class Group(NamedTuple):
    """A named set of boxes, or a mask, which has a `url`."""

    name: str
    layers: Sequence[Layer]
    boxes: Sequence[Box]
    url: str | None


class Overlay(NamedTuple):
    """What lies over an image of so many units; `said` is its description in words."""

    width: float
    height: float
    groups: Sequence[Group]
    said: str


class Filter(NamedTuple):
    """What lets one shade of a mask through and colours it; `table` has an opacity a shade."""

    id: str
    table: str
    colour: int


def read_labels(notes: Mapping[str, Any], key: str) -> dict[tuple[str, str], Labels]:
    """Read what the classes of boxes and masks are called.

    Args:
        notes: The SDK's in the run's config.
        key: Under which the images were logged.

    Returns:
        By kind, `boxes` or `masks`, and name of the group: the labels by the numbers of classes.
    """
    found = {}
    for kind, source in _SOURCES.items():
        told = notes.get(source)
        for place, entry in told.items() if isinstance(told, dict) else ():
            begin, _, name = place.partition(_JOINT)
            if begin == key and isinstance(entry, dict):
                found[kind, name] = as_labels(entry.get("value"))
    return found


def lay_over(
    value: Value,
    index: int,
    image: Path,
    find: Callable[[str], Source | None],
    labels: Mapping[tuple[str, str], Labels],
) -> Overlay | None:
    """Collect what lies over an image.

    Args:
        value: The logged image, or several of them.
        index: Which of these.
        image: Where its content lies.
        find: Finds a file of the run by its name.
        labels: From `read_labels`.

    Returns:
        Boxes and masks; None for an image that has none, or whose size isn't known.
    """
    asked = [
        (kind, name, source)
        for kind in _SOURCES
        for name, part in _parts(value, kind, index).items()
        if isinstance(part, dict) and (source := find(str(part.get("path"))))
    ][:_MOST_GROUPS]
    size = (_png_size(image) or _told_size(value)) if asked else None
    if size is None:
        return None
    groups: list[Group] = []
    for number, (kind, name, source) in enumerate(asked):
        known = labels.get((kind, name), {})
        if kind == "masks":
            groups.append(_mask(cut(name, LONGEST), source.url, number, known))
        else:
            left = _MOST_BOXES - sum(len(group.boxes) for group in groups)
            layers, boxes = read_boxes(source.path, number, known, size, left)
            groups.append(Group(cut(name, LONGEST), layers, boxes, None))
    groups.sort(key=lambda group: group.url is None)  # boxes lie over masks
    width, height = size
    return Overlay(width, height, groups, "; ".join(map(_say, groups)))


def _parts(value: Value, kind: str, index: int) -> Mapping[str, Any]:
    """Give the boxes or masks of one image: of several, they are in a list."""
    told = value.get(kind)
    several = value.get(f"all_{kind}")
    if isinstance(several, list):
        told = several[index] if index < len(several) else None
    return told if isinstance(told, dict) else {}


def _png_size(path: Path) -> tuple[int, int] | None:
    """Read the size of a PNG, which is what the SDK makes of arrays, from its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except FileNotFoundError:
        return None
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return None
    width, height = struct.unpack(">II", head[16:])
    return (width, height) if width and height else None


def _told_size(value: Value) -> Size | None:
    width, height = as_number(value.get("width")), as_number(value.get("height"))
    if width is None or height is None or not 1 <= min(width, height) <= max(width, height) < 1e6:
        return None
    return width, height


def _mask(name: str, url: str, group: int, labels: Labels) -> Group:
    """Lay out a mask by classes; one whose classes have no names is one layer but for shade 0."""
    numbers = sorted(number for number in labels if 0 <= number < _SHADES)[:MOST_CLASSES]
    layers = [
        Layer(f"{group}-{number}", labels[number], number % COLOURS, f"class-{number}")
        for number in numbers
    ]
    return Group(name, layers or [Layer(f"{group}-any", "all classes", 0, "class-any")], [], url)


def _say(group: Group) -> str:
    kind = "mask" if group.url else "boxes"
    return f"{kind} {group.name}: {', '.join(layer.label for layer in group.layers) or 'none'}"


def filters_of(overlays: Iterable[Overlay | None]) -> list[Filter]:
    """List the filters that the masks of a page need, each once."""
    layers = {
        layer.filter: layer
        for overlay in overlays
        if overlay
        for group in overlay.groups
        for layer in group.layers
        if layer.filter
    }
    return [Filter(name, _table(name), layer.colour) for name, layer in sorted(layers.items())]


def _table(name: str) -> str:
    """Write the opacity of each shade: 1 for that of the class, or for all but the first one."""
    own = name.removeprefix("class-")
    shown = range(1, _SHADES) if own == "any" else [int(own)]
    return " ".join("1" if shade in shown else "0" for shade in range(_SHADES))
