"""A sheet measured in inches, on which figures are laid out: pictures, text that fits, rules."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from demo.drawing.text import families, shorten, wrap

INK, MUTED, FAINT = "#1b1f24", "#57606a", "#c9ced6"
RIGHT, WRONG = "#00795c", "#c2410c"
#: Dots per inch at which figures are drawn on a screen or saved as PNG.
DPI = 150
#: Matplotlib's letters can be a little wider than Pillow measures them.
_SLACK = 0.97


class Page:
    """A white matplotlib figure with one coordinate system: inches from the upper left corner.

    Made with matplotlib's object interface only, so that figures can be drawn in any thread.
    """

    def __init__(self, width: float, height: float):
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        self.figure.suppressComposite = True
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.set_axis_off()
        self.width, self.height = width, height

    def picture(self, picture: np.ndarray, box: tuple[float, float, float, float], *, frame: str = FAINT,
                frame_width: float = 0.8) -> None:
        """A picture in ``box`` (x, y, width, height), framed."""
        x, y, width, height = box
        self.axes.imshow(picture, extent=(x, x + width, y + height, y), aspect="auto", interpolation="bicubic")
        self.axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=frame, linewidth=frame_width))

    def text(self, x: float, y: float, text: str, size: float, *, width: float, bold: bool = False,
             colour: str = INK, align: str = "left") -> None:
        """One line with its middle at height ``y``, shortened to ``width`` inches."""
        line = shorten(text, 72 * width * _SLACK, size, bold)
        self.axes.text(x, y, line, size=size, color=colour, ha=align, va="center",
                       weight="bold" if bold else "normal", family=families(line), parse_math=False)

    def paragraph(self, x: float, y: float, text: str, size: float, *, width: float, lines: int,
                  bold: bool = False, colour: str = INK) -> float:
        """Up to ``lines`` lines from ``y`` downwards, ``width`` inches wide; returns the y below them."""
        step = size * 1.4 / 72
        for line in self.lines(text, size, width=width, lines=lines, bold=bold):
            self.text(x, y + step / 2, line, size, width=width, bold=bold, colour=colour)
            y += step
        return y

    @staticmethod
    def lines(text: str, size: float, *, width: float, lines: int, bold: bool = False) -> list[str]:
        """The text broken into up to ``lines`` lines that ``text`` can draw within ``width`` inches."""
        return wrap(text, 72 * width * _SLACK, size, lines, bold)

    def rule(self, x: float, y: float, width: float) -> None:
        self.axes.add_line(Line2D((x, x + width), (y, y), color=FAINT, linewidth=0.8))

    def mark(self, x: float, y: float, right: bool) -> None:
        """✓ or ✗ in a coloured square whose upper left corner is at x, y."""
        side = 0.17
        self.axes.add_patch(Rectangle((x, y), side, side, color=RIGHT if right else WRONG, linewidth=0))
        self.axes.text(x + side / 2, y + side / 2, "✓" if right else "✗", size=9, color="white", ha="center",
                       va="center_baseline", weight="bold", family="DejaVu Sans")
