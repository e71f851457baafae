"""Figures as arrays of RGBA pixels."""

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Values = np.ndarray[Any, Any]


def draw_confusion(labels: list[str], counts: Values) -> Values:
    """Draw a confusion matrix: actual classes down, predicted ones across, shaded by row share.

    Args:
        labels: Names of the classes.
        counts: Rows by actual and predicted class, in the order of the labels.

    Returns:
        Pixels of shape (height, width, 4), uint8.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(3 + 0.4 * len(labels), 40)
    # No pyplot: it takes half a second to import and looks for a screen.
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="actual")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] > 0.5 else "black"
        text = axes.text(column, row, count, ha="center", va="center", color=shade, fontsize=7)
        # It lies within the axes: to fit it in takes a sixth of the drawing, and changes nothing.
        text.set_in_layout(False)
    return render(figure)


def draw_predictions(actual: Values, predicted: Values) -> Values:
    """Draw one dot a row: the predicted value over the actual one, and the line of equality.

    Args:
        actual: One number a row.
        predicted: One number a row.

    Returns:
        Pixels of shape (height, width, 4), uint8.
    """
    figure = Figure(figsize=(7, 7), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="actual", ylabel="predicted")
    axes.scatter(actual, predicted, s=8, alpha=0.4)
    axes.axline((float(np.mean(actual)),) * 2, slope=1, color="black", linewidth=1)
    return render(figure)


def render(figure: Figure) -> Values:
    """Return the pixels of a figure."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()
