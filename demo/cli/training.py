"""What the two training commands share: which photos to learn from, and progress."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from demo.errors import BadGallery
from demo.faces.labelled import LabelledPhoto, split_people
from demo.gallery import is_picture, list_photos


def add_photos(parser) -> None:
    """Arguments that name the photos."""
    parser.add_argument("--singles", type=Path, action="append", default=[], metavar="FOLDER",
                        help="photos of different people, one each (may be given again)")
    parser.add_argument("--people", type=Path, action="append", default=[], metavar="FOLDER",
                        help="one sub-folder per person (may be given again)")
    parser.add_argument("--hold-out", action="append", default=[], metavar="NAME",
                        help="leave out the people from this name on, of those whose names begin alike")


def photos_of(parsed) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """(to train on, held out); BadGallery where there is nothing to train on."""
    missing = [folder for folder in parsed.singles if not folder.is_dir()]
    if missing:
        raise BadGallery(f"{missing[0]} is not a folder.")
    photos = [LabelledPhoto(f"{folder.name}-{file.stem}", file) for folder in parsed.singles
              for file in sorted(folder.iterdir()) if is_picture(file)]
    photos += [LabelledPhoto(photo.identity, photo.file) for folder in parsed.people for photo in list_photos(folder)]
    photos, held_out = split_people(photos, parsed.hold_out)
    if not photos:
        raise BadGallery("There are no photos to train on: name folders with --people or --singles.")
    return photos, held_out


class Bars:
    """One progress bar per kind of work, on standard error, made when that work begins."""

    def __init__(self):
        self._bars: dict[str, tqdm] = {}

    def update(self, name: str):
        """A callback (done, total[, loss]) for the bar of that name."""
        def show(done: int, total: int, loss: float | None = None) -> None:
            bar = self._bars.get(name) or self._bars.setdefault(name, tqdm(desc=name, total=total, file=sys.stderr))
            if loss is not None:
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update(done - bar.n)

        return show

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()
