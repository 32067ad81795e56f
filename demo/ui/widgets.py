"""The control for an option, by its kind and range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from demo.ui.choices import ANY_STYLE, Choice, styles_of, usual_style
from demo.ui.engine import Engine


def control(choice: Choice, *, offered: Mapping[str, str] | None = None, every: bool = False, **layout) -> Component:
    """A control that holds the option. offered: word → title, in place of the option's own choices. every: show all
    choices at once. layout: further arguments of the component."""
    one = choice.field
    told = {"label": one.title, "info": choice.info or None, **layout}
    choices = offered if offered is not None else one.choices
    if choices is not None:
        return (gr.Radio if every else gr.Dropdown)(pairs(choices), value=one.default, **told)
    if one.kind is bool:
        return gr.Checkbox(one.default, **told)
    if one.kind is float and one.default is not None and one.low is not None and one.high is not None:
        return gr.Slider(one.low, one.high, one.default, step=one.step, **told)
    if one.kind in (int, float):
        if one.kind is int and one.low is not None and one.high is not None:
            told["info"] = f"{one.low} to {one.high}. {told['info'] or ''}".strip()
        return gr.Number(one.default, precision=0 if one.kind is int else None, **told)  # ``check`` tells the range
    return gr.Textbox(one.default, max_lines=1, **told)


def changes(control: Component) -> list:
    """The events after which the result may no longer fit what the control holds: a slider by mouse or keys, or its
    number; Enter in a field or leaving it."""
    if isinstance(control, gr.Number | gr.Textbox):
        return [control.submit, control.blur]
    if isinstance(control, gr.Slider):
        return [control.input, control.release]
    return [entered(control)]


def entered(control: Component) -> Any:
    """The event after which a visitor has chosen in the control. Gradio gives it to a component's class as it is
    made."""
    return control.input  # pyright: ignore[reportAttributeAccessIssue]  (the one member that Component does not tell)


def pairs(choices: Mapping[str, str]) -> list[tuple[str, str]]:
    """Word → title, as menus take them."""
    return [(title, word) for word, title in choices.items()]


def style_choices(alter: str, chosen: str | None = None) -> gr.Dropdown:
    """The style menu for an alteration; hidden where there is nothing to choose."""
    styles = styles_of(alter) or {ANY_STYLE: ""}
    return gr.Dropdown(choices=pairs(styles), visible=len(styles) > 1,
                       value=chosen if chosen in styles else usual_style(alter))


def gallery_choices(engine: Engine) -> dict[str, str]:
    """Every gallery, name → what the menu shows."""
    return {name: f"{name}: {photos} photos of {people} people" for name, (photos, people) in engine.counts().items()}


def keep_fresh(menu: Any, engine: Engine, quick: dict) -> None:
    """Let a menu of galleries show those that were added or deleted since the page was opened, once a visitor turns to
    it. quick: how events that compute nothing run."""
    menu.focus(lambda: gr.Dropdown(choices=pairs(gallery_choices(engine))), None, menu, **quick)


def plain(text: str) -> str:
    """A name as text in Markdown."""
    return "`" + text.replace("`", "'") + "`"
