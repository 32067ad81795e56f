"""The left side of the Identify page: a control for every choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from demo.backbones import parse_grid
from demo.fields import fields_of
from demo.matching import WEIGHTINGS, weighting_problems
from demo.presets import PRESETS, RECOMMENDED
from demo.query import Preparation
from demo.ui.choices import FINEST, UNSET, Choices, Display, grids_of, rerankings, rerankings_told, usual
from demo.ui.components import ExampleStrip, PhotoInput
from demo.ui.engine import Engine
from demo.ui.pages.own import bring_your_own
from demo.ui.views.examples import EXAMPLES, FIRST, example_thumb
from demo.ui.widgets import changes, control, entered, gallery_choices, keep_fresh, pairs, style_choices

#: Choices with a place of their own; all others are method settings.
PLACED = ("occlude", "style", "gallery", "backbone", "stage2")


def strip_value(chosen: str) -> dict:
    """The example strip with one example pressed, or none for ""."""
    return {"chosen": chosen, "examples": [
        {"name": example.name, "title": example.title, "thumb": example_thumb(example)}
        for example in EXAMPLES.values()
    ]}


def settings_order(choices: Choices) -> list[str]:
    """Words of the method settings: of matching, then of the photo, then of the pictures."""
    matching = [word for word, one in choices.items() if one.holder not in (None, Preparation, Display)]
    further = [one.word for holder in (Preparation, Display) for one in fields_of(holder)]
    return [word for word in matching + further if word in choices and word not in PLACED]


def part(title: str) -> None:
    """The heading of a part of a form."""
    gr.HTML(f'<h2 class="part-of-form">{title}</h2>', padding=False)


@dataclass
class Form:
    """The components. ``controls`` maps each word of the choices to its control."""

    photo: gr.Image
    strip: ExampleStrip
    example: gr.State
    face: gr.State
    shuffle: gr.Button
    preset: gr.Radio
    own: Dependency | None
    go: gr.Button
    stop: gr.Button
    controls: dict[str, Component] = field(default_factory=dict)

    @classmethod
    def lay_out(cls, engine: Engine, choices: Choices, quick: dict) -> Form:
        """Make the components inside the current column. quick: how events that compute nothing run."""
        example, face = gr.State(""), gr.State(0)
        made = {}

        def add(word: str, **layout) -> None:
            made[word] = control(choices[word], elem_id=word, **layout)

        part("Photo")
        photo = PhotoInput(label="Photo", type="filepath", sources=["upload", "clipboard", "webcam"], height=140,
                           elem_id="photo", webcam_options=gr.WebcamOptions(mirror=False))
        strip = ExampleStrip(strip_value(FIRST), elem_id="examples", label="Examples")
        gr.Markdown("Processed in memory, erased within the hour, never kept or used for training.",
                    elem_classes="hint")
        part("Alter")
        add("occlude", every=True, show_label=False)
        with gr.Row(elem_classes="tight"):
            add("style", visible=False, min_width=120, scale=2)
            shuffle = gr.Button("Shuffle", size="md", min_width=90, scale=1, elem_id="shuffle", visible=False)
        part("Method")
        preset = gr.Radio(pairs({word: one.title for word, one in PRESETS.items()}), value=RECOMMENDED,
                          label="Settings", show_label=False, info=PRESETS[RECOMMENDED].note, elem_id="preset")
        with gr.Accordion("Gallery", open=False, elem_id="people"):
            add("gallery", offered=gallery_choices(engine), show_label=False)
            keep_fresh(made["gallery"], engine, quick)
        own = bring_your_own(engine, made["gallery"], quick)
        with gr.Accordion("Method settings", open=False, elem_id="settings"):
            add("backbone")
            add("stage2", every=True, offered=rerankings(engine.info(engine.settings.backbone)))
            for word in settings_order(choices):
                add(word, **({"offered": grids_of(engine.info(engine.settings.backbone))} if word == "grid" else {}))
        with gr.Row(elem_classes="tight go"):
            go = gr.Button("Identify", variant="primary", min_width=120, scale=2, elem_id="go")
            stop = gr.Button("Stop", min_width=80, scale=1, elem_id="stop")
        return cls(photo, strip, example, face, shuffle, preset, own, go, stop, {word: made[word] for word in choices})

    @property
    def components(self) -> list[Component]:
        return list(self.controls.values())

    @property
    def triggers(self) -> list:
        """Events after which the result no longer fits the form."""
        return [event for control in self.controls.values() for event in changes(control)]

    def wire_choices(self, engine: Engine, quick: dict) -> None:
        """What the choices do to each other."""
        alter, style, backbone, stage2, grid, weighting = (
            self.controls[word] for word in ("occlude", "style", "backbone", "stage2", "grid", "weighting"))
        entered(alter)(lambda chosen: (style_choices(chosen), gr.Button(visible=chosen != UNSET)), alter,
                       [style, self.shuffle], **quick)
        fitting = [stage2, grid, weighting]
        gr.on([entered(backbone), entered(grid)], lambda name, *chosen: tuple(
            fitting_choices(engine, name, *chosen).values()), [backbone, *fitting], fitting, **quick)


def fitting_choices(engine: Engine, backbone: str, stage2: str, grid: str, weighting: str) -> dict[str, Component]:
    """The menus whose entries go with the backbone, word → control, with what was chosen kept where it can be used."""
    info = engine.info(backbone)
    methods, grids = rerankings(info), grids_of(info)
    grid = grid if grid in grids else FINEST
    problems = weighting_problems(info, None if grid == FINEST else parse_grid(grid))
    offered = {name: WEIGHTINGS[name].title for name, reason in problems.items() if reason is None}
    told = " ".join(f"Not offered: {reason}" for reason in problems.values() if reason)
    return {
        "stage2": gr.Radio(pairs(methods), value=stage2 if stage2 in methods else usual(info).word,
                           info=rerankings_told(info)),
        "grid": gr.Dropdown(pairs(grids), value=grid),
        "weighting": gr.Dropdown(pairs(offered), info=told or None,
                                 value=weighting if weighting in offered else next(iter(offered))),
    }


def shown_choices(engine: Engine, values: Mapping[str, Any]) -> dict[str, Any]:
    """What every control of the form is set to for some choices, menus that depend on others with their entries."""
    return dict(values) | {
        "style": style_choices(values["occlude"], values["style"]),
        "gallery": gr.Dropdown(pairs(gallery_choices(engine)), value=values["gallery"]),
        **fitting_choices(engine, values["backbone"], values["stage2"], values["grid"], values["weighting"]),
    }


def preset_shown(word: str | None, gain: str) -> gr.Radio:
    """The choice of presets with the one that is on. gain: what the difference between them gains, in words."""
    told = PRESETS[word].note if word else "Neither: these are your own settings."
    return gr.Radio(value=word, info=f"{told} {gain}".strip())
