"""Are these two photos of one person? Every method that is ready gives its distance and what it says about it."""

from __future__ import annotations

from dataclasses import dataclass

from demo.backbones import grid_name
from demo.crossimage import PairMaps, pair_maps
from demo.errors import DemoError
from demo.faces import OCCLUSIONS
from demo.identify import Identifier
from demo.matching import EMDResult, emd
from demo.query import ALTERATIONS, Clock, Options, Query, prepare_query
from demo.thresholds import FEWEST, WEIGHTING, Threshold, load_threshold, pair_methods

#: Method → title, in the order shown.
TITLES = {"cosine": "Cosine distance", "emd": "Earth Mover's Distance (EMD)", "h2l": "Cross-image attention (H2L)"}
SHORT = {"cosine": "Cosine", "emd": "EMD", "h2l": "H2L"}
#: Verdict → how a person would say it.
WORDS = {"same": "same person", "uncertain": "uncertain", "different": "different people"}


@dataclass(frozen=True)
class Judgement:
    """What one method says of a pair. method: a key of TITLES. distance: smaller is nearer. threshold: None where none
    was measured for such photos. ms: time of the comparison alone."""

    method: str
    distance: float
    threshold: Threshold | None
    ms: float

    @property
    def title(self) -> str:
        return TITLES[self.method]

    @property
    def verdict(self) -> str | None:
        """"same", "uncertain", "different", or None without a threshold."""
        return None if self.threshold is None else self.threshold.verdict(self.distance)


@dataclass(frozen=True)
class Verification:
    """Two photos compared. first, second: on the way to features. options: how either was prepared.

    judgements: one per method that is ready. emd: flow and weights of the pair. maps: what H2L attends to, None where
    it is not ready. timings_ms: step → milliseconds.
    """

    first: Query
    second: Query
    options: tuple[Options, Options]
    judgements: tuple[Judgement, ...]
    emd: EMDResult
    maps: PairMaps | None
    provenance: dict
    timings_ms: dict[str, float]

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
        return {
            "first": self.first.as_json(self.options[0]), "second": self.second.as_json(self.options[1]),
            "methods": methods,
            "settings": {"weighting": WEIGHTING, "grid": grid_name(self.emd.grid), "solver": self.emd.solver,
                         **self.provenance},
            "timings_ms": {step: round(ms, 2) for step, ms in self.timings_ms.items()},
        }


def verify(first, second, identifier: Identifier, first_options: Options = Options(),  # noqa: B008
           second_options: Options = Options()) -> Verification:  # noqa: B008
    """Compare two photos (anything ``load_photo`` takes) by every method that is ready for the backbone.

    identifier: the backbone, and the gallery that the thresholds were measured on. options: which face, detector and
    alteration of either photo; the other fields play no part, as thresholds belong to the methods' default settings.
    Raises BadPhoto, NoFace or BadSetting, naming the photo.
    """
    clock = Clock(identifier.backbone.device)
    queries = []
    for name, photo, options in (("first", first, first_options), ("second", second, second_options)):
        try:
            with clock.step(f"{name} photo"):
                queries.append(prepare_query(photo, identifier.backbone, options, gallery=identifier.gallery))
        except DemoError as error:
            raise type(error)(f"{name.capitalize()} photo: {error}") from None
    one, other = (query.features for query in queries)
    judgements, model = [], identifier.h2l()
    for method, (weights, distances) in pair_methods(identifier.backbone, model).items():
        with clock.step(method):
            distance = float(distances(one, other)[0])
        threshold = load_threshold(identifier.gallery, method, weights, first_options.occlusion,
                                   second_options.occlusion)
        judgements.append(Judgement(method, distance, threshold, clock.steps[method]))
    with clock.step("explain"):
        transported = emd(one, other, WEIGHTING)
        maps = pair_maps(model, one, other) if model else None
    return Verification(*queries, (first_options, second_options), tuple(judgements), transported, maps,
                        identifier.provenance(), clock.total())


def agreement(found: Verification) -> str:
    """What the methods say together, in a sentence."""
    said = [judged.verdict for judged in found.judgements]
    if None in said:
        kinds = [options.occlusion for options in found.options if options.occlusion not in (None, *OCCLUSIONS)]
        if kinds:
            return (f"Distances only: no thresholds are measured for photos altered like this "
                    f"({ALTERATIONS[kinds[0]].title.lower()}), and those of other photos would mislead.")
        return (f"Distances only: the gallery {found.provenance['gallery']} has no thresholds for these photos. Index "
                f"it again, with at least {FEWEST} pairs of photos of one person.")
    if len(set(said)) == 1:
        return f"Every method says: {WORDS[said[0]]}."
    parts = [f"{WORDS[verdict]} ({', '.join(SHORT[j.method] for j in group)})"
             for verdict in WORDS if (group := [j for j in found.judgements if j.verdict == verdict])]
    return f"The methods differ: {'; '.join(parts)}."
