"""What may be asked about in one go: photos, folders of photos, and frames of videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from demo.errors import BadPhoto
from demo.faces import Limits, PhotoAt, is_address
from demo.gallery.names import is_picture, is_video, not_a_persons


@dataclass(frozen=True)
class Picture:
    """One picture to ask about. name: for people. photo: anything ``load_photo`` takes. seconds: of a frame. problem:
    why there is no picture, of a video in a folder that cannot be read; "" otherwise."""

    name: str
    photo: Path | PhotoAt | np.ndarray
    seconds: float | None = None
    problem: str = ""


def pictures(paths: Sequence[str | Path], every: float = 1.0, limits: Limits = Limits(),
             hosts: tuple[str, ...] = ()) -> Iterator[Picture]:
    """The pictures of some paths: a photo is itself; of a folder all photos and videos in it and below, sorted; of a
    video a frame every so many seconds; at an address on one of the hosts a photo. BadPhoto for a folder without either
    and a video that cannot be read; one in a folder does not stop the others."""
    for given in paths:
        path = Path(given)
        if is_address(given):
            yield Picture(str(given), PhotoAt(str(given), hosts))
        elif path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if (is_video(file) or is_picture(file)) and file.is_file()
                     and not any(map(not_a_persons, file.relative_to(path).parts[:-1]))]
            if not files:
                raise BadPhoto(f"{path} holds no photos and no videos.")
            for file in files:
                if is_video(file):
                    yield from _as_far_as_read(file, every, limits)
                else:
                    yield Picture(str(file), file)
        elif is_video(path):
            yield from _frames(path, every, limits)
        else:
            yield Picture(str(path), path)


def _as_far_as_read(video: Path, every: float, limits: Limits) -> Iterator[Picture]:
    try:
        yield from _frames(video, every, limits)
    except BadPhoto as error:
        yield Picture(str(video), video, problem=str(error))


def _frames(path: Path, every: float, limits: Limits) -> Iterator[Picture]:
    if not path.is_file():
        raise BadPhoto(f"{path.name} does not exist." if not path.exists() else f"{path.name} is not a file.")
    video = cv2.VideoCapture(str(path.resolve()))
    try:
        rate = video.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate < 1000 else 25.0  # some files do not say
        number, due = 0, 0.0
        while video.grab():
            if number / rate >= due:
                read, frame = video.retrieve()
                if read:
                    limits.check_pixels(frame.shape[1], frame.shape[0], path.name)
                    seconds = round(number / rate, 3)
                    yield Picture(f"{path} at {seconds:g} s", cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), seconds)
                due += every
            number += 1
        if not number:
            raise BadPhoto(f"{path.name} is not a video that can be read.")
    finally:
        video.release()
