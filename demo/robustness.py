"""What an adversarial photo does to the whole pipeline: saved, read back, detected, aligned and ranked again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from demo.attack import PGD, label, perturb
from demo.backbones import Backbone, Features
from demo.errors import BadSetting, FaceLost, NoFace
from demo.explain import to_png
from demo.faces import Limits, load_photo
from demo.files import write_whole
from demo.identify import Identifier, Match
from demo.methods import NONE, STAGE1, Matching
from demo.query import Preparation, prepare_query

#: What is to be said wherever such numbers are shown.
LIMITS = "Only the image embedding was attacked, not the re-ranking, so this says little about how robust that is."
#: The ranking before any re-ranking; the others are called by the method that re-ranks.
STAGE1_RANKING = "stage1"


@dataclass(frozen=True)
class Change:
    """A number before the attack and after it."""

    before: float
    after: float


@dataclass(frozen=True)
class Reference:
    """What the attacked photo is compared with. role: "truth" or "target". name: a person, or the name of a file.

    distances: method → distance of the query to one photo of it (of a person: the one nearest to the clean query).
    ranks: ranking → rank of the person's first photo; empty for a photo that is not in the gallery.
    """

    role: str
    name: str
    distances: dict[str, Change]
    ranks: dict[str, Change]


@dataclass(frozen=True)
class Transfer:
    """The same two photos through another backbone, as cosine distances. itself: of the attacked to the clean photo.
    references: role → distance of the query to the same photo as in ``Reference``."""

    backbone: str
    itself: float
    references: dict[str, Change]


@dataclass(frozen=True)
class AttackReport:
    """An attack and its consequences. Distances: smaller is nearer.

    label: what the attack is. largest: the largest change of a pixel value, of 255. psnr: of the attacked photo, dB
    (infinite where nothing changed). assumed: the truth was not given and is who came first before. itself: method →
    distance of the attacked to the clean photo. first: ranking → who came first before and after. attacked: the photo
    as read back from the PNG, uint8 (H, W, 3); clean: as it was.
    """

    label: str
    pgd: PGD
    seed: int
    goal: str
    largest: int
    psnr: float
    assumed: bool
    itself: dict[str, float]
    references: tuple[Reference, ...]
    first: dict[str, tuple[str, str]]
    transfer: tuple[Transfer, ...]
    provenance: dict
    clean: np.ndarray
    attacked: np.ndarray

    def as_json(self) -> dict:
        """Everything but the pictures, as plain data."""
        changes = [{"role": one.role, "name": one.name, "distances": _plain(one.distances), "ranks": _plain(one.ranks)}
                   for one in self.references]
        return {
            "label": self.label, "goal": self.goal, **asdict(self.pgd), "seed": self.seed, "linf": self.largest,
            "psnr_db": None if math.isinf(self.psnr) else round(self.psnr, 2), "truth_assumed": self.assumed,
            "attacked_to_clean": self.itself, "references": changes,
            "first": {ranking: {"before": before, "after": after} for ranking, (before, after) in self.first.items()},
            "transfer": [{"backbone": one.backbone, "attacked_to_clean": one.itself,
                          "references": _plain(one.references)} for one in self.transfer],
            "limits": LIMITS, "settings": self.provenance,
        }


def _plain(changes: dict[str, Change]) -> dict:
    return {name: asdict(change) for name, change in changes.items()}


def attack_photo(photo, identifier: Identifier, *, target: str | Path | None = None, truth: str | None = None,
                 pgd: PGD | None = None, preparation: Preparation = Preparation(),  # noqa: B008
                 out: str | Path | None = None, others: Sequence[Backbone] = ()) -> AttackReport:
    """Attack a photo (anything ``load_photo`` takes), and identify it before and after.

    target: whom to impersonate, a person of the gallery (of whose photos the one nearest to the query) or a photo;
    None to dodge. truth: who it is; None for who comes first before the attack. preparation: face, detector, aligned
    and seed; nothing else is altered. out: where the PNG is kept. others: backbones that it is shown to as well; the
    attack is made against ``identifier.backbone`` alone. Raises BadSetting for people who are not in the gallery,
    NoFace where no face is found, before or after.
    """
    pgd, backbone = pgd or PGD(), identifier.backbone
    if out is not None and Path(out).suffix.lower() != ".png":
        raise BadSetting(f"{Path(out).name} cannot be written: choose a file name that ends in .png, as a JPEG would "
                         "change the attack.")
    preparation = replace(preparation, alteration=None, style=None)
    methods, rankings = identifier.ready(verifies=True), _rankings(identifier)
    limits = identifier.gallery.limits
    clean = prepare_query(photo, backbone, preparation, limits=limits)
    before = {name: identifier.rank(clean, matching).ranking for name, matching in rankings.items()}
    stage1 = before[STAGE1_RANKING]
    shown = [_shown("truth", truth or stage1[0].identity, stage1, identifier, preparation)]
    if target is not None:
        shown.append(_shown("target", str(target), stage1, identifier, preparation))
    reference = clean.features.embedding if target is None else shown[-1].features.embedding
    data = to_png(perturb(clean.photo, clean.face, backbone, reference, towards=target is not None, pgd=pgd,
                          seed=preparation.seed))
    read = load_photo(data if out is None else _written(data, Path(out)), limits)
    try:
        attacked = prepare_query(read, backbone, preparation, limits=limits)
    except NoFace:
        raise FaceLost("No face is found any more in the attacked photo: choose a smaller eps, or another detector.",
                       read) from None
    after = {name: identifier.rank(attacked, matching).ranking for name, matching in rankings.items()}

    def measured(one: _Shown) -> Reference:
        distances = {word: Change(*(float(method.pairs(query.features, one.features)) for query in (clean, attacked)))
                     for word, method in methods.items()}
        ranks = {name: Change(_rank(before[name], one.name), _rank(after[name], one.name))
                 for name in rankings if one.person}
        return Reference(one.role, one.name, distances, ranks)

    error = float(np.square(read.astype(float) - clean.photo).mean())
    return AttackReport(
        label(backbone), pgd, preparation.seed, "dodge" if target is None else "impersonate",
        int(np.abs(read.astype(int) - clean.photo).max()), 10 * math.log10(255**2 / error) if error else math.inf,
        truth is None,
        {word: float(method.pairs(clean.features, attacked.features)) for word, method in methods.items()},
        tuple(map(measured, shown)), {name: (before[name][0].identity, after[name][0].identity) for name in rankings},
        tuple(_transfer(other, clean.photo, read, shown, preparation, limits) for other in others),
        identifier.provenance(), clean.photo, read)


@dataclass(frozen=True)
class _Shown:
    """A photo to compare with. name: the person, or the file's name. source: what ``load_photo`` takes."""

    role: str
    name: str
    person: bool
    source: str | Path
    features: Features


