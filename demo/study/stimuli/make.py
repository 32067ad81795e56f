"""``study make``: a gallery → the folder of a study, pictures of every pair in every condition."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from demo.backbones import Features
from demo.calibration import Threshold
from demo.errors import BadStudy, NotSaved
from demo.explain import Explanation
from demo.explain import Pair as Faces
from demo.faces import Template, resolve_template
from demo.faces.geometry import compose, rescale
from demo.fields import fields_of
from demo.identify import Identifier
from demo.methods import METHODS
from demo.study.design.cells import ATTENTION, TRAINING
from demo.study.design.conditions import explanation_of
from demo.study.design.config import StudyConfig
from demo.study.stimuli.candidates import Candidate, Look, Photo, Pool, measure
from demo.study.stimuli.panels import neutral, panels
from demo.study.stimuli.record import CONFIG, PICTURES, Pair, Render, Stimuli
from demo.study.stimuli.selection import choose_pairs, wrong_shares
from demo.weights import sha256

#: Height of a face in pixels.
SIDE = 320
_QUALITY = 80
#: Of all pairs, so that this picture is stored once.
_NEUTRAL = "neutral"

Progress = Callable[[Sequence], Iterable]


@dataclass(frozen=True)
class _Planned:
    """A pair on its way to the tables: two looks in the order shown, and the thresholds of its kind."""

    pair_id: str
    set_id: str
    looks: tuple[Look, Look]
    kind: str

    @property
    def same(self) -> bool:
        return self.looks[0].photo.identity == self.looks[1].photo.identity


def make_study(identifier: Identifier, config: StudyConfig, out: str | Path, *, queries: str | Path | None = None,
               seed: int = 0, progress: Progress = iter) -> Stimuli:
    """Choose pairs from the identifier's gallery, draw them, and write a study folder, whole or not at all.

    queries: folder with other photos of the gallery's people, one of which is then the first photo of every test pair.
    seed: of every choice and of the file names. progress: wraps lists of jobs. Raises BadStudy where ``out`` is
    not empty, the gallery is too small, or a condition explains a method that is not ready.
    """
    config.check()
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadStudy(f"{out} is there already, and answers may belong to it: choose a new folder, or delete it.")
    shown = {condition: explanation_of(condition) for condition in config.conditions}
    _refuse_unready(identifier, shown)
    with _new_folder(out) as partial:
        pool = measure(identifier, queries=Path(queries) if queries else None, seed=seed, progress=progress)
        sets, training = choose_pairs(pool, config, seed)
        planned = _planned(sets, training, pool, config, seed)
        (partial / PICTURES).mkdir()
        artist = _Artist(identifier, pool.thresholds, partial / PICTURES, seed)
        empty, _ = artist.save(_NEUTRAL, neutral((*artist.frame.size[::-1], 3)))
        drawn = [artist.draw(pair, shown) for pair in progress(planned)]
        tested = [pair for pairs in sets.values() for pair in pairs]
        stimuli = Stimuli(partial, tuple(pair for pair, _ in drawn), tuple(r for _, renders in drawn for r in renders),
                          empty, {**_provenance(identifier, queries, seed), **_summary(tested)})
        stimuli.check(config)
        stimuli.write()
        (partial / CONFIG).write_text(json.dumps(json.loads(config.to_json()), indent=1, ensure_ascii=False) + "\n",
                                      encoding="utf-8")
    return replace(stimuli, folder=out)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place at the end of the block, and goes where the block raises. BadStudy,
    before anything is measured, where nothing can be written there."""
    partial = out.with_name(f"{out.name}.{secrets.token_hex(4)}.part")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise BadStudy(f"The study cannot be written to {out} ({error.strerror}): choose another folder.") from None
    try:
        yield partial
        if out.is_dir():
            out.rmdir()  # empty; Windows renames over no folder
        partial.replace(out)
    except OSError as error:
        raise NotSaved(f"The study {out} could not be written ({error}).") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_unready(identifier: Identifier, shown: Mapping[str, Explanation | None]) -> None:
    """Raise BadStudy for a condition whose method cannot decide here, with the reason."""
    ready = identifier.ready(verifies=True)
    for condition, explanation in shown.items():
        if explanation and explanation.method not in ready:
            method = METHODS[explanation.method]
            raise BadStudy(f"Condition {condition!r}: " + (
                method.unavailable(identifier.backbone, identifier.gallery)
                or f"{method.short} does not judge pairs, so there is no decision of it to explain."))


