"""What a run's page shows besides lines: plots, images, web pages, sounds, films, tables."""

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wandb_server.errors import ClientError
from wandb_server.pages import addresses
from wandb_server.pages.cells import preview_logged
from wandb_server.pages.custom_charts import (
    Matrix,
    Preset,
    draw_mapped,
    draw_preset,
    read_presets,
)
from wandb_server.pages.frames import Frame, make_frame
from wandb_server.pages.histograms import Histogram, read_histogram
from wandb_server.pages.logged import Logged, Value, paths_of, read_logged, sdk_notes
from wandb_server.pages.overlays import Overlay, Source, filters_of, lay_over, read_labels
from wandb_server.pages.plotly_figures import draw_figure
from wandb_server.pages.plots import Plot, draw_bands, draw_columns
from wandb_server.pages.point_clouds import Cloud, draw_cloud
from wandb_server.pages.previews import Preview, preview, read_table
from wandb_server.pages.visits import FileLink, Visit
from wandb_server.run_files import RunFile
from wandb_server.runs import Run

# Kinds of what is shown, and how many of each.
_MOST = {
    "figures": 24,
    "images": 60,
    "html": 4,
    "audio": 20,
    "video": 20,
    "tables": 8,
    "others": 20,
}
_NOT_DRAWN = (
    "A plotly figure of a kind that isn't drawn here. Plotly's own script shows it, if it is "
    "logged as wandb.Html(figure.to_html(include_plotlyjs=True))."
)
_NO_BOKEH = (
    "A figure of bokeh isn't drawn here. Its own script shows it, if it is logged as "
    "wandb.Html(bokeh.embed.file_html(figure, 'inline'))."
)
_LOGGED = "media/"  # where the SDK puts the files of logged values


class Figure(NamedTuple):
    """A drawn value; `table` leads to what is behind it, which `word` names, or is None."""

    key: str
    drawn: Plot | Matrix | Cloud
    table: FileLink | None
    word: str = "Table"
    note: str = ""


class Shown(NamedTuple):
    """A file that is shown where it is, under its key and caption; `over` lies over an image."""

    text: str
    file: FileLink
    over: Overlay | None = None


class PageShown(NamedTuple):
    """A web page that is shown in a frame, under its key."""

    text: str
    file: FileLink
    frame: Frame


class Other(NamedTuple):
    """A value that isn't shown here, and why; its file is a link away."""

    text: str
    file: FileLink
    note: str


class TableShown(NamedTuple):
    """The head of a logged table; `note` says why it isn't a chart, if it should be one."""

    key: str
    file: FileLink
    found: Preview
    note: str


class _File(NamedTuple):
    stored: RunFile
    link: FileLink


class _Whole(NamedTuple):
    """What all values of a run are shown with; `notes` are the SDK's in its config."""

    visit: Visit
    url: str
    files: Mapping[str, _File]
    presets: Mapping[str, Preset]
    notes: Mapping[str, Any]


def show_media(
    visit: Visit, found: Run, url: str, files: Sequence[RunFile], links: Sequence[FileLink]
) -> dict[str, Any]:
    """Collect what a run logged besides numbers, at the step that the address asks for.

    Args:
        visit: Whose query may hold `step`.
        found: The run.
        url: The run's own page.
        files: All files of the run.
        links: The same, as links.

    Raises:
        ClientError: The step is no whole number.
    """
    step = _read_step(visit.query.get("step", ""))
    logged = read_logged(visit.connection, found, step)
    media = _sort_out(visit, found, logged, _by_name(files, links), url)
    return {
        **{kind: items[: _MOST[kind]] for kind, items in media.items()},
        "mask_filters": filters_of(item.over for item in media["images"][: _MOST["images"]]),
        "media_left_out": sum(max(len(items) - _MOST[kind], 0) for kind, items in media.items()),
        "step": step,
        **_choices(visit, url, logged.steps, step),
    }


def last_media(
    visit: Visit, found: Run, files: Sequence[RunFile], links: Sequence[FileLink]
) -> tuple[list[Figure], list[Shown]]:
    """Give the plots and images that a run logged last; arguments as of `show_media`."""
    logged = read_logged(visit.connection, found, None)
    media = _sort_out(visit, found, logged, _by_name(files, links), "")
    return media["figures"], media["images"]


def _by_name(files: Sequence[RunFile], links: Sequence[FileLink]) -> dict[str, _File]:
    pairs = zip(files, links, strict=True)
    return {file.name: _File(file, link) for file, link in pairs if link.url}


def _sort_out(
    visit: Visit, run: Run, logged: Logged, files: Mapping[str, _File], url: str
) -> dict[str, list[Any]]:
    """Put logged values and other images where the page shows them; files may be missing."""
    whole = _Whole(visit, url, files, read_presets(run.config), sdk_notes(run.config))
    media: dict[str, list[Any]] = {kind: [] for kind in _MOST}
    for key, value in logged.values.items():
        for index, (path, caption) in enumerate(paths_of(value)):
            if path in files:  # else it isn't uploaded, or not yet
                text = ": ".join(filter(None, [key, caption]))
                kind, shown = _show(whole, key, value, files[path], text)
                if kind == "images" and len(media[kind]) < _MOST[kind]:
                    shown = shown._replace(over=_overlay(whole, key, value, index, files[path]))
                media[kind].append(shown)
    media["figures"] += _histograms(logged)
    media["images"] += [
        Shown(name, file.link)
        for name, file in files.items()
        if file.link.is_image and not name.startswith(_LOGGED)
    ]
    return media