def _shown(role: str, name: str, stage1: Sequence[Match], identifier: Identifier,
           preparation: Preparation) -> _Shown:
    """A person's photo that is nearest to the query, or of a target that is not in the gallery the photo itself."""
    gallery = identifier.gallery
    row = next((match.row for match in stage1 if match.identity == name), None)
    if row is not None:
        return _Shown(role, name, True, gallery.photo_file(row), gallery.features([row]))
    if role == "truth" or not Path(name).is_file():
        raise BadSetting(f"{name} is not in the gallery {gallery.name}" + (
            ": give another name." if role == "truth" else ", and no photo is called that: give another target."))
    return _Shown(role, Path(name).name, False, name, _features(name, identifier.backbone, preparation, gallery.limits))


def _rankings(identifier: Identifier) -> dict[str, Matching]:
    """Ranking → settings: Stage 1, and every method that judges pairs and is ready, at its defaults."""
    methods = identifier.ready(verifies=True)
    return {STAGE1_RANKING: Matching(method=NONE),
            **{word: Matching(method=word) for word, method in methods.items() if method.reranks}}


def _features(photo, backbone: Backbone, preparation: Preparation, limits: Limits) -> Features:
    """Of the most prominent face of another photo than the query's."""
    return prepare_query(photo, backbone, Preparation(detector=preparation.detector), limits=limits).features


def _written(data: bytes, out: Path) -> Path:
    try:
        write_whole(out, data)
    except OSError as error:
        raise BadSetting(f"{out.name} cannot be written ({error.strerror}): choose another place.") from None
    return out


def _transfer(other: Backbone, clean: np.ndarray, attacked: np.ndarray, shown: Sequence[_Shown],
              preparation: Preparation, limits: Limits) -> Transfer:
    one, two = (prepare_query(photo, other, preparation, limits=limits).features for photo in (clean, attacked))
    faces = {known.role: _features(known.source, other, preparation, limits) for known in shown}
    cosine = STAGE1(other).pairs
    return Transfer(other.name, float(cosine(one, two)),
                    {role: Change(float(cosine(one, face)), float(cosine(two, face)))
                     for role, face in faces.items()})


def _rank(ranking: Sequence[Match], person: str) -> int:
    return next(match.rank for match in ranking if match.identity == person)
