"""Everything a visitor can choose, generated from the typed options: what a form, a link and a program hold of each,
and what that stands for. No gradio here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from demo.backbones import BackboneInfo, grid_name
from demo.errors import BadSetting
from demo.explain import COLORMAPS
from demo.faces import DETECTORS, PERTURBATIONS
from demo.fields import Field, fields_of, option
from demo.methods import METHODS, NONE, RERANKING, Matching, Method, ready, usual
from demo.methods.base import AnyBackbone
from demo.methods.emd import PAPER_ALPHA
from demo.presets import PRESETS, preset
from demo.query import ALTERATIONS, Preparation
from demo.settings import Settings
from demo.ui.engine import Engine

#: For an option that is not set, and for a style that the seed draws.
UNSET, ANY_STYLE = "none", "any"
#: The patch grid that each backbone is used with unless another is asked for.
FINEST = "finest"
#: No preset.
OWN = "own"
#: Two ways to re-rank beside each other.
BOTH = "both"
#: Of the words that are about the second of two photos.
SECOND = "_second"
#: Words whose places programs know; of later options each follows those that were there.
KNOWN = ("occlude", "style", "seed", "gallery", "backbone", "stage2", "weighting", "grid", "alpha", "adaptive", "share",
         "k", "solver", "detector", "aligned", "colours")


@dataclass(frozen=True)
class Display:
    """How pictures are drawn."""

    colours: str = option(COLORMAPS[0], title="Colours of the heat maps", help="Which colours the heat maps have.",
                          choices={name: name for name in COLORMAPS})


@dataclass(frozen=True)
class Choice:
    """An option as pages offer it.

    field: as a control can hold it, within what pages offer. option: what it is of ``holder``, a dataclass of options;
    None where it is of no such. unset: what is held where the option is None. info: said beside the control.
    """

    field: Field
    option: Field | None = None
    holder: type | None = None
    unset: str | None = None
    info: str = ""

    def value(self, held: Any) -> Any:
        """What a control holds, as the option takes it."""
        one = self.option
        assert one is not None
        if held is None:
            return one.default
        if held == self.unset:
            return None
        if one.parse and isinstance(held, str):
            return one.read(held)
        return one.kind(held) if one.kind in (bool, int, float) else held

    def held(self, value: Any) -> Any:
        """What a control holds for a value of the option."""
        one = self.option
        assert one is not None
        if value is None:
            return self.field.default if self.unset is None else self.unset
        return one.write(value) if one.parse else value


#: Word → choice, in the order of the form.
Choices = Mapping[str, Choice]


def identify_choices(engine: Engine) -> dict[str, Choice]:
    """What can be chosen of an identification."""
    holders = [Preparation, Matching, *dict.fromkeys(method.Options for method in METHODS.values()), Display]
    found = {word: Choice(one) for word, one in source_fields(engine).items()}
    found |= {one.word: _offered(engine, one, holder) for holder in holders for one in fields_of(holder)}
    return {word: found[word] for word in in_order([word for word in found if word != _FACE.word], KNOWN)}


def compare_choices(engine: Engine) -> dict[str, Choice]:
    """What can be chosen of a comparison: of either photo what each has of its own, then what both share."""
    found = {}
    for suffix, photo in (("", "first"), (SECOND, "second")):
        for one in fields_of(Preparation):
            if one.each and one.word != _FACE.word:
                choice = _offered(engine, one, Preparation)
                title = choice.field.title.replace("the photo", f"the {photo} photo")
                field = replace(choice.field, word=one.word + suffix, title=title)
                found[field.word] = replace(choice, field=field)
    gallery, backbone = source_fields(engine).values()
    found |= {"gallery": Choice(replace(gallery, title="Thresholds from gallery")), "backbone": Choice(backbone)}
    for one in fields_of(Preparation):
        if not one.each:
            found[one.word] = _offered(engine, replace(one, title=_OF_BOTH.get(one.word, one.title)), Preparation)
    return found


_FACE = next(one for one in fields_of(Preparation) if one.name == "face")
#: Titles where an option is about two photos.
_OF_BOTH = {"aligned": "Both photos are already aligned faces", "seed": "Seed of the alterations"}


def face_field(word: str = _FACE.word, title: str = _FACE.title) -> Field:
    """Which face of a photo, as programs say it: from 1."""
    return replace(_FACE, word=word, title=title, default=1, low=1, parse=None, show=str)


def preset_field() -> Field:
    """Settings by name, as programs say it."""
    return Field("preset", str, OWN, "Preset", "Settings by name in place of those of the ranking.",
                 known={OWN: "As the other parameters say", **{word: one.title for word, one in PRESETS.items()}})


def source_fields(engine: Engine) -> dict[str, Field]:
    """What photos are compared with, and by what network."""
    chosen = engine.settings
    return {
        "gallery": Field("gallery", str, chosen.gallery, "Gallery", "The people a photo is compared with.",
                         known=lambda: {name: name for name in engine.gallery_names()}),
        "backbone": Field("backbone", str, chosen.backbone, "Backbone", "The network that describes faces.",
                          known=lambda: {info.name: f"{info.title}: {'ready' if info.ready else 'weights missing'}"
                                         for info in engine.backbones()}),
    }


def _offered(engine: Engine, one: Field, holder: type) -> Choice:
    """An option as pages offer it: a word where nothing may be chosen, text for what text stands for, and what pages
    have to say on it."""
    known, held, unset = one.known, one, None
    if one.optional and one.choices is not None:
        unset = UNSET
        told = (one.unset or UNSET).capitalize()
        held = replace(one, kind=str, default=UNSET, optional=False,
                       known=lambda: {UNSET: told, **(one.choices or {})})
    elif one.parse or (one.optional and one.kind is str):
        unset = "" if one.optional else None
        held = replace(one, kind=str, default=one.write(one.default), optional=False, parse=None, show=str, known=known)
    choice = Choice(held, one, holder, unset, one.help if one.extra else "")
    return _PAGES[one.word](engine, choice) if one.word in _PAGES else choice


def _alpha(_: Engine, choice: Choice) -> Choice:
    return replace(choice, field=replace(choice.field, title="α, share of the re-ranking distance"),
                   info=f"From 0, which keeps Stage 1, to 1; empty: the method's own. The papers use {PAPER_ALPHA:g}.")


def _grid(engine: Engine, choice: Choice) -> Choice:
    def known() -> dict[str, str]:
        return {name: title for info in engine.backbones() for name, title in grids_of(info).items()}

    return replace(choice, unset=FINEST, field=replace(choice.field, default=FINEST, known=known))


def _method(engine: Engine, choice: Choice) -> Choice:
    backbone = engine.info(engine.settings.backbone)
    return replace(choice, info=rerankings_told(backbone),
                   field=replace(choice.field, known=lambda: {
                       word: title for info in engine.backbones() for word, title in rerankings(info).items()}))


def _detector(engine: Engine, choice: Choice) -> Choice:
    return replace(choice, field=replace(choice.field, known=lambda: {
        name: one.title for name, one in DETECTORS.items() if one.ready(engine.settings.weights)}))


def _range(**limits) -> Any:
    return lambda _, choice: replace(choice, field=replace(choice.field, **limits))


def _style(_: Engine, choice: Choice) -> Choice:
    return replace(choice, unset=ANY_STYLE, field=replace(
        choice.field, default=ANY_STYLE,
        known=lambda: {name: title for kind in ALTERATIONS for name, title in styles_of(kind).items()}))


#: Word of an option → what pages offer of it, where that is not all there is.
_PAGES = {"style": _style, "stage2": _method, "grid": _grid, "alpha": _alpha, "detector": _detector,
          "k": _range(low=5, high=300), "share": _range(low=0.3, open_low=False)}


def styles_of(alter: str) -> dict[str, str]:
    """Styles of an alteration that can be chosen, name → title; empty where there are none."""
    styles = ALTERATIONS[alter].styles if alter in ALTERATIONS else {}
    return {ANY_STYLE: "Any (drawn by chance)", **styles} if styles else {}


def usual_style(alter: str) -> str:
    """The style that an alteration starts with: one drawn by chance, or the mildest where a whole photo is made worse,
    in which the face has to be found again."""
    return next(iter(PERTURBATIONS[alter].styles), ANY_STYLE) if alter in PERTURBATIONS else ANY_STYLE


def grids_of(backbone: BackboneInfo) -> dict[str, str]:
    """Patch grids that can be chosen for a backbone, word → title."""
    names = [grid_name(grid) for grid in backbone.grids]
    return {FINEST: f"The finest ({names[0]})", **{name: name for name in names}}


def rerankings(backbone: AnyBackbone) -> dict[str, str]:
    """Ways to re-rank that are ready for a backbone, word → title: the methods that judge pairs too, two beside each
    other, none, and the rest."""
    can = ready(backbone, among=RERANKING)
    judging = {word: one.short for word, one in can.items() if one.verifies}
    return {**judging, BOTH: "Both", NONE: "Stage 1 only", **{word: one.short for word, one in can.items()}}


def rerankings_told(backbone: AnyBackbone) -> str:
    """What their short names stand for."""
    return " ".join(f"{one.short}: {one.title.removesuffix(f' ({one.short})')}."
                    for word, one in RERANKING.items() if word in rerankings(backbone))


def beside(backbone: AnyBackbone) -> type[Method]:
    """What stands beside the usual method where both are asked for: the first trained one that judges pairs, if it is
    ready; else the first other that is."""
    can = ready(backbone, among=RERANKING)
    others = [one for one in can.values() if one is not usual(backbone)] or [usual(backbone)]
    return next((one for one in others if one.trained and one.verifies), others[0])


def standard(choices: Choices) -> dict[str, Any]:
    """Every choice at its default. A link carries those that differ."""
    return {word: one.field.default for word, one in choices.items()}


def filled(choices: Choices, held: Sequence[Any]) -> dict[str, Any]:
    """What the controls of a form hold, by words; a field that was emptied and needs a value has its usual one."""
    return {word: one.field.default if value is None else value
            for (word, one), value in zip(choices.items(), held, strict=True)}


def link_of(choices: Choices, values: Mapping, start: Mapping, example: str = "", face: int = 0) -> str:
    """What the address bar carries after "?": the example, the face where it is not the first, and the choices that
    differ from where a visitor starts."""
    changed = {word: choices[word].field.write(value) for word, value in values.items() if value != start[word]}
    named = {"example": example} if example else {}
    return urlencode(named | ({_FACE.word: face + 1} if face else {}) | changed)


def face_from_link(query: Mapping[str, str]) -> int:
    """Which face of its example a link names, from 0; the first where it names none that can be read."""
    try:
        return int(_FACE.read(query[_FACE.word])) if _FACE.word in query and "example" in query else 0
    except BadSetting:
        return 0


def values_from_link(choices: Choices, query: Mapping[str, str], start: Mapping) -> dict[str, Any]:
    """The choices a link carries; what cannot be read, or is not offered, stays as a visitor starts."""
    values = dict(start)
    for word, choice in choices.items():
        try:
            values[word] = choice.field.read(query[word]) if word in query else start[word]
        except BadSetting:
            continue
    return values


def preset_values(choices: Choices, word: str, values: Mapping, start: Mapping) -> dict[str, Any]:
    """What a form holds once a preset is chosen. start: the choices as a visitor meets them."""
    chosen, found = preset(word), dict(values)
    if chosen.everything:
        found |= {name: start[name] for name in ("backbone", "detector")}
    found["framing"] = chosen.framing
    holders = {type(one): one for one in (chosen.matching, *chosen.matching.options)}
    for name, choice in choices.items():
        if choice.option and choice.holder in holders:
            value = getattr(holders[choice.holder], choice.option.name)
            found[name] = choice.held(value)
    return found


def preset_on(choices: Choices, values: Mapping, settings: Settings) -> str | None:
    """The word of the preset that a form holds; None for settings of the visitor's own."""
    if values["stage2"] == BOTH:
        return None
    matching, preparation = matching_of(choices, values), preparation_of(choices, values)
    return next((word for word, one in PRESETS.items()
                 if one.holds(matching, preparation, values["backbone"], settings)), None)


