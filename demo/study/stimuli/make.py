"""``study make``: a gallery → the folder of a study, pictures of every pair in every condition."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.nn import functional as F

from demo.errors import BadStudy, NotSaved
from demo.identify import Identifier
from demo.methods import METHODS
from demo.study.design.cells import check_assignable
from demo.study.design.conditions import explanation_of, method_of
from demo.study.design.config import StudyConfig
from demo.study.stimuli.artist import SIDE, Artist
from demo.study.stimuli.candidates import Candidate, measure
from demo.study.stimuli.planning import CHECKS, plan_pairs
from demo.study.stimuli.record import CONFIG, PICTURES, Stimuli
from demo.study.stimuli.selection import choose_pairs, shortcuts, wrong_shares
from demo.study.stimuli.shortcuts import METADATA, Traits, refuse

Progress = Callable[[Sequence], Iterable]


def make_study(identifier: Identifier, config: StudyConfig, out: str | Path, *, queries: str | Path | None = None,
               metadata: str | Path | None = None, seed: int = 0, force: bool = False,
               progress: Progress = iter) -> Stimuli:
    """Choose pairs from the identifier's gallery, draw them, and write a study folder, whole or not at all.

    queries: folder with other photos of the gallery's people, one of which is then the first photo of every test pair.
    metadata: CSV of what is known of the photos (None = the gallery's own, if it has one), to match pairs on. seed: of
    every choice and of the file names. force: even where a shortcut without faces answers too many pairs. progress:
    wraps lists of jobs. Raises BadStudy where ``out`` is not empty or cannot be written, the gallery is too small,
    a condition explains a method that is not ready, nobody could be assigned, or a shortcut is right too often.
    """
    config.check()
    check_assignable(config, [same for _, same in CHECKS])
    if config.attention_per_block * len(config.conditions) == 1:
        raise BadStudy("One attention check in all is passed by whoever always gives its answer: take at least two, or "
                       "none (attention_per_block).")
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadStudy(f"{out} is there already, and answers may belong to it: choose a new folder, or delete it.")
    shown = {condition: explanation_of(condition) for condition in config.conditions}
    _refuse_unready(identifier, shown)
    with _new_folder(out) as partial:
        traits = _traits(identifier, metadata)
        pool = measure(identifier, queries=Path(queries) if queries else None, seed=seed, traits=traits,
                       progress=progress)
        sets, training = choose_pairs(pool, config, seed)
        tested = [pair for pairs in sets.values() for pair in pairs]
        found = shortcuts(tested)
        refuse(found, force)
        planned = plan_pairs(sets, training, pool, config, _apart(identifier), seed)
        (partial / PICTURES).mkdir()
        artist = Artist(identifier, pool.thresholds, partial / PICTURES, seed)
        pairs, renders, patterns = artist.draw_all(planned, shown, progress, subtract=config.subtract_pattern)
        stimuli = Stimuli(partial, pairs, renders, artist.neutral, {
            **_provenance(identifier, queries, seed), **_summary(tested), "traits": list(traits.fixed),
            "shortcuts": {rule: round(share, 4) for rule, share in found.items()},
            "position_pattern": {condition: value if value is None else round(value, 3)
                                 for condition, value in patterns.items()},
            "pattern_subtracted": config.subtract_pattern})
        stimuli.check(config)
        stimuli.write()
        (partial / CONFIG).write_text(json.dumps(json.loads(config.to_json()), indent=1, ensure_ascii=False) + "\n",
                                      encoding="utf-8")
    return replace(stimuli, folder=out)


def _traits(identifier: Identifier, metadata: str | Path | None) -> Traits:
    """What is known of the photos: of a file, or of the one in the gallery's folder."""
    if metadata is not None:
        return Traits.read(Path(metadata))
    own = identifier.gallery.manifest.photos / METADATA
    return Traits.read(own) if own.is_file() else Traits()


def _apart(identifier: Identifier) -> Callable[[int, int], float]:
    """Stage 1's distance between two photos of the gallery."""
    def apart(first: int, second: int) -> float:
        one, two = F.normalize(identifier.gallery.features([first, second]).embedding.double(), dim=1)
        return float(1 - one @ two)
    return apart


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


def _refuse_unready(identifier: Identifier, shown: Iterable[str]) -> None:
    """Raise BadStudy for a condition whose method cannot decide here, with the reason."""
    ready = identifier.ready(verifies=True)
    for condition in shown:
        word = method_of(condition)
        if word is not None and word not in ready:
            method = METHODS[word]
            raise BadStudy(f"Condition {condition!r}: " + (
                method.unavailable(identifier.backbone, identifier.gallery)
                or f"{method.short} does not judge pairs, so there is no decision of it to explain."))


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
