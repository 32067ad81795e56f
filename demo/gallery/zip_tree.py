"""Where the people begin in the folders of a zip: below those that stand round all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Folders that hold people, not photos of one: the parts of a data set, and what people call all their photos.
_PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev", "probe", "query",
                    "gallery"})
_ALL = _PARTS | frozenset({"photos", "photo", "pictures", "pics", "images", "imgs", "faces", "people", "persons",
                           "identities", "galleries", "data", "dataset", "datasets", "database", "set", "all", "lfw"})
#: What folders below a person's are called, and nobody is, unless somebody else stands beside: times and occasions.
_OCCASION = re.compile(
    r"spring|summer|autumn|fall|winter|january|february|march|april|may|june|july|august|september|october|"
    r"november|december|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|monday|tuesday|wednesday|thursday|friday|"
    r"saturday|sunday|holiday|holidays|vacation|travel|trip|party|wedding|birthday|christmas|easter|work|office|"
    r"home|school|family|friends|best|favourites|favorites|selected|old|new|raw|edited|originals|original|selfies|"
    r"selfie|portraits|portrait|profile|indoor|indoors|outdoor|outdoors|inside|outside|day|night|morning|evening|"
    r"session|front|frontal|side|left|right|smiling|neutral|masked|unmasked|mask|glasses|sunglasses|phone|camera|"
    r"webcam|scans|misc|other|others|more|with|without|and|in|at|the|a|of"
    r"|(19|20)\d\d((0\d|1[0-2])([0-3]\d)?)?")


def folders_around(folders: Iterable[tuple[str, ...]]) -> tuple[int, str]:
    """How many folders stand round those of the people. folders: of each photo; photos beside the people's folders are
    none of theirs. And a sentence where it may be otherwise; "" elsewhere."""
    left, count = [parts for parts in folders if parts], 0
    while any(len(parts) > 1 for parts in left):
        outer = {parts[0].lower() for parts in left}
        if not outer <= _PARTS:
            if len(outer) > 1:
                break
            inner = {parts[1] for parts in left if len(parts) > 1}
            name, below = left[0][0], f"({', '.join(sorted(inner)[:3])}{', …' if len(inner) > 3 else ''})"
            if not _holds_people(name.lower(), inner, sum(len(parts) == 1 for parts in left)):
                return count, (f"The zip holds one folder, {name}: what lies in its folders {below} was taken as "
                               "photos of one person. If those are people, call the folder round them photos.")
            if name.lower() not in _ALL and len(inner) < 3:
                told = (f"The zip holds one folder, {name}: its folders {below} were taken as people. If they are one "
                        f"person's, put {name} into a folder called photos.")
                return count + 1 + folders_around(parts[1:] for parts in left)[0], told
        left, count = [parts[1:] for parts in left if len(parts) > 1], count + 1
    return count, ""


def _holds_people(name: str, inner: set[str], beside: int) -> bool:
    """Whether the only folder holds people, and is not one. beside: photos that lie in it directly."""
    if name in _ALL:
        return True
    if all(map(_is_occasion, inner)):
        return False
    return beside < len(inner)


def _is_occasion(name: str) -> bool:
    words = re.findall(r"\d+|[^\W\d_]+", name.lower())
    told = [word for word in words if _OCCASION.fullmatch(word)]
    return bool(told) and all(word in told or word.isdigit() for word in words)