def preparation_of(choices: Choices, values: Mapping, face: int = 0, suffix: str = "") -> Preparation:
    """What is asked of a photo. face: from 0. suffix: of the words that are about another photo, where they differ."""
    found = {}
    for word, choice in choices.items():
        one = choice.option
        if one and choice.holder is Preparation and word == one.word + (suffix if one.each else ""):
            found[one.name] = choice.value(values[word])
    return Preparation(**found, face=int(face))


def matching_of(choices: Choices, values: Mapping) -> Matching:
    """How faces are matched; of both methods beside each other the usual one."""
    found = {choice.option.name: choice.value(values[word]) for word, choice in choices.items()
             if choice.option and choice.holder not in (Preparation, Display)}
    found["method"] = usual(values["backbone"]).word if found["method"] == BOTH else found["method"]
    return Matching().having(**found)


def display_of(choices: Choices, values: Mapping) -> Display:
    """How pictures are drawn."""
    return Display(**{choice.option.name: choice.value(values[word]) for word, choice in choices.items()
                      if choice.option and choice.holder is Display})


def in_order(words: Sequence[str], order: Sequence[str]) -> list[str]:
    """Words as programs know their places; those without a place follow, as they come."""
    return [*(word for word in order if word in words), *(word for word in words if word not in order)]
