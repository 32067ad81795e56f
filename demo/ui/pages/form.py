"""The left side of the Identify page: every choice as a component, a value and a part of the link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import gradio as gr

from demo.backbones import grid_name, parse_grid
from demo.crossimage import methods_ready
from demo.explain import COLORMAPS
from demo.faces import DETECTORS
from demo.identify import PAPER_ALPHA
from demo.matching import SOLVERS, WEIGHTINGS, weighting_problems
from demo.query import ALTERATIONS, Options
from demo.ui.components import ExampleStrip, PhotoInput
from demo.ui.engine import Engine
from demo.ui.parameters import Parameter
from demo.ui.views.board import photo_thumb
from demo.ui.views.examples import EXAMPLES, FIRST

UNALTERED, ANY_STYLE = "none", "any"
#: Both ways to re-rank beside each other.
BOTH = "both"
RERANKINGS = {"emd": "EMD", "h2l": "H2L", BOTH: "Both", "none": "Stage 1 only"}
#: Offered as well where weights of theirs are there.
FURTHER = {"h2": "H2", "h1": "H1", "v": "V"}


def defaults(engine: Engine) -> dict:
    """Every choice at its default, in the order of the form. A link carries those that differ."""
    plain = Options()
    backbone = engine.settings.backbone
    return {
        "occlude": UNALTERED, "style": ANY_STYLE, "seed": plain.seed, "gallery": engine.settings.gallery,
        "backbone": backbone, "stage2": plain.stage2, "weighting": plain.weighting,
        "grid": grid_name(engine.info(backbone).grids[0]), "alpha": PAPER_ALPHA,
        "adaptive": plain.adaptive, "share": plain.share, "k": plain.k, "solver": plain.solver,
        "detector": plain.detector, "aligned": plain.aligned, "colours": COLORMAPS[0],
    }


def options_of(values: Mapping, face: int = 0) -> Options:
    """The form's choices as Options."""
    altered = values["occlude"] != UNALTERED
    return Options(
        stage2="emd" if values["stage2"] == BOTH else values["stage2"], weighting=values["weighting"],
        alpha=float(values["alpha"]) if values["stage2"] in ("emd", BOTH) else None, k=int(values["k"]),
        grid=parse_grid(values["grid"]), solver=values["solver"], occlusion=values["occlude"] if altered else None,
        style=values["style"] if altered and values["style"] != ANY_STYLE else None, seed=int(values["seed"] or 0),
        detector=values["detector"], face=int(face), aligned=bool(values["aligned"]),
        share=float(values["share"]), adaptive=bool(values["adaptive"]),
    )


def link_of(values: Mapping, standard: Mapping, example: str) -> str:
    """What the address bar carries after "?": the example and the choices that differ from the default."""
    changed = {name: value for name, value in values.items() if value != standard[name]}
    return urlencode(({"example": example} if example else {}) | changed)


def values_from_link(query: Mapping[str, str], standard: Mapping) -> dict:
    """The choices a link carries; what cannot be read keeps its default."""
    values = dict(standard)
    for name, value in standard.items():
        text = query.get(name)
        if text is None:
            continue
        try:
            values[name] = text == "True" if isinstance(value, bool) else type(value)(text)
        except ValueError:
            continue
    return values


def strip_value(chosen: str) -> dict:
    """The example strip with one example pressed, or none for ""."""
    return {"chosen": chosen, "examples": [
        {"name": example.name, "title": example.title, "thumb": photo_thumb(example.photo)}
        for example in EXAMPLES.values()
    ]}


def styles_of(alter: str) -> dict[str, str]:
    """Styles of an alteration that can be chosen, name → title; empty where there are none."""
    styles = ALTERATIONS[alter].styles if alter in ALTERATIONS else {}
    return {ANY_STYLE: "Any (drawn by chance)", **styles} if styles else {}


def style_choices(alter: str, chosen: str | None = None) -> gr.Dropdown:
    """The style menu for an alteration; hidden where there is nothing to choose."""
    styles = styles_of(alter) or {ANY_STYLE: ""}
    return gr.Dropdown(choices=[(title, name) for name, title in styles.items()],
                       value=chosen if chosen in styles else ANY_STYLE, visible=len(styles) > 1)


