"""Letters: the fonts of all pictures and figures, measuring, shortening and wrapping."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

from demo.words import columns, cut

log = logging.getLogger("demo")

_OWN = "DejaVu Sans"
#: Fonts that carry names in Chinese, Japanese or Korean on one system or another: looked into first.
_EAST_ASIAN = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR",
    "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAexGothic", "NanumGothic",
    "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS",
    "Yu Gothic", "Meiryo", "MS Gothic", "Microsoft YaHei", "SimHei", "Malgun Gothic")
#: Fonts that have a sign for every letter, which shows that there is none.
_NO_LETTERS = "last resort"
#: Families of letters whose Unicode names end in how they sound.
_SOUNDING = re.compile(r"(?:HIRAGANA|KATAKANA|HANGUL|BOPOMOFO)(?: LETTER)?(?: SMALL)?(?: SYLLABLE)? (\w+)$")


def families(text: str = "") -> tuple[str, ...]:
    """Font families for figures, first choice first. DejaVu Sans comes with matplotlib, so it is always there; others
    follow that have letters of the text which it lacks, where one is installed."""
    return tuple(dict.fromkeys((_OWN, *(family for letter in text if (family := _family(letter))))))


def drawable(text: str) -> str:
    """The text with letters that no installed font has written by how they sound, or by their numbers, in brackets."""
    if all(map(_family, text)):
        return text
    _told(next(letter for letter in text if not _family(letter)))
    runs = re.findall("[^\0]+|\0+", "".join(letter if _family(letter) else "\0" for letter in text))
    out, at = [], 0
    for run in runs:
        part, at = text[at:at + len(run)], at + len(run)
        out.append(part if run[0] != "\0" else f"[{' '.join(map(_spelled, part))}]")
    return "".join(out)


def _spelled(letter: str) -> str:
    sound = _SOUNDING.match(unicodedata.name(letter, ""))
    return sound.group(1).lower() if sound else f"{ord(letter):X}"


@cache
def _told(letter: str) -> None:
    log.warning("No installed font has %s, so figures spell such letters: install one, as WenQuanYi Micro Hei "
                "(on Debian fonts-wqy-microhei).", letter)


@cache
def _family(letter: str) -> str | None:
    """The first family that has a letter; controls and spaces need none."""
    if letter.isspace() or not letter.isprintable() or ord(letter) in _letters(_OWN):
        return _OWN
    installed = sorted(font.name for font in font_manager.fontManager.ttflist if _NO_LETTERS not in font.name.lower())
    first = [name for name in _EAST_ASIAN if name in installed]
    return next((name for name in dict.fromkeys((*first, *installed)) if ord(letter) in _letters(name)), None)


@cache
def _letters(family: str) -> frozenset[int]:
    """Numbers of the letters that a family has."""
    file = next(font.fname for font in font_manager.fontManager.ttflist if font.name == family)
    return frozenset(FT2Font(file).get_charmap())


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans for drawing with Pillow; ``size`` in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of one line of text in the unit of ``size`` (points or pixels)."""
    narrow = "".join(letter for letter in text if columns(letter) < 2)
    return font(100, bold).getlength(narrow) * size / 100 + (len(text) - len(narrow)) * size


def shorten(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text on one line of at most ``width``; what does not fit is left out in the middle."""
    return cut(_one_line(text), lambda one: text_width(one, size, bold) <= width)


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
    return drawable(re.sub(r"[ \t\r\n]+", " ", text).strip())
