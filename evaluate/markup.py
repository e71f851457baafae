"""Pieces of an HTML page. Texts from outside go through `text`, so that they stay texts."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from resampling import Interval

Values = np.ndarray[Any, Any]

# Pixels of a strip, and of the empty space at each end of its scale.
WIDTH, HEIGHT, MARGIN = 160, 18, 6


def text(value: Any) -> str:
    """Return a value as text that is no markup."""
    return escape(str(value))


def section(heading: str, *parts: str) -> str:
    """Return a section of the page."""
    return f"<section>\n<h2>{text(heading)}</h2>\n{chr(10).join(parts)}\n</section>"


def cell(content: str, kind: str = "number") -> str:
    """Return a cell of a table, of markup."""
    return f'<td class="{kind}">{content}</td>'


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    Args:
        columns: Heading and class (number or text) of each column.
        rows: Markup of the cells; the first one names the row.
    """
    kinds = [kind for _, kind in columns]
    head = "".join(f'<th class="{kind}" scope="col">{text(name)}</th>' for name, kind in columns)
    body = "\n".join(
        "<tr>" + f'<th scope="row">{row[0]}</th>' + "".join(map(cell, row[1:], kinds[1:])) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def pairs(values: dict[str, Any]) -> str:
    """Return names and values side by side."""
    rows = "\n".join(
        f"<div><dt>{text(name)}</dt><dd>{text(shown(value))}</dd></div>"
        for name, value in values.items()
    )
    return f"<dl>\n{rows}\n</dl>"


def shown(value: Any) -> str:
    """Return a parameter as config.yaml writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def strip(
    scale: tuple[float, float],
    point: float,
    interval: Interval | None,
    ring: float | None = None,
    zero: bool = False,
) -> str:
    """Draw a point with its interval on a scale, as SVG.

    Args:
        scale: Values at the two ends.
        point: Where the dot goes.
        interval: Where the whisker goes; None draws none.
        ring: Where a ring goes, for the other model; None draws none.
        zero: Whether 0 is marked.
    """
    low, high = scale

    def place(value: float) -> str:
        share = (value - low) / (high - low) if high > low else 0.5
        return f"{MARGIN + share * (WIDTH - 2 * MARGIN):.1f}"

    middle = HEIGHT // 2
    parts = [line("scale", MARGIN, WIDTH - MARGIN, middle)]
    if zero:
        at = place(0)
        parts.append(f'<line class="zero" x1="{at}" x2="{at}" y1="0" y2="{HEIGHT}"/>')
    if interval:
        parts.append(line("whisker", place(interval.low), place(interval.high), middle))
    if ring is not None:
        parts.append(f'<circle class="ring" cx="{place(ring)}" cy="{middle}" r="4"/>')
    parts.append(f'<circle class="dot" cx="{place(point)}" cy="{middle}" r="4"/>')
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'aria-hidden="true">{"".join(parts)}</svg>'
    )


def line(kind: str, start: float | str, end: float | str, height: float) -> str:
    """Return a level line of an SVG."""
    return f'<line class="{kind}" x1="{start}" x2="{end}" y1="{height}" y2="{height}"/>'


def matrix(labels: Sequence[str], counts: Values) -> str:
    """Return a confusion matrix as a table: actual classes down, predicted ones across.

    Args:
        labels: Names of the classes.
        counts: Rows by actual and predicted class.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heads = "".join(f'<th scope="col"><span>{text(name)}</span></th>' for name in labels)
    rows = []
    for name, row, parts in zip(labels, counts, shares, strict=True):
        cells = []
        for other, count, share in zip(labels, row, parts, strict=True):
            kind = "zero" if not count else "most" if share > 0.55 else ""
            about = text(f"{count} of {row.sum()} rows of {name} taken for {other}")
            cells.append(
                f'<td class="{kind}" style="--share:{share:.3f}" title="{about}">{count}</td>'
            )
        rows.append(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table class="matrix">\n<thead><tr><td></td>{heads}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table></div>"
    )


def image(pixels: Values, about: str) -> str:
    """Return an image that the page carries itself.

    Args:
        pixels: Shape (height, width, 4), uint8.
        about: What it shows.
    """
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, pixels, format="png")
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{text(about)}">'


def span(interval: Interval | None, sign: str = "") -> str:
    """Return an interval as markup; nothing for none."""
    if interval is None:
        return ""
    return f'<span class="quiet">{interval.low:{sign}.4f} to {interval.high:{sign}.4f}</span>'


def signed(change: float, fell: bool = False) -> str:
    """Return a change as markup."""
    return mark(f"{change:+.4f}", change, fell)


def mark(content: str, gain: float, fell: bool) -> str:
    """Return a change, coloured by whether it is a gain; a fall too far is said in words, too."""
    kind = "up" if gain > 0 else "down" if gain < 0 else ""
    return f'<span class="{kind}">{text(content)}{" (too far)" if fell else ""}</span>'


def note(sentence: str) -> str:
    """Return a remark as markup."""
    return f'<p class="note">{text(sentence)}</p>'