def offers(component: gr.components.Component, value) -> bool:
    """Whether a value from a link is one that the component would take."""
    return Parameter.of("", component).takes(value)


@dataclass
class Form:
    """The components. ``choices`` maps each name of ``defaults`` to its component."""

    photo: gr.Image
    strip: ExampleStrip
    example: gr.State
    face: gr.State
    shuffle: gr.Button
    go: gr.Button
    stop: gr.Button
    choices: dict[str, gr.components.Component] = field(default_factory=dict)

    @classmethod
    def lay_out(cls, engine: Engine) -> Form:
        """Make the components inside the current column."""
        standard = defaults(engine)
        example, face = gr.State(""), gr.State(0)
        photo = PhotoInput(label="Photo", type="filepath", sources=["upload", "clipboard", "webcam"], height=230,
                           elem_id="photo", webcam_options=gr.WebcamOptions(mirror=True))
        gr.Markdown("Processed in memory, erased within the hour, never kept or used for training.",
                    elem_classes="hint")
        strip = ExampleStrip(strip_value(FIRST), elem_id="examples", label="Examples")
        choices = {
            "occlude": gr.Radio([("Leave as it is", UNALTERED), *((kind.title, name) for name, kind in
                                                                ALTERATIONS.items())],
                              value=standard["occlude"], label="Alter the photo", elem_id="occlude"),
        }
        with gr.Row(elem_classes="tight"):
            every = {name: title for kind in ALTERATIONS for name, title in styles_of(kind).items()}
            choices["style"] = gr.Dropdown([(title, name) for name, title in every.items()], value=ANY_STYLE,
                                           label="Style", visible=False, min_width=120, scale=2, elem_id="style")
            shuffle = gr.Button("Shuffle", size="md", min_width=90, scale=1, elem_id="shuffle", visible=False)
        choices["gallery"] = gr.Dropdown(gallery_choices(engine), value=standard["gallery"], label="Gallery",
                                         elem_id="gallery")
        choices["backbone"] = gr.Dropdown(backbone_choices(engine), value=standard["backbone"], label="Backbone",
                                          elem_id="backbone")
        choices["stage2"] = gr.Radio(reranking_choices(standard["backbone"]), value=standard["stage2"],
                                     label="Re-ranking", elem_id="stage2",
                                     info="EMD: Earth Mover's Distance of patches. H2L: cross-image attention.")
        with gr.Accordion("Method settings", open=False, elem_id="settings"):
            choices |= _method_choices(engine, standard)
        with gr.Row(elem_classes="tight"):
            go = gr.Button("Identify", variant="primary", min_width=120, scale=2, elem_id="go")
            stop = gr.Button("Stop", min_width=80, scale=1, elem_id="stop")
        order = {name: choices[name] for name in standard}
        return cls(photo, strip, example, face, shuffle, go, stop, order)

    @property
    def components(self) -> list:
        return list(self.choices.values())

    def wire_choices(self, engine: Engine, quick: dict) -> None:
        """What the choices do to each other."""
        self.choices["occlude"].input(
            lambda alter: (style_choices(alter), gr.Button(visible=alter != UNALTERED)), self.choices["occlude"],
            [self.choices["style"], self.shuffle], **quick)
        backbone, grid, weighting = (self.choices[name] for name in ("backbone", "grid", "weighting"))
        backbone.input(_reranking_choices, [backbone, self.choices["stage2"]], self.choices["stage2"], **quick)
        backbone.input(lambda name: _grid_choices(engine, name), backbone, grid, **quick).then(
            lambda *chosen: _weighting_choices(engine, *chosen), [backbone, grid, weighting], weighting, **quick)
        grid.input(lambda *chosen: _weighting_choices(engine, *chosen), [backbone, grid, weighting], weighting, **quick)

    @property
    def triggers(self) -> list:
        """Events after which the result no longer fits the form."""
        by_release = {"alpha", "share", "k"}
        return [component.release if name in by_release else component.input
                for name, component in self.choices.items() if name != "seed"] + [self.choices["seed"].submit]


