"""Letters: the fonts of all pictures and figures, measuring, shortening and wrapping."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from PIL import ImageFont

#: Fonts that carry names in Chinese, Japanese or Korean, used where one is installed.
_EAST_ASIAN = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "WenQuanYi Zen Hei")


@cache
def families() -> tuple[str, ...]:
    """Font families for figures, first choice first. DejaVu Sans comes with matplotlib, so it is always there."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed))


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans for drawing with Pillow; ``size`` in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of one line of text in the unit of ``size`` (points or pixels)."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    narrow = "".join(letter for letter in text if unicodedata.east_asian_width(letter) not in "WF")
    return font(100, bold).getlength(narrow) * size / 100 + wide * size


def shorten(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text on one line of at most ``width``; what does not fit becomes an ellipsis."""
    text = _one_line(text)
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap(text: str, width: float, size: float, lines: int, bold: bool = False) -> list[str]:
    """The text in at most ``lines`` lines of ``width``, the last one shortened to fit.

    Lines break at spaces, and after the underscores of a word (a folder's name) that is too wide for a line;
    a no-break space stays unbroken.
    """
    pieces = []
    for word in re.findall(r"[^ ]+ ?", _one_line(text)):
        too_wide = text_width(word.rstrip(" "), size, bold) > width
        pieces += re.findall(r"[^_]+_*|_+", word) if too_wide else [word]
    broken = []
    while pieces and len(broken) < lines - 1:
        taken = 1
        while taken < len(pieces) and text_width("".join(pieces[:taken + 1]).rstrip(" "), size, bold) <= width:
            taken += 1
        broken.append(shorten("".join(pieces[:taken]), width, size, bold))
        pieces = pieces[taken:]
    return [*broken, shorten("".join(pieces), width, size, bold)] if pieces else broken


def _one_line(text: str) -> str:
    return re.sub(r"[ \t\r\n]+", " ", text).strip()
