"""Boxes and masks over images, and point clouds: read from files that may hold anything."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from wandb_server.pages.boxes import Box, Layer, read_boxes
from wandb_server.pages.overlays import Overlay, Source, filters_of, lay_over, read_labels
from wandb_server.pages.point_clouds import Cloud, draw_cloud

SIZE = (200, 100)
NOTES = {
    "mask/class_labels": {
        "street_wandb_delimeter_ground": {"value": {"0": "sky", "7": "road", "x": "?", "900": "?"}},
        "other_wandb_delimeter_ground": {"value": {"1": "of another key"}},
        "street_wandb_delimeter_broken": 3,
    },
    "bounding_box/class_labels": {"street_wandb_delimeter_found": {"value": {"2": "car"}}},
}


def png(width: int, height: int) -> bytes:
    """Write what tells a picture's size; the rest of it is the browser's affair."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)


def read(folder: Path, content: Any, **labels: str) -> list[Box]:
    path = folder / "found.boxes2D.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    known = {int(number.removeprefix("class")): label for number, label in labels.items()}
    return read_boxes(path, 0, known, SIZE, 200)[1]


def box(**fields: Any) -> dict[str, Any]:
    position = {"minX": 0.1, "maxX": 0.5, "minY": 0.2, "maxY": 0.4}
    return {"position": position, "class_id": 2, **fields}


def laid_over(folder: Path, value: dict[str, Any], index: int = 0) -> Overlay | None:
    """Lay what `value` names over an image, with one file of a box and one mask at hand."""
    (folder / "found").write_text(json.dumps({"box_data": [box()]}))
    (folder / "image").write_bytes(png(*SIZE))
    files = {"found.json": Source(folder / "found", "/found"), "m.png": Source(folder, "/mask")}
    return lay_over(value, index, folder / "image", files.get, read_labels(NOTES, "street"))


def test_boxes_are_placed_by_ends_or_middle_in_shares_or_pixels(tmp_path: Path) -> None:
    middle = {"middle": [60, 30], "width": 80, "height": 20}
    ends = {"minX": 20, "maxX": 100, "minY": 20, "maxY": 40}
    data = [box(), box(position=middle, domain="pixel"), box(position=ends, domain="pixel")]
    found = read(tmp_path, {"box_data": data})
    assert [(one.x, one.y, one.width, one.height) for one in found] == [(20, 20, 80, 20)] * 3


def test_a_box_has_its_caption_or_its_class_and_tells_its_scores(tmp_path: Path) -> None:
    data = [box(box_caption="mine", scores={"acc": 0.98765432}), box(), box(class_id=5)]
    content = {"box_data": data, "class_labels": {"5": "tree"}}
    found = read(tmp_path, content, class2="car")
    assert [(one.text, one.said) for one in found] == [
        *(("mine", "mine, acc 0.98765"), ("car", "car"), ("tree", "tree"))
    ]
    assert [one.layer for one in found] == [
        Layer("0-2", "car (2)", 2, ""),
        Layer("0-2", "car (2)", 2, ""),
        Layer("0-5", "tree (1)", 5, ""),
    ]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (box(position={"minX": 0.5, "maxX": 0.1, "minY": 0.4, "maxY": 0.2}), (20, 20, 80, 20)),
        (
            box(position={"middle": [0, 0], "width": 1e300, "height": 9e307}),
            (-200, -100, 600, 300),
        ),
        (box(position={"minX": 1, "maxX": 1, "minY": 0, "maxY": 0}), (200, 0, 0, 0)),
    ],
)
def test_a_box_in_a_strange_place_is_kept_near_its_image(
    tmp_path: Path, entry: dict[str, Any], place: tuple[float, ...]
) -> None:
    (found,) = read(tmp_path, {"box_data": [entry]})
    assert (found.x, found.y, found.width, found.height) == place


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[" * 100_000,
        [1],
        {"box_data": 3},
        {"box_data": [3, None, [], {}]},
        {"box_data": [box(position=None)]},
        {"box_data": [box(position={"minX": "0"})]},
        {"box_data": [box(position={"minX": 0, "maxX": 10**400, "minY": 0, "maxY": 1})]},
        '{"box_data": [{"position": {"minX": NaN, "maxX": 1, "minY": 0, "maxY": 1}}]}',
        {"box_data": [box(position={"middle": [1], "width": 1, "height": 1})]},
    ],
)
def test_what_is_no_box_is_passed_over(tmp_path: Path, content: Any) -> None:
    assert read(tmp_path, content) == []
    assert read_boxes(tmp_path / "gone", 0, {}, SIZE, 200) == ([], [])


@pytest.mark.parametrize("number", [None, "2", True, 1.5, 10**12])
def test_a_box_whose_class_is_no_number_has_none(tmp_path: Path, number: Any) -> None:
    (found,) = read(tmp_path, {"box_data": [box(class_id=number)]}, class0="zero", class1="one")
    assert (found.layer.label, found.text) == ("no class (1)", "")


def test_many_boxes_and_long_words_are_cut(tmp_path: Path) -> None:
    found = read(tmp_path, {"box_data": [box(box_caption="x" * 999)] * 500})
    assert len(found) == 200
    assert len(found[0].text) == 60


