"""Console lines as people saw them: colours and overwritten progress bars, nothing else."""

import re
from typing import NamedTuple

_COLOUR = re.compile(r"\x1b\[([0-9;]*)m")
_OTHER = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_MOST_SPANS = 200  # of one line; what follows has the last one's colour
_STYLES = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
_ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",)}


class Span(NamedTuple):
    """A piece of a line and the style sheet's classes for it, such as `ink-1 bold`."""

    text: str
    classes: str


def read_spans(line: str) -> list[Span]:
    """Split a console line by its colours.

    What a progress bar wrote before its last carriage return was never left to be seen.
    Only the sixteen plain colours, bold, dim, italic and underlined are kept.
    """
    shown = line.rstrip("\r\n").rpartition("\r")[2]
    pieces = _COLOUR.split(shown, maxsplit=_MOST_SPANS)
    ink, styles = "", set[str]()
    spans = []
    for index, piece in enumerate(pieces):
        if index % 2:
            ink, styles = _apply(piece, ink, styles)
        elif text := _OTHER.sub("", piece):
            spans.append(Span(text, " ".join(filter(None, [ink, *sorted(styles)]))))
    return spans


def _apply(codes: str, ink: str, styles: set[str]) -> tuple[str, set[str]]:
    numbers = [int(code[:4] or 0) for code in codes.split(";")]
    if 38 in numbers or 48 in numbers:
        return ink, styles  # one of 256 colours, or of millions: the page has sixteen
    for number in numbers:
        if number == 0:
            ink, styles = "", set()
        elif number in _STYLES:
            styles = styles | {_STYLES[number]}
        elif number in _ENDS:
            styles = styles - set(_ENDS[number])
        elif number == 39:
            ink = ""
        elif 30 <= number <= 37 or 90 <= number <= 97:
            ink = f"ink-{number % 10}"
    return ink, styles
