"""The About page: what the two methods do, what the numbers mean, and what this is not for."""

from __future__ import annotations

import html
from collections.abc import Iterable

import gradio as gr
import numpy as np

from demo.errors import DemoError
from demo.explain import (
    Flows,
    Matrices,
    available,
    enlarge,
    explain,
    explains,
    face_maps,
    flow_picture,
    heatmap,
    paired_heat,
    patch_grid,
)
from demo.explain.flow import FlowExplanation
from demo.figures import crops_of, pair_of
from demo.methods import NONE, Matching
from demo.methods.h2l import H2L
from demo.places import ASSETS
from demo.presets import PRESETS, PUBLISHED
from demo.query import Preparation
from demo.ui.engine import Engine
from demo.ui.views.board import picture_url
from demo.ui.views.examples import EXAMPLES, FIRST

STEPS = (
    ("1. Rank", "The query's embedding is compared with every gallery photo by cosine distance. Under a mask, the "
                "nearest is often somebody else, as here."),
    ("2. Cut into patches", "The network's feature maps give a grid of patches, here {grid}."),
    ("3. Weigh", "Each patch counts as much as it has in common with the other face as a whole."),
    ("4. Move, and rank again", "The Earth Mover's Distance is the least cost of moving one face's weights onto the "
                                "other's: the query, rebuilt from the patches of its match. The first 100 are "
                                "re-ordered by 0.7 × that + 0.3 × the cosine distance."),
)
#: Of the pictures, in pixels.
_HEIGHT = 300


def about_page(engine: Engine, page: gr.Blocks) -> None:
    """Layout, and four pictures drawn from the first example as it is identified now. Inside a route."""
    text = (ASSETS / "ui" / "about.md").read_text(encoding="utf-8")
    opening, rest = text.replace("{keep_minutes}", str(engine.settings.keep_minutes)).split("<!-- steps -->")
    cross, rest = rest.split("<!-- h2l -->")
    gr.Markdown(opening, elem_classes="about-page")
    steps = gr.HTML(elem_id="steps")
    with gr.Row(elem_classes="about-row"):
        gr.Markdown(cross, elem_classes="about-page", min_width=320)
        looks = gr.HTML(elem_id="looks", min_width=320)
    gr.Markdown(rest, elem_classes=["about-page", "about-rest"])

    def draw() -> str:
        return steps_html(engine)

    def draw_looks() -> str:
        return looks_html(engine)

    for drawn, place in ((draw, steps), (draw_looks, looks)):
        page.load(drawn, None, place, concurrency_id="identify", show_progress="hidden", api_visibility="private")


def steps_html(engine: Engine) -> str:
    """The four steps as figures; empty where the example cannot be identified."""
    settings, example = engine.settings, EXAMPLES[FIRST]
    try:
        identifier = engine.identifier(settings.gallery, settings.backbone)
        found = identifier.answer(example.photo, Preparation(example.occlusion, example.style, seed=example.seed),
                                  PRESETS[PUBLISHED].matching)
    except DemoError:
        return ""
    crops = crops_of(identifier)
    pair = pair_of(found, identifier, found.stage2[0], crops)
    moved = explain(pair, FlowExplanation.word)[FlowExplanation.word]
    assert isinstance(moved, Flows)
    query, match = pair.crops
    pictures = ([query, crops(found.stage1[0].row)], [patch_grid(query, moved.grid, height=_HEIGHT)],
                [heatmap(query, moved.first, moved.grid)],
                [flow_picture(match, moved.flow, moved.grid, dim=False), match])
    grid = "{} × {}".format(*moved.grid)
    return _figures((shown, f"<strong>{html.escape(title)}.</strong> {html.escape(words.format(grid=grid))}")
                    for shown, (title, words) in zip(pictures, STEPS, strict=True))


def looks_html(engine: Engine) -> str:
    """Where the second paper's model looks on the first example and its match; empty where it is not ready."""
    settings, example = engine.settings, EXAMPLES[FIRST]
    try:
        name = next(info.name for info in engine.backbones() if info.ready and H2L.unavailable(info) is None)
        identifier = engine.identifier(settings.gallery, name)
        found = identifier.answer(example.photo, Preparation(example.occlusion, example.style, seed=example.seed),
                                  Matching(NONE))
        match = next(one for one in found.stage1 if one.identity == example.truth)
    except (DemoError, StopIteration):
        return ""
    pair = pair_of(found, identifier, match, crops_of(identifier))
    ready = available(pair)
    found_ways = explain(pair, *(word for word in explains(H2L.word) if word in ready))
    looks = next((one for one in found_ways.values() if isinstance(one, Matrices)), None)
    maps = None if looks is None else face_maps(looks)
    if maps is None:
        return ""
    told = f"Where {H2L.short} looks: on the query, and on {html.escape(pair.titles[1])}. The brighter, the more."
    return _figures([(paired_heat(*pair.crops, maps), told)])


def _figures(figures: Iterable[tuple[Iterable[np.ndarray], str]]) -> str:
    """Figures beside each other. figures: pictures, and the text below them as HTML."""
    drawn = "".join(
        '<figure><div class="pictures">'
        + "".join(f'<img src="{picture_url(enlarge(picture, _HEIGHT))}" alt="">' for picture in pictures)
        + f"</div><figcaption>{text}</figcaption></figure>" for pictures, text in figures)
    return f'<div class="steps">{drawn}</div>'