def _show(whole: _Whole, key: str, value: Value, file: _File, text: str) -> tuple[str, Any]:
    """Tell as what of `_MOST` a file of a logged value is shown, and how."""
    name = file.stored.name
    kind = _kind(file.link)
    if name.endswith(".table.json"):
        preset = whole.presets.get(key)
        if drawn := _draw(whole.visit, preset, file):
            return "figures", drawn
        return "tables", _table(whole.visit, key, preset, value, file)
    if name.endswith(".plotly.json"):
        shown = _figure(whole.visit, key, file)
        return ("figures" if isinstance(shown, Figure) else "others"), shown
    if name.endswith(".pts.json"):
        cloud = draw_cloud(whole.visit.blobs.path(file.stored.digest), text)
        if cloud:
            return "figures", Figure(text, cloud, file.link, "File")
    if name.endswith(".bokeh.json"):
        return "others", Other(key, file.link, _NO_BOKEH)
    if kind == "html":
        return kind, _page(whole.visit, whole.url, key, file)
    if kind:
        return kind, Shown(text, file.link)
    return "others", Other(key, file.link, f"{value['_type']}: it isn't drawn here.")


def _overlay(whole: _Whole, key: str, value: Value, index: int, file: _File) -> Overlay | None:
    def find(path: str) -> Source | None:
        found = whole.files.get(path)
        return found and Source(blobs.path(found.stored.digest), found.link.url or "")

    blobs = whole.visit.blobs
    labels = read_labels(whole.notes, key)
    return lay_over(value, index, blobs.path(file.stored.digest), find, labels)


def _read_step(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ClientError(f"step {text[:20]!r}: a whole number is wanted")
    return int(text)


def _choices(visit: Visit, url: str, steps: Sequence[int], step: int | None) -> dict[str, Any]:
    """Give the steps before and after the wanted one, as links that keep the rest."""
    kept = [(name, value) for name, value in visit.query.multi_items() if name != "step"]

    def link(other: int | None) -> str:
        pairs = kept if other is None else [*kept, ("step", str(other))]
        return addresses.with_query(url, pairs) + "#media"

    earlier = [other for other in steps if step is None or other < step]
    if step is None:
        earlier = earlier[:-1]  # the last step is what is shown
    later = [other for other in steps if step is not None and other > step]
    return {
        "kept": kept,
        "steps": (steps[0], steps[-1]) if len(steps) > 1 else None,
        "earlier_url": link(earlier[-1]) if earlier else None,
        "later_url": link(later[0]) if later else None,
        "last_url": link(None) if step is not None else None,
    }


def _histograms(logged: Logged) -> list[Figure]:
    figures = []
    for key, value in logged.values.items():
        if histogram := read_histogram(value):
            figures.append(Figure(key, draw_columns("count", key, histogram), None))
            course = _course(logged, key)
            if len(course) > 1:
                figures.append(
                    Figure(f"{key} over steps", draw_bands(f"{key} over steps", course), None)
                )
    return figures


def _course(logged: Logged, key: str) -> list[tuple[float, Histogram]]:
    found = [(step, read_histogram(values.get(key, {}))) for step, values in logged.course]
    return [(step, histogram) for step, histogram in found if histogram]


def _draw(visit: Visit, preset: Preset | None, file: _File) -> Figure | None:
    if preset is None:
        return None
    content = read_table(visit.blobs.path(file.stored.digest))
    if content is None:
        return None
    if drawn := draw_preset(preset, *content):
        return Figure(preset.title, drawn, file.link)
    drawn = draw_mapped(preset, *content)
    note = f"The columns that {preset.name} is given; that preset itself is only in W&B's cloud."
    return Figure(preset.title, drawn, file.link, note=note) if drawn else None


def _table(visit: Visit, key: str, preset: Preset | None, value: Value, file: _File) -> TableShown:
    note = f"A chart of the preset {preset.name}, which can't be drawn here." if preset else ""
    stored = preview_logged(visit, value.get("artifact_path"))
    if stored is None:
        stored = file.link, preview(visit.blobs.path(file.stored.digest), file.stored.name)
    return TableShown(key, *stored, note)


def _figure(visit: Visit, key: str, file: _File) -> Figure | Other:
    drawn = draw_figure(visit.blobs.path(file.stored.digest))
    if drawn is None:
        return Other(key, file.link, _NOT_DRAWN)
    return Figure(key, drawn, file.link, "Figure")


def _page(visit: Visit, url: str, key: str, file: _File) -> PageShown:
    path = visit.blobs.path(file.stored.digest)
    return PageShown(key, file.link, make_frame(visit, url, url, file.link, path))


def _kind(link: FileLink) -> str | None:
    """Tell how a browser shows a logged file: as one of `_MOST`, or None."""
    if link.is_image:
        return "images"
    if link.is_page:
        return "html"
    kind = (mimetypes.guess_type(link.name)[0] or "").partition("/")[0]
    return kind if kind in {"audio", "video"} else None