def _planned(sets: dict[str, list[Candidate]], training: list[Candidate], pool: Pool, config: StudyConfig,
             seed: int) -> list[_Planned]:
    """All pairs with their ids; which photo comes first is drawn, so that masks stand on either side."""
    rng = random.Random(f"sides {seed}")
    planned = []
    for name, pairs in {**sets, TRAINING: training}.items():
        masked_first = [at % 2 == 0 for at in range(len(pairs))]
        rng.shuffle(masked_first)
        for number, (pair, first) in enumerate(zip(rng.sample(pairs, len(pairs)), masked_first, strict=True), start=1):
            looks = (pair.query, pair.other) if first else (pair.other, pair.query)
            planned.append(_Planned(f"{name}{number:02d}", name, looks, pair.query.kind))
    used = {person for pair in planned for person in (look.photo.identity for look in pair.looks)}
    once = {look.photo.path for pair in planned for look in pair.looks}
    photos = rng.sample([photo for photo in pool.photos if photo.path not in once], len(pool.photos) - len(
        once & {photo.path for photo in pool.photos}))
    checks = _one_each(sorted(photos, key=lambda photo: photo.identity in used))
    needed = config.attention_per_block * len(config.conditions)
    if len(checks) < needed:
        raise BadStudy(f"The gallery has no photos left for {needed} attention checks: take a larger gallery.")
    seen = [Look(photo, "none", 0) for photo in checks[:needed]]
    return planned + [_Planned(f"{ATTENTION}{number:02d}", ATTENTION, (look, look), "none")
                      for number, look in enumerate(seen, start=1)]


def _one_each(photos: Iterable[Photo]) -> list[Photo]:
    """The first photo of every person."""
    first: dict[str, Photo] = {}
    for photo in photos:
        first.setdefault(photo.identity, photo)
    return list(first.values())


class _Artist:
    """Draws pairs and writes their pictures under names that say nothing."""

    def __init__(self, identifier: Identifier, thresholds: dict[tuple[str, str], Threshold], place: Path, seed: int):
        self.identifier, self.backbone = identifier, identifier.backbone
        self.methods = identifier.ready(verifies=True)
        self.thresholds = thresholds
        self.place = place
        self.key = f"{seed}:{identifier.gallery.sha256}".encode()
        self.frame = _enlarged(resolve_template(self.backbone), SIDE)

    def draw(self, pair: _Planned, shown: Mapping[str, Explanation | None]) -> tuple[Pair, list[Render]]:
        """Write a pair's faces and panels; its rows of the tables. shown: condition → what it explains."""
        first, second = (look.crop(self.frame) for look in pair.looks)
        # As large as they are shown; what is explained was found in the backbone's own crops.
        both = Faces((first, second), self._features(pair), self.identifier.method)
        distances = {word: float(method.pairs(*both.features)[0]) for word, method in self.methods.items()}
        faces = [self.save(f"{pair.pair_id}/face{side}", crop) for side, crop in enumerate(both.crops)]
        one, two = pair.looks
        row = Pair(pair.pair_id, pair.set_id, one.photo.path, two.photo.path, pair.same, one.kind, two.kind,
                   sha256(one.photo.file), sha256(two.photo.file), faces[0][0], faces[1][0], faces[0][1], faces[1][1])
        return row, [self._render(pair, both, *one, distances) for one in shown.items()]

    def _features(self, pair: _Planned) -> tuple[Features, Features]:
        first, second = (self.backbone.extract(look.crop(self.backbone)) for look in pair.looks)
        return first, second

    def _render(self, pair: _Planned, both: Faces, condition: str, explanation: Explanation | None,
                distances: dict[str, float]) -> Render:
        files = [self.save(f"{pair.pair_id}/{condition}{side}" if explanation else _NEUTRAL, picture)
                 for side, picture in enumerate(panels(both, explanation))]
        names = files[0][0], files[1][0], files[0][1], files[1][1]
        if explanation is None:
            return Render(pair.pair_id, condition, *names)
        distance, line = distances[explanation.method], self.thresholds[explanation.method, pair.kind]
        said = int(distance <= line.value)
        return Render(pair.pair_id, condition, *names, explanation.method, distance, line.value, said,
                      int(bool(said) == pair.same), _settings(both))

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


def _provenance(identifier: Identifier, queries: str | Path | None, seed: int) -> dict:
    made = identifier.provenance()
    keep = ("backbone", "weights_sha256", "gallery", "gallery_sha256", "version")
    ready = identifier.ready(verifies=True)
    trained = {f"{word}_sha256": ready[word].key if word in ready else None
               for word, method in METHODS.items() if method.verifies and method.trained}
    return {**{key: made[key] for key in keep}, **trained,
            "queries": Path(queries).name if queries else None, "seed": seed, "side": SIDE}


def _summary(tested: Sequence[Candidate]) -> dict:
    """What the choice came to: shares of wrong decisions, and the mean ease of both classes."""
    ease = {word: round(float(np.mean([pair.ease for pair in tested if pair.same == same])), 3)
            for word, same in (("same", True), ("different", False))}
    return {"wrong": {name: round(share, 4) for name, share in wrong_shares(tested).items()}, "ease": ease}
