"""Planned pairs → pictures under names that say nothing, and their rows of the tables."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from demo.backbones import Features
from demo.calibration import Threshold
from demo.errors import BadStudy
from demo.explain import Explanation, explain
from demo.explain import Pair as Faces
from demo.explain.results import Result
from demo.faces import Template, resolve_template
from demo.faces.geometry import compose, rescale
from demo.fields import fields_of
from demo.identify import Identifier
from demo.study.design.conditions import DECIDED, method_of
from demo.study.stimuli.panels import levelled, neutral, pictured
from demo.study.stimuli.pattern import likeness, mean_of_others, places, without
from demo.study.stimuli.planning import Planned
from demo.study.stimuli.record import Pair, Render
from demo.weights import sha256

#: Height of a face in pixels.
SIDE = 320
_QUALITY = 80
#: Of all pairs, so that this picture is stored once.
_NEUTRAL = "neutral"

Shown = Mapping[str, Explanation | None]


@dataclass(frozen=True)
class _Seen:
    """A pair with all that is computed of it. distances: method → distance. results: condition → what it shows."""

    pair: Planned
    faces: Faces
    distances: dict[str, float]
    results: dict[str, Result]


class Artist:
    """Draws pairs. neutral: name of the picture that explains nothing."""

    def __init__(self, identifier: Identifier, thresholds: Mapping[tuple[str, str], Threshold], place: Path, seed: int):
        self.identifier, self.backbone = identifier, identifier.backbone
        self.methods = identifier.ready(verifies=True)
        self.thresholds = thresholds
        self.place = place
        self.key = f"{seed}:{identifier.gallery.sha256}".encode()
        self.frame = _enlarged(resolve_template(self.backbone), SIDE)
        self.neutral, _ = self.save(_NEUTRAL, neutral((*self.frame.size[::-1], 3)))

    def draw_all(self, planned: Sequence[Planned], shown: Shown, progress: Callable[[Sequence], Iterable] = iter, *,
                 subtract: bool = False) -> tuple[tuple[Pair, ...], tuple[Render, ...], dict[str, float | None]]:
        """Write faces and panels of all pairs; their rows of the tables, and how alike the maps of unrelated pairs are
        in each condition (``pattern.likeness``). shown: condition → what it explains. subtract: take the mean map of
        the other pairs from every map."""
        seen = [self._look(pair, shown) for pair in progress(planned)]
        patterns: dict[str, float | None] = {}
        means: dict[str, list[np.ndarray]] = {}
        for condition in [name for name, explanation in shown.items() if explanation]:
            found = [places(one.results[condition]) for one in seen]
            if any(maps is None for maps in found):
                raise BadStudy(f"Condition {condition!r} gives no picture of either face, so it cannot be shown.")
            maps = [one for one in found if one is not None]
            patterns[condition] = likeness(maps)
            if subtract:
                means[condition] = [mean_of_others(maps, at) for at in range(len(maps))]
        drawn = [self._draw(one, shown, {name: of[at] for name, of in means.items()}) for at, one in enumerate(seen)]
        return (tuple(pair for pair, _ in drawn), tuple(render for _, renders in drawn for render in renders), patterns)

    def _look(self, pair: Planned, shown: Shown) -> _Seen:
        first, second = (look.crop(self.frame) for look in pair.looks)
        # As large as they are shown; what is explained was found in the backbone's own crops.
        faces = Faces((first, second), self._features(pair), self.identifier.method)
        distances = {word: float(method.pairs(*faces.features)[0]) for word, method in self.methods.items()}
        words = {explanation.word for explanation in shown.values() if explanation}
        results = explain(faces, *sorted(words), both=True) if words else {}
        return _Seen(pair, faces, distances, {condition: results[explanation.word]
                                              for condition, explanation in shown.items() if explanation})

    def _features(self, pair: Planned) -> tuple[Features, Features]:
        first, second = (self.backbone.extract(look.crop(self.backbone)) for look in pair.looks)
        return first, second

    def _draw(self, seen: _Seen, shown: Shown, means: Mapping[str, np.ndarray]) -> tuple[Pair, list[Render]]:
        pair = seen.pair
        faces = [self.save(f"{pair.pair_id}/face{side}", crop) for side, crop in enumerate(seen.faces.crops)]
        one, two = pair.looks
        row = Pair(pair.pair_id, pair.set_id, one.photo.path, two.photo.path, pair.same, one.kind, two.kind,
                   sha256(one.photo.file), sha256(two.photo.file), faces[0][0], faces[1][0], faces[0][1], faces[1][1],
                   pair.check)
        return row, [self._render(seen, condition, explanation, means.get(condition))
                     for condition, explanation in shown.items()]

    def _render(self, seen: _Seen, condition: str, explanation: Explanation | None,
                mean: np.ndarray | None) -> Render:
        pair = seen.pair
        if explanation is None:
            files = [self.save(_NEUTRAL, neutral(seen.faces.crops[0].shape))] * 2
        else:
            result = seen.results[condition] if mean is None else without(seen.results[condition], mean)
            # With the decision and without it, the pictures are the same files.
            files = [self.save(f"{pair.pair_id}/{condition.removesuffix(DECIDED)}{side}", levelled(picture))
                     for side, picture in enumerate(pictured(seen.faces.crops, result, explanation.title))]
        names, method = (files[0][0], files[1][0], files[0][1], files[1][1]), method_of(condition)
        if method is None:
            return Render(pair.pair_id, condition, *names)
        distance, line = seen.distances[method], self.thresholds[method, pair.kind]
        said = int(distance <= line.value)
        return Render(pair.pair_id, condition, *names, method, distance, line.value, said,
                      int(bool(said) == pair.same), _settings(seen.faces))

    def save(self, what: str, picture: np.ndarray) -> tuple[str, str]:
        """Write a picture as WebP without metadata; (file name, SHA-256)."""
        name = hmac.new(self.key, what.encode(), hashlib.sha256).hexdigest()[:24] + ".webp"
        file = BytesIO()
        Image.fromarray(picture).save(file, format="WEBP", quality=_QUALITY, method=6)
        (self.place / name).write_bytes(file.getvalue())
        return name, hashlib.sha256(file.getvalue()).hexdigest()


def _settings(pair: Faces) -> dict:
    """What the panels are drawn with, as plain data: settings that are told whatever method is explained."""
    told = {one.key: getattr(options, one.name) for options in pair.matching.options
            for one in fields_of(type(options)) if one.always}
    return {**told, "grid": list(pair.features[0].grid)}


def _enlarged(template: Template, height: int) -> Template:
    """The same frame with more pixels."""
    factor = height / template.size[1]
    return Template(template.name, (round(template.size[0] * factor), height), template.title,
                    lambda face: compose(rescale(factor), template.matrix(face)))
