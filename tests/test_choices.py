"""Everything that can be chosen follows from the typed options: a new one is one field."""

import inspect
from dataclasses import dataclass, replace

import gradio as gr
import pytest

from demo.fields import LARGEST, fields_of, option
from demo.methods import METHODS, Matching
from demo.query import Preparation, Query
from demo.ui.choices import (
    compare_choices,
    identify_choices,
    in_order,
    link_of,
    matching_of,
    preparation_of,
    standard,
    values_from_link,
)
from demo.ui.endpoint import endpoint
from demo.ui.pages.compare import CompareHandlers
from demo.ui.pages.form import Form, settings_order
from demo.ui.pages.identify import IdentifyHandlers
from demo.ui.parameters import read
from demo.ui.views.commands import reproduce
from demo.ui.widgets import changes, control

IDENTIFY = ["photo", "occlude", "style", "seed", "gallery", "backbone", "stage2", "weighting", "grid", "alpha",
            "adaptive", "share", "k", "solver", "detector", "aligned", "colours", "face", "top", "preset", "faces",
            "framing"]
COMPARE = ["first", "occlude", "style", "second", "occlude_second", "gallery", "backbone", "detector", "aligned",
           "seed", "style_second", "face", "face_second", "framing"]


@pytest.mark.parametrize(("handlers", "order"), [(IdentifyHandlers, IDENTIFY), (CompareHandlers, COMPARE)])
def test_parameters_of_the_endpoints_keep_their_places(engine, app, handlers, order):
    """Programs may give values by place: these are the first, whatever comes later."""
    assert [one.word for one in handlers(engine).parameters][:len(order)] == order
    name = handlers.__name__.removesuffix("Handlers").lower()
    parameters = app.get_api_info()["named_endpoints"][f"/{name}"]["parameters"]
    assert [one["parameter_name"] for one in parameters] == order


def test_words_without_a_place_follow():
    assert in_order(["new", "b", "a", "newer"], ["a", "missing", "b"]) == ["a", "b", "new", "newer"]


@dataclass(frozen=True)
class Further:
    """What a method might take one day."""

    power: float = option(2.0, title="Power", help="Of the ground distance.", low=1, high=4, step=0.5)
    rounds: int = option(3, title="Rounds", help="How many rounds.", low=1)
    shape: str = option("disc", title="Shape", help="Of what.", choices={"disc": "A disc", "ring": "A ring"})
    bound: float | None = option(None, kind=float, title="Bound", help="At most.", unset="none", extra=True)
    mode: str | None = option(None, kind=str, title="Mode", help="Which mode.", unset="as it comes",
                              choices={"fast": "Fast"})
    careful: bool = option(False, title="Careful", help="Take care.")


CHOSEN = {"power": 3.5, "rounds": 7, "shape": "ring", "bound": 0.25, "mode": "fast", "careful": True}


@pytest.fixture
def further(monkeypatch):
    """A method that takes more options."""
    method = METHODS["h2l"]
    monkeypatch.setattr(method, "Options", Further)
    return method


def test_a_new_option_is_one_field(engine, further):
    """Link, values, method, form and endpoint follow from the field alone."""
    choices = identify_choices(engine)
    assert list(choices)[-len(CHOSEN):] == list(CHOSEN)
    start = standard(choices)
    assert start["mode"] == "none" and matching_of(choices, start | {"stage2": "h2l"}).of("h2l") == Further()
    values = start | CHOSEN | {"stage2": "h2l"}
    assert matching_of(choices, values).of("h2l") == Further(**CHOSEN)
    link = dict(pair.split("=") for pair in link_of(choices, values, start).split("&"))
    assert set(link) == {*CHOSEN, "stage2"} and values_from_link(choices, link, start) == values
    assert values_from_link(choices, link | {"power": "9", "shape": "cube"}, start)["power"] == 2.0

    words = [one.word for one in IdentifyHandlers(engine).parameters]
    assert words == IDENTIFY + list(CHOSEN)
    for word, value in CHOSEN.items():
        assert read(choices[word].field, value) == value
    assert read(choices["bound"].field, None) is None


def test_a_new_option_has_a_control_among_the_method_settings(engine, further):
    with gr.Blocks():
        form = Form.lay_out(engine, identify_choices(engine), {})
    kinds = {word: type(form.controls[word]) for word in CHOSEN}
    assert kinds == {"power": gr.Slider, "rounds": gr.Number, "shape": gr.Dropdown, "bound": gr.Number,
                     "mode": gr.Dropdown, "careful": gr.Checkbox}
    assert form.controls["mode"].choices == [("As it comes", "none"), ("Fast", "fast")]
    assert form.controls["bound"].info == "At most." and form.controls["power"].info is None
    assert len(form.triggers) >= len(form.controls)
    order = settings_order(identify_choices(engine))
    assert order == ["weighting", "grid", "alpha", "adaptive", "share", "k", "solver", *CHOSEN, "detector", "aligned",
                     "seed", "framing", "colours"]


def test_a_new_option_is_in_the_command(identifier, further):
    found = identifier.identify("assets/queries/person-002/04.jpg", stage2="h2l")
    assert reproduce(found, "G").endswith("--power 2 --rounds 3 --shape disc")
    options = tuple(Further(**CHOSEN) if isinstance(one, Further) else one for one in found.matching.options)
    changed = replace(found, matching=replace(found.matching, options=options))
    assert reproduce(changed, "G").endswith("--power 3.5 --rounds 7 --shape ring --bound 0.25 --mode fast --careful")


def test_either_photo_has_what_is_its_own(engine):
    choices = compare_choices(engine)
    own = [one.word for one in fields_of(Preparation) if one.each and one.word != "face"]
    assert set(choices) == {*own, *(f"{word}_second" for word in own), "gallery", "backbone", "detector", "aligned",
                            "seed", "framing"}
    values = standard(choices) | {"occlude": "mask", "style": "ffp2", "occlude_second": "blur", "seed": 4}
    assert preparation_of(choices, values) == Preparation("mask", "ffp2", seed=4)
    assert preparation_of(choices, values, 1, "_second") == Preparation("blur", seed=4, face=1)
    assert choices["occlude_second"].field.title == "Alter the second photo"
    for one in (choices["seed"].field, *(one.field for one in identify_choices(engine).values())):
        assert one.title and one.help.endswith(".")


def test_an_endpoint_reads_what_it_is_sent(engine):
    seen = []
    answer = endpoint([identify_choices(engine)["k"].field], lambda values, progress: seen.append(values))
    assert list(inspect.signature(answer).parameters) == ["k", "progress"]
    answer(7.0, None)
    assert seen == [{"k": 7}]
    for bad in (None, 4, "7", LARGEST + 1):
        with pytest.raises(gr.Error, match="^['\"]k "):
            answer(bad, None)


def test_a_control_tells_when_it_has_changed(engine):
    choices = identify_choices(engine)
    with gr.Blocks():
        for word, events in (("k", ["submit", "blur"]), ("seed", ["submit", "blur"]), ("alpha", ["submit", "blur"]),
                             ("share", ["input", "release"]), ("adaptive", ["input"]), ("grid", ["input"])):
            made = control(choices[word])
            assert changes(made) == [getattr(made, event) for event in events]


def test_the_defaults_of_a_photo_are_left_out_of_the_command(identifier):
    found = identifier.identify("assets/queries/person-002/04.jpg", stage2="none", seed=9)
    assert isinstance(found.query, Query) and found.matching == Matching(method="none")
    assert reproduce(found, "G") == "python -m demo identify PHOTO --gallery G --backbone dlib --stage2 none"
