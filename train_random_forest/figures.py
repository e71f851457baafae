"""Figures as arrays of RGBA pixels."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

Values = np.ndarray[Any, Any]


def draw_importances(importances: dict[str, float]) -> Values:
    """Draw one bar a column, in the order given, from top to bottom.

    Args:
        importances: Importance by column.

    Returns:
        Pixels of shape (height, width, 4), uint8.
    """
    figure = Figure(figsize=(7, 1.5 + 0.3 * len(importances)), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="importance")
    axes.barh(list(importances), list(importances.values()))
    axes.invert_yaxis()
    return render(figure)


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
    return write_counts(render(figure), axes, counts, shares > 0.5)


def write_counts(pixels: Values, axes: Axes, counts: Values, dark: Values) -> Values:
    """Write the count of each cell into the picture of a matrix.

    Pillow does it: matplotlib takes 2 ms a number, and for all of them more than for the rest.

    Args:
        pixels: The picture, of shape (height, width, 4), uint8.
        axes: Where the matrix is in it: cell (row, column) at y=row, x=column.
        counts: Number by row and column.
        dark: Whether a cell's shade is a dark one, by row and column.

    Returns:
        The picture with the numbers.
    """
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    font = ImageFont.truetype(findfont(FontProperties()), 9.7)  # pixels a letter is high
    for (row, column), count in np.ndenumerate(counts):
        x, y = axes.transData.transform((column, row))
        shade = "white" if dark[row, column] else "black"
        # Above is less for Pillow, and more for matplotlib.
        pen.text((x, image.height - y), str(count), fill=shade, font=font, anchor="mm")
    return np.asarray(image)


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
