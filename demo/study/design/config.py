"""What a study is, as data: read from and written to JSON, checked before anything is made of it (docs/method.md)."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from reprlib import repr as brief

from demo.errors import BadStudy
from demo.study.design.conditions import PAPER
from demo.study.design.document import parsed, read_object
from demo.study.design.forms import check_forms
from demo.study.design.texts import check_texts, filled, languages, ready_forms, ready_texts

#: How participants are spread over orders and sets: word → what it does.
COUNTERBALANCING = {
    "rotated": "Williams orders of the conditions x rotations of the sets over them",
    "fixed": "everybody sees the conditions in the order given, each with its own set, as in the paper",
    "repeated": "everybody sees the conditions in the order given, all with the first set",
}
#: Confidence is a choice of 1 to this number.
CONFIDENCE_LEVELS = 4
#: By so many milliseconds a page's time may exceed what the server saw from onset to answer, as a message may be slow
#: on its way.
CLOCK_TOLERANCE_MS = 500
#: No whole number of ours is larger; the ranges say how large which may be.
_LARGEST = 10**15
_STUDY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Exclusion:
    """When a participant becomes a candidate for exclusion; the operator decides, the rule is declared.

    fast_ms, slow_ms: response times outside are flagged. fast_trials, slow_trials: from so many flagged test trials
    on. same_answer_run: more equal answers in a row than this. attention_failed: from so many on, or from half of the
    checks on where that is fewer (``StudyConfig.exclusion_rule``). guessing_percent: no more right among the practice
    pairs and checks, which are clear cases, than tossing a coin reaches in so many of 100 tries; 0 = not asked.
    """

    fast_ms: int = 200
    slow_ms: int = 60_000
    fast_trials: int = 3
    slow_trials: int = 6
    same_answer_run: int = 12
    attention_failed: int = 2
    guessing_percent: int = 95


@dataclass(frozen=True)
class StudyConfig:
    """A study. ``check`` raises BadStudy, in one sentence, for the first value that does not fit.

    study_id: short name in file names and exports. title: over the consent ("" = the question). conditions: codes of
    ``design.conditions``, one block each. pairs_per_set: test pairs per block; there is one set per condition.
    training_pairs: per block, with feedback, other ones in every block. attention_per_block: checks of several kinds
    (``stimuli.planning.CHECKS``). counterbalancing: a word of COUNTERBALANCING. confidence: asked (1 to 4, may be
    skipped) with every answer. max_seconds: longest time per pair, 0 = no limit. two_step: answer without the
    explanation first, then with it. breaks: a rest between blocks. subtract_pattern: take from every map what the maps
    of all other pairs have in common. planned_n: participants; results stay hidden until then. stop_at_n: nobody more
    is let in, and the study closes, once they are there. idle_minutes: after so long without a sign of life a
    participant counts as dropped out. minimum_age: confirmed with the consent. minimum_width: of the window, in CSS
    pixels. swap_keys: for half of the participants yes and no change places and keys. keep_ids: keep a recruiting
    service's ids, apart from the answers, to pay people. completion, screened_out, over_quota: codes for a recruiting
    service, and addresses to go back to it (``_code``, ``_url``; "" = none). researcher, contact, retention: told with
    the consent. language: of the texts, see ``design.texts``. texts: all of them, by key. questionnaires: see
    ``design.forms``.
    """

    study_id: str = "face-pairs"
    title: str = ""
    conditions: tuple[str, ...] = PAPER
    pairs_per_set: int = 15
    training_pairs: int = 5
    attention_per_block: int = 2
    counterbalancing: str = "rotated"
    confidence: bool = True
    max_seconds: float = 0.0
    two_step: bool = False
    breaks: bool = True
    subtract_pattern: bool = False
    planned_n: int = 32
    stop_at_n: bool = True
    idle_minutes: float = 30.0
    minimum_age: int = 18
    minimum_width: int = 320
    swap_keys: bool = False
    keep_ids: bool = True
    completion_code: str = ""
    completion_url: str = ""
    screened_out_code: str = ""
    screened_out_url: str = ""
    over_quota_code: str = ""
    over_quota_url: str = ""
    researcher: str = ""
    contact: str = ""
    retention: str = ""
    language: str = "en"
    exclusion: Exclusion = field(default_factory=Exclusion)
    texts: dict[str, str] = field(default_factory=lambda: ready_texts("en"))
    questionnaires: tuple[dict, ...] = ()

    @classmethod
    def preset(cls, name: str) -> StudyConfig:
        """A configuration by its name in PRESETS."""
        if name not in PRESETS:
            raise BadStudy(f"There is no preset {brief(name)}: choose from {', '.join(PRESETS)}.")
        return replace(cls(), **PRESETS[name])

    @classmethod
    def from_json(cls, text: str, base: StudyConfig | None = None) -> StudyConfig:
        """Read and check what ``to_json`` wrote, or a part of it: what is not given stays as in ``base`` (None = the
        defaults)."""
        try:
            data = parsed(text)
        except BadStudy as error:
            raise BadStudy(f"The study's configuration cannot be used: {error}.") from None
        return cls._of(data, base or cls())

    @classmethod
    def _of(cls, data: dict, base: StudyConfig) -> StudyConfig:
        language = data.get("language", base.language)
        own = data.pop("texts", {})
        forms = data.pop("questionnaires", None)
        config = _filled(base, data, "")
        if not isinstance(own, dict):
            raise BadStudy("texts must be a JSON object of texts by their names.")
        # What an older version wrote, or an operator leaves out, is taken from the language.
        texts = base.texts if language == base.language else ready_texts(language)
        config = replace(config, texts={**texts, **own},
                         questionnaires=base.questionnaires if forms is None else _forms(forms, language))
        config.check()
        return config

    @classmethod
    def read(cls, path: str | Path, base: StudyConfig | None = None) -> StudyConfig:
        """``from_json`` of a file."""
        try:
            data = read_object(path)
        except OSError:
            raise BadStudy(f"The study's configuration {path} cannot be read: give a JSON file.") from None
        except BadStudy as error:
            raise BadStudy(f"The study's configuration {path} cannot be used: {error}.") from None
        return cls._of(data, base or cls())

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces. Equal configurations give equal text."""
        return canonical_json({**asdict(self), "questionnaires": list(self.questionnaires)})

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return text_sha256(self.to_json())

    @property
    def consent_sha256(self) -> str:
        """SHA-256 of all that is read before consenting, kept with every participant."""
        return text_sha256(self.consent)

    @property
    def consent(self) -> str:
        """All that is read before consenting, as Markdown: the text, who does the study, and everything that is
        recorded."""
        told, words = [], self.texts
        for key, value in (("who", self.researcher), ("contact", self.contact), ("retention", self.retention)):
            if value:
                # Isolated, so that a name or sentence in another direction of writing keeps its own order.
                own = f"\u2068{value}\u2069" if words["dir"] == "rtl" else value
                told.append(filled(words[key], **{"researcher" if key == "who" else key: own}))
        kept = ["answers", *(["confidence"] if self.confidence else []), *(["forms"] if self.questionnaires else []),
                "page", "device", "id" if self.keep_ids else "hash", "not"]
        recorded = "\n".join([words["recorded"], "", *(f"- {words[f'recorded.{one}']}" for one in kept)])
        return "\n\n".join([words["consent"].strip(), recorded, *told]) + "\n"

    @property
    def heading(self) -> str:
        """The title, or the question where there is none."""
        return self.title or self.texts["question"]

    @property
    def set_names(self) -> tuple[str, ...]:
        """"A", "B", ...: one set of test pairs per condition."""
        return tuple(chr(ord("A") + k) for k in range(len(self.conditions)))

    @property
    def exclusion_rule(self) -> Exclusion:
        """The rule in force: ``exclusion``, with no more failed checks allowed than half of all that there are, which
        whoever always gives one answer fails."""
        half = max(1, self.attention_per_block * len(self.conditions) // 2)
        return replace(self.exclusion, attention_failed=min(self.exclusion.attention_failed, half))

    def check(self) -> None:
        """Raise BadStudy for the first value that is out of range."""
        if not _STUDY_ID.fullmatch(self.study_id):
            raise BadStudy(f"study_id must be up to 40 small letters, digits and hyphens; got {brief(self.study_id)}.")
        if not 1 <= len(self.conditions) <= 8 or len(set(self.conditions)) != len(self.conditions):
            raise BadStudy("conditions must name one to eight different conditions.")
        if self.counterbalancing not in COUNTERBALANCING:
            raise BadStudy(f"counterbalancing must be one of {', '.join(COUNTERBALANCING)}; got "
                           f"{brief(self.counterbalancing)}.")
        for name, low, high in _RANGES:
            holder, value = (self.exclusion, getattr(self.exclusion, name)) if hasattr(self.exclusion, name) else (
                self, getattr(self, name))
            if not low <= value <= high:
                raise BadStudy(f"{name} must lie between {low} and {high}; got {value}.")
        if self.exclusion.fast_ms >= self.exclusion.slow_ms:
            raise BadStudy("fast_ms must be smaller than slow_ms.")
        for name in ("researcher", "contact", "retention", "title", "completion_code", "screened_out_code",
                     "over_quota_code"):
            if len(getattr(self, name)) > 2000:
                raise BadStudy(f"{name} is longer than 2000 characters: shorten it.")
        for name in ("completion_url", "screened_out_url", "over_quota_url"):
            if getattr(self, name) and not getattr(self, name).startswith(("https://", "http://")):
                raise BadStudy(f"{name} must be a web address that starts with https://.")
        if self.language not in languages() and self.texts.get("lang") != self.language:
            raise BadStudy(f"language is {brief(self.language)}, but no texts in it are given.")
        check_texts(self.texts)
        check_forms(self.questionnaires)


_RANGES = (
    ("pairs_per_set", 2, 200), ("training_pairs", 0, 50), ("attention_per_block", 0, 5), ("max_seconds", 0, 600),
    ("planned_n", 1, 100_000), ("idle_minutes", 1, 10_000), ("minimum_age", 0, 120), ("minimum_width", 0, 4000),
    ("fast_ms", 0, 10_000),
    ("slow_ms", 1, 3_600_000), ("fast_trials", 1, 1000), ("slow_trials", 1, 1000), ("same_answer_run", 3, 1000),
    ("attention_failed", 1, 1000), ("guessing_percent", 0, 99),
)

#: Ready-made designs: name → what differs from the default.
PRESETS = {
    "default": {},
    "paper": {"counterbalancing": "fixed", "attention_per_block": 0, "confidence": False, "breaks": False,
              "planned_n": 21},
}


def canonical_json(data) -> str:
    """JSON with sorted keys and no spaces, for hashing."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def text_sha256(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _filled(default, data, where: str):
    """``default`` (a dataclass) with the values of a JSON object, each of its field's type."""
    if not isinstance(data, dict):
        raise BadStudy(f"{where or 'The configuration'} must be a JSON object.")
    known = {spec.name for spec in fields(default)}
    for name in data:
        if name not in known:
            raise BadStudy(f"The configuration has no setting {where}{brief(name)}: remove it or correct its name.")
    return replace(default, **{name: _typed(getattr(default, name), value, where + name)
                               for name, value in data.items()})


def _forms(given, language: str) -> tuple[dict, ...]:
    """Questionnaires from JSON: objects, or names of those that come with the language."""
    if not isinstance(given, list):
        raise BadStudy("questionnaires must be a list of names and objects.")
    ready = ready_forms(language if language in languages() else "en")
    found = []
    for one in given:
        if isinstance(one, str) and one not in ready:
            raise BadStudy(f"There is no questionnaire {brief(one)}: choose from {', '.join(ready)}, or write your "
                           "own.")
        found.append({"id": one, **ready[one]} if isinstance(one, str) else one)
    return tuple(found)


def _typed(default, value, name: str):
    if is_dataclass(default):
        return _filled(default, value, f"{name}.")
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise BadStudy(f"{name} must be a list of words; got {brief(value)}.")
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(max(-_LARGEST, min(_LARGEST, value)))
    if type(value) is not type(default):
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise BadStudy(f"{name} must be {kinds[type(default)]}; got {brief(value)}.")
    return value
