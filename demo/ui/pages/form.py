"""The left side of the Identify page: a control for every choice."""

from __future__ import annotations

from dataclasses import dataclass, field

import gradio as gr
from gradio.components import Component

from demo.backbones import BackboneInfo, grid_name, parse_grid
from demo.fields import fields_of
from demo.matching import WEIGHTINGS, weighting_problems
from demo.methods import DEFAULT
from demo.query import Preparation
from demo.ui.choices import UNSET, Choices, Display, rerankings, rerankings_told
from demo.ui.components import ExampleStrip, PhotoInput
from demo.ui.engine import Engine
from demo.ui.views.board import photo_thumb
from demo.ui.views.examples import EXAMPLES, FIRST
from demo.ui.widgets import changes, control, entered, gallery_choices, pairs, style_choices

#: Choices with a place of their own; all others are method settings.
PLACED = ("occlude", "style", "gallery", "backbone", "stage2")


def strip_value(chosen: str) -> dict:
    """The example strip with one example pressed, or none for ""."""
    return {"chosen": chosen, "examples": [
        {"name": example.name, "title": example.title, "thumb": photo_thumb(example.photo)}
        for example in EXAMPLES.values()
    ]}


def settings_order(choices: Choices) -> list[str]:
    """Words of the method settings: of matching, then of the photo, then of the pictures."""
    matching = [word for word, one in choices.items() if one.holder not in (None, Preparation, Display)]
    further = [one.word for holder in (Preparation, Display) for one in fields_of(holder)]
    return [word for word in matching + further if word in choices and word not in PLACED]


@dataclass
class Form:
    """The components. ``controls`` maps each word of the choices to its control."""

    photo: gr.Image
    strip: ExampleStrip
    example: gr.State
    face: gr.State
    shuffle: gr.Button
    go: gr.Button
    stop: gr.Button
    controls: dict[str, Component] = field(default_factory=dict)

    @classmethod
    def lay_out(cls, engine: Engine, choices: Choices) -> Form:
        """Make the components inside the current column."""
        example, face = gr.State(""), gr.State(0)
        photo = PhotoInput(label="Photo", type="filepath", sources=["upload", "clipboard", "webcam"], height=230,
                           elem_id="photo", webcam_options=gr.WebcamOptions(mirror=True))
        gr.Markdown("Processed in memory, erased within the hour, never kept or used for training.",
                    elem_classes="hint")
        strip = ExampleStrip(strip_value(FIRST), elem_id="examples", label="Examples")
        made = {}

        def add(word: str, **layout) -> None:
            made[word] = control(choices[word], elem_id=word, **layout)

        add("occlude", every=True)
        with gr.Row(elem_classes="tight"):
            add("style", visible=False, min_width=120, scale=2)
            shuffle = gr.Button("Shuffle", size="md", min_width=90, scale=1, elem_id="shuffle", visible=False)
        add("gallery", offered=gallery_choices(engine))
        add("backbone")
        add("stage2", every=True)
        with gr.Accordion("Method settings", open=False, elem_id="settings"):
            for word in settings_order(choices):
                add(word)
        with gr.Row(elem_classes="tight"):
            go = gr.Button("Identify", variant="primary", min_width=120, scale=2, elem_id="go")
            stop = gr.Button("Stop", min_width=80, scale=1, elem_id="stop")
        return cls(photo, strip, example, face, shuffle, go, stop, {word: made[word] for word in choices})

    @property
    def components(self) -> list[Component]:
        return list(self.controls.values())

    @property
    def triggers(self) -> list:
        """Events after which the result no longer fits the form."""
        return [changes(control) for control in self.controls.values()]

    def wire_choices(self, engine: Engine, quick: dict) -> None:
        """What the choices do to each other."""
        alter, style, backbone, stage2, grid, weighting = (
            self.controls[word] for word in ("occlude", "style", "backbone", "stage2", "grid", "weighting"))
        entered(alter)(lambda chosen: (style_choices(chosen), gr.Button(visible=chosen != UNSET)), alter,
                       [style, self.shuffle], **quick)
        entered(backbone)(lambda name, chosen: _reranking_choices(engine.info(name), chosen), [backbone, stage2],
                          stage2, **quick)
        entered(backbone)(lambda name: _grid_choices(engine, name), backbone, grid, **quick).then(
            lambda *chosen: _weighting_choices(engine, *chosen), [backbone, grid, weighting], weighting, **quick)
        entered(grid)(lambda *chosen: _weighting_choices(engine, *chosen), [backbone, grid, weighting], weighting,
                      **quick)


def _reranking_choices(backbone: BackboneInfo, chosen: str) -> gr.Radio:
    offered = rerankings(backbone)
    return gr.Radio(pairs(offered), value=chosen if chosen in offered else DEFAULT.word,
                    info=rerankings_told(backbone))


def _grid_choices(engine: Engine, backbone: str) -> gr.Dropdown:
    names = [grid_name(grid) for grid in engine.info(backbone).grids]
    return gr.Dropdown(names, value=names[0])


def _weighting_choices(engine: Engine, backbone: str, grid: str, chosen: str) -> gr.Dropdown:
    """The weightings that can be used; those that cannot are left out and the reason is told."""
    problems = weighting_problems(engine.info(backbone), parse_grid(grid))
    offered = {name: WEIGHTINGS[name].title for name, reason in problems.items() if reason is None}
    told = " ".join(f"Not offered: {reason}" for reason in problems.values() if reason)
    return gr.Dropdown(pairs(offered), info=told, value=chosen if chosen in offered else next(iter(offered)))
