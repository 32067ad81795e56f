"""Fit the points that CenterFace's map is read for: ``python -m demo.faces.fit_marks FOLDER --out FILE``.

Nobody marks anything: of a bare photo the network's own points are averaged over three sizes and their mirror
images, and that is where they shall be found in the same photo with a mask or sunglasses drawn over the face, blurred,
dark, turned or cut tightly. Ridge regression; the same photos give the same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tqdm import tqdm

from demo.errors import DemoError
from demo.faces import centerface, geometry, marks
from demo.faces.align import warp
from demo.faces.detect import Detection, fit_landmarks
from demo.faces.face import Face
from demo.faces.occlude import PERTURBATIONS, alter
from demo.faces.photo import load_photo

#: Sides of the face in the pictures that the aim is averaged over, relative to the usual one.
SIZES = (0.75, 1.0, 1.4)
#: Share of the views that are cut tightly, and how far beyond the box (shares of its width, at random).
TIGHT, ROOM = 0.6, (-0.04, 0.2)
#: Weight decay, in units of the features' mean variance.
DECAY = 0.3


def aim(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(5, 2): the network's points of a bare face, averaged over SIZES and mirror images."""
    _, matrix = marks.cut(photo, points)
    middle = geometry.shift(*[(marks.SIDE - 1) / 2] * 2)
    matrices = [geometry.compose(geometry.compose(middle, np.c_[np.eye(2) * size, np.zeros(2)]),
                                 geometry.compose(geometry.invert(middle), matrix)) for size in SIZES]
    pictures = np.stack([warp(photo, one, (marks.SIDE, marks.SIDE)) for one in matrices])
    _, own, _ = marks.look(np.concatenate([pictures, pictures[:, :, ::-1]]))
    there, mirrored = own.reshape(2, len(SIZES), 5, 2)
    return np.mean([geometry.apply(geometry.invert(matrix), (one + marks.mirror(other)) / 2)
                    for matrix, one, other in zip(matrices, there, mirrored, strict=True)], axis=0)


def views(photo: np.ndarray, face: Face, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(picture, where its five points are): bare, two masks, sunglasses, and one perturbation; some cut tightly."""
    rng = np.random.default_rng(seed)
    kinds = [None, "mask", "mask", "sunglasses", list(PERTURBATIONS)[rng.integers(len(PERTURBATIONS))]]
    for number, kind in enumerate(kinds):
        picture, shown = photo, face
        if kind:
            try:
                altered = alter(photo, face, kind, seed=10 * seed + number)
            except DemoError:
                continue
            picture, shown = altered.photo, altered.face
        points = shown.five.astype(float)
        if rng.random() < TIGHT:
            left, top, right, bottom = shown.box
            room = rng.uniform(*ROOM, 4) * (right - left)
            x0, y0 = max(0, int(left - room[0])), max(0, int(top - room[1]))
            picture = picture[y0:int(bottom + room[3]), x0:int(right + room[2])]
            points = points - (x0, y0)
        yield np.ascontiguousarray(picture), points


def samples(file: Path, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(features (N,), points relative to the frame (10,)) of every view of a photo in which the face is found again."""
    photo = load_photo(file)
    boxes, scores, points = centerface.detect(photo)
    if not len(boxes):
        return
    largest = int((boxes[:, 2:] - boxes[:, :2]).prod(1).argmax())
    truth = aim(photo, points[largest])
    face = fit_landmarks(photo, Detection(tuple(boxes[largest].tolist()), float(scores[largest]), truth), None)
    for picture, there in views(photo, face, seed):
        found = centerface.detect(picture)[2]
        eyes = np.linalg.norm(there[1] - there[0])
        near = [one for one in found if np.linalg.norm(one.mean(0) - there.mean(0)) < 0.6 * eyes]
        if near:
            look, matrix = marks.cut(picture, near[0])
            features, _, _ = marks.look(look[None])
            yield features[0].numpy(), (geometry.apply(matrix, there) - marks.FRAME).ravel()


def fit(features: np.ndarray, points: np.ndarray, decay: float = DECAY) -> dict[str, torch.Tensor]:
    """State of ``Marks`` by ridge regression of points (S, 10) on features (S, N); the means are not shrunk."""
    features, points = features.astype(np.float64), points.astype(np.float64)
    mean, goal = features.mean(0), points.mean(0)
    centred = features - mean
    covariance = centred.T @ centred
    decay *= np.trace(covariance) / len(covariance)
    weight = np.linalg.solve(covariance + decay * np.eye(len(covariance)), centred.T @ (points - goal)).T
    state = {"linear.weight": weight, "linear.bias": goal - weight @ mean}
    return {name: torch.from_numpy(value).half().contiguous() for name, value in state.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.faces.fit_marks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="one sub-folder per person; the first photo of each is used")
    parser.add_argument("--people", type=int, default=1000, help="how many, drawn at random (default 1000)")
    parser.add_argument("--out", type=Path, required=True)
    parsed = parser.parse_args(arguments)
    people = [photos[0] for person in sorted(parsed.folder.glob("*")) if (photos := sorted(person.glob("*.jpg")))]
    chosen = np.random.default_rng(0).permutation(len(people))[:parsed.people]
    found = [sample for seed, at in enumerate(tqdm(chosen)) for sample in samples(people[at], seed)]
    if not found:
        parser.error(f"no face was found in {parsed.folder}: it needs one sub-folder per person with photos inside")
    features, points = (np.stack(part) for part in zip(*found, strict=True))
    save_file(fit(features, points), parsed.out)
    print(f"{len(chosen)} people, {len(found)} views → {parsed.out}")


if __name__ == "__main__":
    main()
