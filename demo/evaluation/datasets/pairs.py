"""Pairs of photos for verification: one reader per official form, and pairs drawn where there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from demo.errors import BadSetting
from demo.gallery import Photo

#: Folds of every official protocol.
FOLDS = 10


@dataclass(frozen=True)
class Pair:
    """Two photos, whether they show one person, and the fold (from 0) where the list gives one."""

    first: Photo
    second: Photo
    same: bool
    fold: int | None = None


#: (photos of the data set, the list) → pairs.
Reader = Callable[[Sequence[Photo], Path], list[Pair]]


def lfw_pairs(photos: Sequence[Photo], file: Path) -> list[Pair]:
    """LFW's two forms, ``name 1 2`` for one person and ``name 1 other 3`` for two.

    pairs.txt (view 2) begins with ``10 300``: ten folds of 300 pairs of one person, then 300 of two.
    pairsDevTrain.txt and pairsDevTest.txt (view 1) begin with one number and have no folds.
    """
    header, *lines = _rows(file)
    if len(header) > 2 or not all(word.isdecimal() for word in header):
        raise BadSetting(f"{file.name} does not begin like an LFW pair list, with '10 300' or one number.")
    per_fold = 2 * int(header[1]) if len(header) == 2 else None
    find, pairs = _finder(photos, lambda photo: photo.file.stem), []
    for number, words in enumerate(lines):
        if len(words) == 3:
            (name, one, two), other = words, words[0]
        elif len(words) == 4:
            name, one, other, two = words
        else:
            raise _unreadable(file, words)
        if not (one.isdecimal() and two.isdecimal()):
            raise _unreadable(file, words)
        pairs.append(Pair(find(f"{name}_{int(one):04d}", file), find(f"{other}_{int(two):04d}", file),
                          len(words) == 3, number // per_fold if per_fold else None))
    return pairs


def two_line_pairs(photos: Sequence[Photo], file: Path) -> list[Pair]:
    """CALFW and CPLFW: two lines ``Some_Name_0001.jpg 1`` a pair, without a header, 0 for two people.

    CALFW gives the fold, 1 to 10, as the number of a pair of one person, and 0 for all others. Where the list
    numbers no folds, both kinds fill ten folds in the order in which they are listed.
    """
    rows, find = _rows(file), _finder(photos, lambda photo: photo.file.name)
    pairs, numbers = [], []
    for one, two in zip(rows[::2], rows[1::2], strict=False):
        if len(one) != 2 or len(two) != 2 or one[1] != two[1] or not one[1].isdecimal():
            raise _unreadable(file, [*one, *two])
        numbers.append(int(one[1]))
        pairs.append(Pair(find(one[0], file), find(two[0], file), numbers[-1] > 0))
    if len(rows) % 2:
        raise BadSetting(f"{file.name} has an odd number of lines, but each pair takes two.")
    if max(numbers) <= 1:
        return in_listed_folds(pairs)
    listed = in_listed_folds([pair for pair in pairs if not pair.same])
    own = [replace(pair, fold=number - 1) for pair, number in zip(pairs, numbers, strict=True) if pair.same]
    return own + listed


def three_column_pairs(photos: Sequence[Photo], file: Path) -> list[Pair]:
    """MLFW, and lists in general: ``first.jpg second.jpg 1`` a line (spaces, tabs or commas), 0 for two people.

    Further columns are passed over. Photos are named by their path or, where that says which is meant, by their
    file name. Both kinds of pairs fill ten folds in the order in which they are listed.
    """
    by_path, by_name = {photo.path: photo for photo in photos}, _finder(photos, lambda photo: photo.file.name)
    pairs = []
    for words in _rows(file):
        if len(words) < 3 or words[2] not in ("0", "1", "-1"):
            raise _unreadable(file, words)
        first, second = (by_path.get(word) or by_name(Path(word).name, file) for word in words[:2])
        pairs.append(Pair(first, second, words[2] == "1"))
    return in_listed_folds(pairs)


def cfp_pairs(photos: Sequence[Photo], folder: Path) -> list[Pair]:
    """CFP: a folder such as Protocol/Split/FP with 01 ... 10, each with same.txt and diff.txt of lines ``12,7``.

    The numbers are rows of Pair_list_F.txt (frontal) and, second in FP, of Pair_list_P.txt (profile), which lie in
    Protocol and hold lines ``12 ../Data/Images/002/frontal/02.jpg``.
    """
    if not folder.is_dir():
        raise BadSetting(f"{folder} is not a folder of splits: CFP's pairs are a folder such as Protocol/Split/FP.")
    protocol = folder.parent.parent
    lists = [protocol / "Pair_list_F.txt", protocol / f"Pair_list_{'P' if folder.name == 'FP' else 'F'}.txt"]
    by_tail = {tuple(photo.file.parts[-3:]): photo for photo in photos}
    sides = [{words[0]: tuple(Path(words[1]).parts[-3:]) for words in _rows(file)} for file in lists]
    pairs = []
    for fold, split in enumerate(sorted(place for place in folder.iterdir() if place.is_dir())):
        for name, same in (("same.txt", True), ("diff.txt", False)):
            for words in _rows(split / name):
                try:
                    first, second = (by_tail[side[word]] for side, word in zip(sides, words, strict=True))
                except (KeyError, ValueError):
                    raise BadSetting(f"{split.name}/{name} names the pair {','.join(words)}, which is not in the "
                                     "photos: check the folder with 'evaluate datasets'.") from None
                pairs.append(Pair(first, second, same, fold))
    return pairs


def agedb_pairs(photos: Sequence[Photo], file: Path) -> list[Pair]:
    """AgeDB: 04_FINAL_protocol_30_years.mat (or 5, 10, 20 years), a cell ``splits`` of ten folds.

    Each fold holds a 2 x 600 cell of photo names without their suffix, and 600 labels, 1 for one person and -1 for
    two. Read as the public converters of the file read it.
    """
    listed = []
    try:
        for fold, (cell,) in enumerate(loadmat(file)["splits"]):
            names, labels = tuple(cell[0, 0])[:2]
            listed += [(*(str(names[row, column][0, 0][0].item()) for row in (0, 1)), int(label) == 1, fold)
                       for column, label in enumerate(np.ravel(labels))]
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, MatReadError):  # Runtime: of a newer MATLAB
        raise BadSetting(f"{file.name} is not AgeDB's protocol: a .mat file with the cell 'splits'.") from None
    find = _finder(photos, lambda photo: photo.file.stem)
    return [Pair(find(first, file), find(second, file), same, fold) for first, second, same, fold in listed]


def drawn_pairs(photos: Sequence[Photo], count: int, seed: int = 0, folds: int = FOLDS) -> list[Pair]:
    """Pairs drawn from labelled photos: up to ``count`` of one person and ``count`` of two, no pair twice.

    People are dealt out to ``folds`` folds and both people of a pair are in its fold, so no fold has a person of
    another; each fold has an equal part of either kind, as far as its people suffice. Of each person's pairs a first is
    drawn before anybody's second. Same seed, same pairs. BadSetting where the photos give no pair of one person, or
    none of two.
    """
    generator = np.random.default_rng(seed)
    people: dict[str, list[Photo]] = {}
    for photo in photos:
        people.setdefault(photo.identity, []).append(photo)
    names = sorted(people)

    def quota(fold: int) -> int:
        return count // folds + (fold < count % folds)

    folds = max(1, min(folds, sum(len(own) > 1 for own in people.values()), len(names) // 2))
    order = sorted(generator.permutation(len(names)), key=lambda slot: len(people[names[slot]]) < 2)
    fold_of = {names[slot]: number % folds for number, slot in enumerate(order)}  # several photos first: all get some
    turns: dict[int, list] = {fold: [] for fold in range(folds)}
    for name in names:
        own = list(combinations(people[name], 2))
        shuffled = (own[slot] for slot in generator.permutation(len(own)))
        turns[fold_of[name]] += [(turn, generator.random(), *pair) for turn, pair in enumerate(shuffled)]
    genuine = []
    for fold, own in turns.items():
        chosen = sorted(own, key=lambda item: item[:2])[:quota(fold)]
        genuine += [Pair(first, second, True, fold) for _, _, first, second in chosen]
    strangers = []
    for fold in range(folds):
        members = [photo for photo in photos if fold_of[photo.identity] == fold]
        strangers += [Pair(*pair, False, fold) for pair in _strangers(members, quota(fold), generator)]
    if not (genuine and strangers):
        raise BadSetting("Pairs need a person with two photos, and photos of two people.")
    return genuine + strangers


def in_listed_folds(pairs: Iterable[Pair], folds: int = FOLDS) -> list[Pair]:
    """Pairs of one person and pairs of two each fill the folds evenly, in the order of the list."""
    pairs = list(pairs)
    totals, seen, placed = {same: sum(p.same == same for p in pairs) for same in (True, False)}, {True: 0, False: 0}, []
    for pair in pairs:
        placed.append(replace(pair, fold=seen[pair.same] * folds // totals[pair.same]))
        seen[pair.same] += 1
    return placed


def _strangers(members: Sequence[Photo], quota: int, generator: np.random.Generator) -> list[tuple[Photo, Photo]]:
    """Up to ``quota`` different pairs of photos of two people, drawn without listing them all."""
    drawn: set[tuple[int, int]] = set()
    for _ in range(20):
        if len(drawn) >= quota:
            break
        for one, two in generator.integers(0, max(len(members), 1), (2 * quota, 2)).tolist():
            if len(drawn) < quota and members and members[one].identity != members[two].identity:
                drawn.add((min(one, two), max(one, two)))
    return [(members[one], members[two]) for one, two in sorted(drawn)]


def _rows(file: Path) -> list[list[str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadSetting(f"The pair list {file} cannot be read: it must be a text file.") from None
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if not rows:
        raise BadSetting(f"The pair list {file.name} is empty.")
    return rows


def _finder(photos: Sequence[Photo], key: Callable[[Photo], str]) -> Callable[[str, Path], Photo]:
    by_key = {key(photo): photo for photo in photos}

    def find(name: str, file: Path) -> Photo:
        if name not in by_key:
            raise BadSetting(f"{file.name} names {name}, which is not among the photos: check the folder with "
                             "'evaluate datasets'.")
        return by_key[name]

    return find


def _unreadable(file: Path, words: Sequence[str]) -> BadSetting:
    return BadSetting(f"{file.name} has a line that this data set's pair lists do not have: {' '.join(words)[:60]!r}.")