def test_masks_lie_below_boxes_and_classes_are_called_as_the_config_says(tmp_path: Path) -> None:
    value = {"boxes": {"found": {"path": "found.json"}}, "masks": {"ground": {"path": "m.png"}}}
    found = laid_over(tmp_path, value)
    assert found is not None
    assert (found.width, found.height) == SIZE
    mask, boxes = found.groups
    assert [(layer.label, layer.filter) for layer in mask.layers] == [
        *(("sky", "class-0"), ("road", "class-7"))
    ]
    assert (mask.url, boxes.url, len(boxes.boxes)) == ("/mask", None, 1)
    assert found.said == "mask ground: sky, road; boxes found: car (1)"


def test_each_of_several_images_has_its_own_boxes_and_masks(tmp_path: Path) -> None:
    masks = [None, {"ground": {"path": "m.png"}}]
    value = {"all_masks": masks, "all_boxes": [{"found": {"path": "found.json"}}]}
    said = [found and found.said for found in (laid_over(tmp_path, value, at) for at in range(3))]
    assert said == ["boxes found: car (1)", "mask ground: sky, road", None]


def test_a_filter_shows_one_shade_and_one_without_names_all_but_the_first(tmp_path: Path) -> None:
    value = {"masks": {"ground": {"path": "m.png"}, "unknown": {"path": "m.png"}}}
    overlays = [laid_over(tmp_path, value), None, laid_over(tmp_path, value)]
    shown = {
        found.id: [shade for shade, opacity in enumerate(found.table.split()) if opacity == "1"]
        for found in filters_of(overlays)
    }
    assert shown == {"class-0": [0], "class-7": [7], "class-any": list(range(1, 256))}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"boxes": 3, "masks": []},
        {"boxes": {"found": 3}, "masks": {"a": {"path": 7}}},
        {"masks": {"a": {"path": "gone.png"}}},
        {"all_masks": "text", "all_boxes": [3]},
    ],
)
def test_an_image_with_nothing_to_lay_over_it_stays_as_it_is(
    tmp_path: Path, value: dict[str, Any]
) -> None:
    assert laid_over(tmp_path, value) is None


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), ("1", "1"), (None, None), (1e9, 1e9)])
def test_an_image_of_no_known_size_stays_as_it_is(tmp_path: Path, size: tuple[Any, Any]) -> None:
    value = {"masks": {"a": {"path": "m"}}, "width": size[0], "height": size[1]}
    path = tmp_path / "image.jpg"
    path.write_bytes(b"no png")
    assert lay_over(value, 0, path, lambda _: Source(path, "/m"), {}) is None
    told = value | {"width": 30, "height": 20}
    found = lay_over(told, 0, path, lambda _: Source(path, "/m"), {})
    assert found is not None
    assert (found.width, found.height) == (30, 20)


def cloud(folder: Path, content: Any) -> Cloud | None:
    path = folder / "cloud.pts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return draw_cloud(path, "cloud")


def test_a_point_cloud_is_drawn_within_its_picture_the_far_points_first(tmp_path: Path) -> None:
    found = cloud(tmp_path, [[0, 0, 0], [1, 0, 0], [0, -4, 0], [0, 0, 2.5]])
    assert found is not None
    assert found.text == "4 points: x from 0 to 1, y from -4 to 0, z from 0 to 2.5."
    assert [dots.strength for dots in found.dots] == sorted(dots.strength for dots in found.dots)
    places = [
        tuple(map(float, dot.removesuffix("h0").split()))
        for dots in found.dots
        for dot in dots.path[1:].split("M")
    ]
    assert len(places) == 4
    assert all(0 < x < found.width and 0 < y < found.height for x, y in places)


def test_colours_of_points_are_those_given_or_those_of_their_category(tmp_path: Path) -> None:
    painted = cloud(tmp_path, [[0, 0, 0, 255, 128, 0], [0, 0, 1, 999, -5, 0]])
    assert painted is not None
    assert {dots.paint for dots in painted.dots} == {"#f80", "#f00"}
    sorted_ = cloud(tmp_path, [[0, 0, 0, 1], [0, 0, 1, 13]])
    assert sorted_ is not None
    assert {dots.colour for dots in sorted_.dots} == {1, 3}


def test_a_scene_has_labelled_boxes_of_twelve_edges(tmp_path: Path) -> None:
    corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    boxes = [
        {"corners": corners, "label": "car", "score": 0.9, "color": [0, 1, 0]},
        {"corners": corners[:7]},
        {"corners": 3},
        "text",
    ]
    scene = {"type": "lidar/beta", "points": [[0, 0, 0]], "boxes": boxes, "vectors": []}
    found = cloud(tmp_path, scene)
    assert found is not None
    (only,) = found.boxes
    assert (only.text, only.paint, only.path.count("M")) == ("car 0.9", "#0f0", 12)


def test_of_many_points_an_even_part_is_drawn_and_told(tmp_path: Path) -> None:
    found = cloud(tmp_path, [[number, 0, 0] for number in range(9_000)])
    assert found is not None
    assert "9000 points, of which 1800 are drawn" in found.text
    assert sum(dots.path.count("M") for dots in found.dots) == 1800


@pytest.mark.parametrize(
    "content",
    ["", "{", "[" * 100_000, "3", [], {}, {"points": 3}, [[1, 2]], [["1", 2, 3]], [[1e300, 0, 0]]],
)
def test_what_is_no_point_cloud_is_passed_over(tmp_path: Path, content: Any) -> None:
    assert cloud(tmp_path, content) is None
    assert draw_cloud(tmp_path / "gone", "cloud") is None