def _method_choices(engine: Engine, standard: dict) -> dict:
    return {
        "weighting": gr.Dropdown([(weighting.title, name) for name, weighting in WEIGHTINGS.items()],
                                 value=standard["weighting"], label="Patch weighting", elem_id="weighting"),
        "grid": gr.Dropdown(list(dict.fromkeys(grid_name(grid) for info in engine.backbones() for grid in info.grids)),
                            value=standard["grid"], label="Patch grid", elem_id="grid"),
        "alpha": gr.Slider(0, 1, standard["alpha"], step=0.05, label="α, share of EMD",
                           info="0 keeps Stage 1; the paper uses 0.7. H2L has its own.", elem_id="alpha"),
        "adaptive": gr.Checkbox(standard["adaptive"], label="Adaptive α (extra)", elem_id="adaptive",
                                info="Raises α up to 0.9 for a face whose patches are out of place, as a crop's are."),
        "share": gr.Slider(0.3, 1, standard["share"], step=0.05, label="Share of the mass that moves (extra)",
                           info="Below 1, patches that match worst, such as occluded ones, may stay unmatched.",
                           elem_id="share"),
        "k": gr.Slider(5, 300, standard["k"], step=5, label="k, candidates to re-rank", elem_id="k"),
        "solver": gr.Dropdown(["auto", *SOLVERS], value=standard["solver"], label="Transport solver",
                              elem_id="solver"),
        "detector": gr.Dropdown([(detector.title, name) for name, detector in DETECTORS.items()],
                                value=standard["detector"], label="Face detector", elem_id="detector"),
        "aligned": gr.Checkbox(standard["aligned"], label="The photo is already an aligned face",
                               elem_id="aligned"),
        "seed": gr.Number(standard["seed"], label="Seed of the alteration", precision=0, minimum=0,
                          elem_id="seed"),
        "colours": gr.Dropdown(list(COLORMAPS), value=standard["colours"], label="Colours of the heat maps",
                               elem_id="colours"),
    }


def _grid_choices(engine: Engine, backbone: str) -> gr.Dropdown:
    names = [grid_name(grid) for grid in engine.info(backbone).grids]
    return gr.Dropdown(names, value=names[0])


def _weighting_choices(engine: Engine, backbone: str, grid: str, chosen: str) -> gr.Dropdown:
    """The weightings that can be used; those that cannot are left out and the reason is told."""
    problems = weighting_problems(engine.info(backbone), parse_grid(grid))
    offered = {name: WEIGHTINGS[name].title for name, reason in problems.items() if reason is None}
    told = " ".join(f"Not offered: {reason}" for reason in problems.values() if reason)
    return gr.Dropdown([(title, name) for name, title in offered.items()], info=told,
                       value=chosen if chosen in offered else next(iter(offered)))


def reranking_choices(backbone: str) -> list[tuple[str, str]]:
    """Ways to re-rank as (what the control shows, word)."""
    missing = methods_ready(backbone)
    further = {word: title for word, title in FURTHER.items() if not missing[title]}
    return [(title, word) for word, title in {**RERANKINGS, **further}.items()]


def _reranking_choices(backbone: str, chosen: str) -> gr.Radio:
    offered = reranking_choices(backbone)
    return gr.Radio(offered, value=chosen if chosen in dict(map(reversed, offered)) else "emd")


def gallery_choices(engine: Engine) -> list[tuple[str, str]]:
    """Every gallery as (what the menu shows, name)."""
    states = [engine.state(name) for name in engine.gallery_names()]
    return [(f"{state.name}: {state.photos} photos of {state.people} people", state.name) for state in states]


def backbone_choices(engine: Engine) -> list[tuple[str, str]]:
    """Every backbone as (what the menu shows, name)."""
    return [(f"{info.title}: {'ready' if info.ready else 'weights missing'}", info.name) for info in engine.backbones()]
