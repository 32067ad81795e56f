"""Are these two photos of one person? Every method that is ready gives its distance and what it says about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from demo.calibration import Calibration, Threshold, Unfit
from demo.errors import DemoError
from demo.explain import Pair, Term, sentence
from demo.identify import Identifier, settings_json
from demo.methods import METHODS, Matching
from demo.query import Clock, Preparation, Query, kind_called, prepare_query
from demo.words import decimals

#: Verdict → how a person would say it.
WORDS = {"same": "same person", "uncertain": "uncertain", "different": "different people"}


@dataclass(frozen=True)
class Judgement:
    """What one method says of a pair. method: its word. distance: smaller is nearer. line: the threshold, or why there
    is none for such photos. ms: time of the comparison alone."""

    method: str
    distance: float
    line: Threshold | Unfit
    ms: float

    @property
    def title(self) -> str:
        return METHODS[self.method].title

    @property
    def short(self) -> str:
        return METHODS[self.method].short

    @property
    def threshold(self) -> Threshold | None:
        return self.line if isinstance(self.line, Threshold) else None

    @property
    def verdict(self) -> str | None:
        """"same", "uncertain", "different", or None without a threshold."""
        return None if self.threshold is None else self.threshold.verdict(self.distance)


@dataclass(frozen=True)
class Verification:
    """Two photos compared. first, second: on the way to features. judgements: one per method that is ready. pair: the
    two faces, to be explained, which takes longer than the distances. timings_ms: step → milliseconds. indexed: what
    ``Identifier.told`` says of the gallery that thresholds were measured on.
    """

    first: Query
    second: Query
    judgements: tuple[Judgement, ...]
    pair: Pair
    provenance: dict
    timings_ms: dict[str, float]
    indexed: str = ""

    def judgement(self, method: str) -> Judgement | None:
        """What a method says, or None where it is not ready."""
        return next((judgement for judgement in self.judgements if judgement.method == method), None)

    def as_json(self) -> dict:
        """The answer as plain data."""
        methods = {}
        for judged in self.judgements:
            line = judged.threshold
            methods[judged.method] = {
                "distance": judged.distance, "verdict": judged.verdict, "ms": round(judged.ms, 2),
                "threshold": None if line is None else {
                    "value": line.value, "lower": line.lower, "upper": line.upper, "equal_error_rate": line.error,
                    "genuine_pairs": line.genuine, "stranger_pairs": line.strangers, "source": line.source},
            }
        used = settings_json(self.pair.matching, self.pair.transport)
        return {
            "first": self.first.as_json(), "second": self.second.as_json(), "methods": methods,
            "sentence": sentence(self.pair), "notes": self.indexed,
            "settings": {**{key: used[key] for key in ("weighting", "grid", "solver")}, **self.provenance},
            "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }


def verify(first, second, identifier: Identifier, first_preparation: Preparation = Preparation(),  # noqa: B008
           second_preparation: Preparation = Preparation()) -> Verification:  # noqa: B008
    """Compare two photos (anything ``load_photo`` takes) by every method that is ready for the backbone, each at its
    default settings, to which thresholds belong.

    identifier: the backbone, and the gallery that the thresholds were measured on. preparation: which face, detector
    and alteration of either photo. Raises BadPhoto, NoFace or BadSetting, naming the photo.
    """
    clock = Clock(identifier.backbone.device)
    queries: list[Query] = []
    for name, photo, asked in (("first", first, first_preparation), ("second", second, second_preparation)):
        try:
            with clock.step(f"{name} photo"):
                queries.append(prepare_query(photo, identifier.backbone, asked, gallery=identifier.gallery))
        except DemoError as error:
            raise type(error)(f"{name.capitalize()} photo: {error}") from None
    one, other = (query.features for query in queries)
    judgements, calibration = [], Calibration(identifier.gallery)
    faceless = [query.faceless for query in queries if query.faceless]
    for word, method in identifier.ready(verifies=True).items():
        with clock.step(word):
            distance = float(method.pairs(one, other)[0])
        line = Unfit(faceless[0], photo=True) if faceless else calibration.threshold(
            method, queries[0].measured_as, queries[1].measured_as, [query.crop for query in queries])
        judgements.append(Judgement(word, distance, line, clock.steps[word]))
    bare = Pair((queries[0].crop, queries[1].crop), (one, other), identifier.method, Matching(),
                ("First photo", "Second photo"), ("first photo", "second photo"))
    pair = replace(bare, terms=[_term(judged, bare) for judged in judgements])
    return Verification(queries[0], queries[1], tuple(judgements), pair, identifier.provenance(), clock.total(),
                        identifier.told())


def _term(judged: Judgement, pair: Pair) -> Term:
    method = pair.method(judged.method)
    note = method.describe(pair.matching.of(judged.method), pair.evidence(judged.method))
    return Term(judged.title, decimals(judged.distance, 4), note)


def agreement(found: Verification) -> str:
    """What the methods say together, in a sentence."""
    said = [judged.verdict for judged in found.judgements if judged.verdict is not None]
    if len(said) < len(found.judgements):
        unmeasured = next((judged.line.asked for judged in found.judgements if isinstance(judged.line, Unfit)), None)
        if unmeasured:
            return (f"Distances only: no thresholds are measured for photos altered like this "
                    f"({kind_called(unmeasured).title.lower()}), and those of other photos would mislead.")
        return "Distances only: " + next(judged.line.reason for judged in found.judgements
                                         if isinstance(judged.line, Unfit))
    if len(set(said)) == 1:
        return f"Every method says: {WORDS[said[0]]}."
    parts = [f"{WORDS[verdict]} ({', '.join(j.short for j in group)})"
             for verdict in WORDS if (group := [j for j in found.judgements if j.verdict == verdict])]
    return f"The methods differ: {'; '.join(parts)}."
