"""Pictures and figures: what is drawn must stand where, and as bright, as the numbers say."""

import re
import subprocess
import sys
import warnings
from io import BytesIO
from itertools import combinations, pairwise

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import colormaps, font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image

from demo.drawing.grids import cell_edges
from demo.drawing.lines import FACE_GAP, LINE_COLOURS
from demo.drawing.overlays import CHOSEN, OTHER
from demo.drawing.page import Page
from demo.drawing.text import _family, drawable, families, shorten, text_width, wrap
from demo.errors import BadPhoto, BadSetting, DemoError
from demo.explain import (
    COLORMAPS,
    Board,
    Cell,
    Column,
    Flow,
    PairSheet,
    Score,
    best_matches,
    board_figure,
    colour_bar,
    enlarge,
    face_boxes,
    flow_lines,
    flow_picture,
    heatmap,
    moved,
    pair_figure,
    patch_grid,
    percent,
    save_figure,
    shared_scale,
    strongest_flows,
    to_pdf,
    to_png,
)
from demo.words import columns, in_columns

#: Crop (height, width) and grid of each kind of backbone, and the finer and coarser grids they are used on.
SHAPES = [((150, 150), (8, 8)), ((150, 150), (4, 4)), ((128, 128), (8, 8)), ((112, 96), (7, 6)), ((160, 160), (3, 3))]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(height, width, level=128):
    return np.full((height, width, 3), level, np.uint8)


def edge(k, length, cells):
    """Where cell k begins, worked out on its own: k * length / cells, halves up."""
    return (2 * k * length + cells) // (2 * cells)


def cell(picture, index, grid):
    """The pixels of one patch, row-major."""
    row, column = divmod(index, grid[1])
    height, width = picture.shape[:2]
    return picture[edge(row, height, grid[0]):edge(row + 1, height, grid[0]),
                   edge(column, width, grid[1]):edge(column + 1, width, grid[1])]


def shifted_flow(grid, rows, columns):
    """The flow of a candidate that is the query moved (cyclically) by whole cells."""
    places = np.arange(grid[0] * grid[1]).reshape(grid)
    target = np.roll(places, (-rows, -columns), (0, 1)).ravel()   # query patch i now stands at target[i]
    flow = np.zeros((places.size, places.size))
    flow[np.arange(places.size), target] = 1 / places.size
    return flow


# ---------------------------------------------------------------- flow picture (Eq. 3.9)

@pytest.mark.parametrize(("shape", "grid"), [((128, 128), (8, 8)), ((112, 96), (7, 6))])
def test_flow_picture_puts_a_shifted_face_back(shape, grid):
    query = noise(*shape)
    step = shape[0] // grid[0], shape[1] // grid[1]
    candidate = np.roll(query, (2 * step[0], step[1]), (0, 1))
    flow = shifted_flow(grid, 2, 1)
    assert np.array_equal(flow_picture(candidate, flow, grid), query)

    def cells_in_place(picture):
        return sum(np.array_equal(cell(picture, i, grid), cell(query, i, grid)) for i in range(grid[0] * grid[1]))

    assert cells_in_place(flow_picture(candidate, flow.T, grid)) == 0
    if grid[0] != grid[1]:
        assert cells_in_place(flow_picture(candidate, flow, grid[::-1])) < 3


@pytest.mark.parametrize(("shape", "grid"), SHAPES)
def test_flow_picture_fills_cells_of_unequal_size_exactly(shape, grid):
    rng = np.random.default_rng(1)
    count = grid[0] * grid[1]
    colours = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    candidate = np.zeros((*shape, 3), np.uint8)
    for i in range(count):
        cell(candidate, i, grid)[:] = colours[i]
    source = rng.permutation(count)
    flow = np.zeros((count, count))
    flow[np.arange(count), source] = 1 / count
    picture = flow_picture(candidate, flow, grid)
    for i in range(count):
        assert (cell(picture, i, grid) == colours[source[i]]).all()


def test_flow_picture_brightness_is_equation_3_9():
    flow = np.zeros((4, 4))
    flow[0, 3], flow[1, 2], flow[2, 1], flow[3, 0] = 0.1, 0.2, 0.3, 0.4
    picture = flow_picture(grey(40, 40, 210), flow, (2, 2))
    assert [int(cell(picture, i, (2, 2)).mean()) for i in range(4)] == pytest.approx([0, 70, 140, 210], abs=1)
    assert (flow_picture(grey(40, 40, 210), flow, (2, 2), dim=False) == 210).all()


def test_brightness_takes_the_largest_mass_of_a_patch_not_its_sum():
    flow = np.array([[0.1, 0.1, 0.1], [0.3, 0, 0], [0, 0.2, 0.2]])
    best, brightness = best_matches(flow)
    assert best.tolist() == [0, 0, 1]
    assert brightness == pytest.approx([0, 1, 0.5])


def test_equal_masses_are_fully_bright_even_with_rounding():
    flow = np.eye(9) / 9 + np.diag(np.random.default_rng(0).uniform(-1e-8, 1e-8, 9))
    assert np.array_equal(flow_picture(noise(90, 90), flow, (3, 3)), noise(90, 90))


# ---------------------------------------------------------------- heatmap

@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize(("shape", "grid"), SHAPES)
def test_heatmap_marks_the_patch_that_weighs(shape, grid, smooth):
    low, high = (np.array(colormaps["viridis"](end)[:3]) * 255 for end in (0, 255))
    for index in range(0, grid[0] * grid[1], 5):
        weights = np.zeros(grid[0] * grid[1])
        weights[index] = 1
        picture = heatmap(grey(*shape), weights, grid, smooth=smooth).astype(float)
        away = [np.abs(cell(picture, i, grid) - low).mean() for i in range(len(weights))]
        assert int(np.argmax(away)) == index
        y, x = (int(side * (place + 0.5)) for side, place in
                zip((shape[0] / grid[0], shape[1] / grid[1]), divmod(index, grid[1]), strict=True))
        assert np.abs(picture[y, x] - high).max() < 45     # an even cell has its centre between pixels
        if not smooth:
            assert (np.abs(cell(picture, index, grid) - high) <= 1).all()
            assert [value for i, value in enumerate(away) if i != index] == pytest.approx([0] * (len(away) - 1), abs=1)


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_equal_weights_are_one_middle_colour(colormap):
    middle = np.array(colormaps[colormap](128)[:3]) * 255
    with np.errstate(all="raise"):
        picture = heatmap(grey(112, 96), np.full(42, 1 / 42, np.float32), (7, 6), colormap=colormap)
        zero = heatmap(grey(112, 96), np.zeros(42), (7, 6), colormap=colormap)
    assert np.abs(picture - middle).max() <= 1
    assert np.array_equal(picture, zero)


def test_shared_scale_gives_equal_weights_equal_colours():
    first, second = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.6, 0.0, 0.0])
    scale = shared_scale([first, second])
    assert scale == (0.0, 0.6)
    drawn = [heatmap(grey(40, 40), w, (2, 2), scale=scale, smooth=False) for w in (first, second)]
    assert np.array_equal(cell(drawn[0], 3, (2, 2)), cell(drawn[1], 0, (2, 2)))
    own = [heatmap(grey(40, 40), w, (2, 2), smooth=False) for w in (first, second)]
    assert not np.array_equal(cell(own[0], 3, (2, 2)), cell(own[1], 0, (2, 2)))


def test_the_face_under_a_heatmap_does_not_tint_its_colours():
    bright_half = grey(128, 128, 60)
    bright_half[:, 64:] = 190
    bright_half = np.clip(bright_half + np.random.default_rng(0).normal(0, 12, (128, 128, 1)), 0, 255).astype(np.uint8)
    middle = np.array(colormaps["viridis"](128)[:3]) * 255
    picture = heatmap(bright_half, np.ones(64), (8, 8))
    assert picture.std() > 5                                             # the face shows
    for far_from_the_edge in (picture[:, :8], picture[:, -8:]):
        assert np.abs(far_from_the_edge.mean((0, 1)) - middle).max() < 12


def test_colour_bar_runs_from_low_to_high():
    bar = colour_bar((0.0, 0.04), width=320).astype(int)
    row = bar[int(1.6 * 13) + 8]
    reached = [int(np.abs(row - np.array(colormaps["viridis"](level)[:3]) * 255).sum(1).argmin()) for level in
               (0, 64, 128, 192, 255)]
    assert reached == sorted(reached)
    assert reached[-1] - reached[0] > 250
    assert colour_bar((0.25, 0.25)).shape == bar.shape
    widest = colour_bar((0.0001, 1.0), width=200)
    assert (widest[:, [0, -1]] == 255).all() and (widest[[0, -1]] == 255).all()      # no number is cut off


def test_percent_is_short():
    assert [percent(x) for x in (0, 1e-9, 0.0004, 0.0156, 0.0995, 0.123, 1)] == \
        ["0 %", "0 %", "0.04 %", "1.6 %", "10 %", "12 %", "100 %"]
    assert [percent(x) for x in (-1e-9, -0.006)] == ["0 %", "\u22120.6 %"]


# ---------------------------------------------------------------- strongest flows and lines

def test_strongest_flows_are_the_largest_in_order():
    flow = np.random.default_rng(0).random((16, 16))
    flow /= flow.sum()
    shown = strongest_flows(flow, 20)
    assert [pair.mass for pair in shown] == sorted(flow.ravel(), reverse=True)[:20]
    assert all(flow[pair.i, pair.j] == pair.mass for pair in shown)
    assert {pair.i for pair in strongest_flows(flow, 5, patch=7)} == {7}


def test_strongest_flows_leave_out_patches_without_mass():
    flow = np.zeros((9, 9))
    flow[2, 5] = 1
    assert strongest_flows(flow, 12) == [Flow(2, 5, 1.0)]
    assert strongest_flows(flow, 12, patch=3) == []


def test_equally_strong_flows_are_spread_over_the_whole_query():
    flow = np.eye(64) / 64
    flow[40, 40] *= 1.5
    shown = strongest_flows(flow, 9)
    assert shown[0].i == 40
    rows = sorted(pair.i // 8 for pair in shown[1:])
    assert rows == list(range(8))


@pytest.mark.parametrize(("shape", "grid"), SHAPES)
def test_lines_end_at_the_centres_of_their_patches(shape, grid):
    count, height = grid[0] * grid[1], 448
    width = round(shape[1] * height / shape[0])
    source, target = 1, count - 2
    flow = np.zeros((count, count))
    flow[source, target] = 1
    picture = flow_lines(grey(*shape, 90), grey(*shape, 60), flow, grid, height=height)
    assert picture.shape == (height, 2 * width + round(FACE_GAP * height), 3)

    def at(index, offset):
        row, column = divmod(index, grid[1])
        return picture[int((row + 0.5) * height / grid[0]), offset + int((column + 0.5) * width / grid[1])]

    right = width + round(FACE_GAP * height)
    assert np.abs(at(source, 0).astype(int) - LINE_COLOURS[0]).max() < 10
    assert np.abs(at(target, right).astype(int) - LINE_COLOURS[0]).max() < 10
    assert (at(target, 0) == 90).all()
    assert (at(source, right) == 60).all()


def test_stronger_flows_are_drawn_wider():
    flow = np.zeros((16, 16))
    flow[4, 4], flow[12, 12] = 0.9, 0.1
    gap = flow_lines(grey(160, 160), grey(160, 160), flow, (4, 4), height=400)[:, 405:455]
    touched = (gap < 250).any(2).sum(0)
    upper, lower = (gap[:200] < 250).any(2).sum(0), (gap[200:] < 250).any(2).sum(0)
    assert (touched > 0).all()
    assert upper.mean() > 1.5 * lower.mean()


def test_lines_of_a_chosen_patch_show_only_that_patch():
    flow = np.full((16, 16), 1e-4)
    flow[5, 10] = 0.05
    chosen = flow_lines(grey(160, 160), grey(160, 160), flow, (4, 4), n=1, patch=5)
    assert np.abs(chosen[250, 460 + 250].astype(int) - LINE_COLOURS[0]).max() < 10
    nothing = flow.copy()
    nothing[5] = 0
    empty = flow_lines(grey(160, 160), grey(160, 160), nothing, (4, 4), patch=5)
    assert (empty[:, 460:] == 128).all()                      # the candidate is untouched,
    assert not (empty[100:200, 100:200] == 128).all()         # the chosen patch is framed all the same


# ---------------------------------------------------------------- grid and boxes

@pytest.mark.parametrize(("shape", "grid"), SHAPES)
def test_patch_grid_lines_lie_between_patches(shape, grid):
    height = 3 * shape[0]
    picture = patch_grid(grey(*shape), grid, height=height)
    width = picture.shape[1]
    lighter = (picture > 128).all(2)
    assert np.flatnonzero(lighter.all(1)).tolist() == [edge(k, height, grid[0]) for k in range(1, grid[0])]
    assert np.flatnonzero(lighter.all(0)).tolist() == [edge(k, width, grid[1]) for k in range(1, grid[1])]


def test_patch_grid_frames_the_chosen_patch():
    plain, framed = (patch_grid(grey(112, 96), (7, 6), patch=patch, height=448) for patch in (None, 9))
    changed = [i for i in range(42) if not np.array_equal(cell(plain, i, (7, 6)), cell(framed, i, (7, 6)))]
    assert changed == [9]


@pytest.mark.parametrize("scale", [0.3, 1, 8])
def test_face_boxes_mark_the_chosen_face_more_heavily(scale):
    photo = grey(int(300 * scale), int(400 * scale), 100)
    boxes = np.array([[40, 80, 140, 180], [220, 80, 330, 200]]) * scale
    picture = face_boxes(photo, boxes, chosen=1)

    def found(colour):
        return (picture == colour).all(2)

    for k, colour in enumerate((OTHER, CHOSEN)):
        left, top, right, bottom = boxes[k]
        ys, xs = np.nonzero(found(colour)[int(top):, :])          # below the number on top
        assert xs.min() == pytest.approx(left, abs=4 * scale + 2)
        assert xs.max() == pytest.approx(right, abs=4 * scale + 2)
        assert ys.max() + int(top) == pytest.approx(bottom, abs=4 * scale + 2)
    middle = int(140 * scale)
    assert found(CHOSEN)[middle].sum() > found(OTHER)[middle].sum()
    assert np.array_equal(picture[:, :int(30 * scale)], photo[:, :int(30 * scale)])


def test_face_boxes_number_several_faces_and_keep_inside_the_photo():
    photo = grey(200, 200, 100)
    one = face_boxes(photo, [(50, 60, 150, 160)])
    assert np.array_equal(one[:60], photo[:60])                            # no number over a single face
    two = face_boxes(photo, [(-20, 60, 60, 160), (195, 100, 260, 190)])
    assert two.shape == photo.shape
    assert not np.array_equal(two[30:59, :60], photo[30:59, :60])
    assert np.array_equal(face_boxes(photo, []), photo)
    with pytest.raises(BadSetting, match="Face 3"):
        face_boxes(photo, [(1, 1, 50, 50), (60, 1, 90, 50)], chosen=2)


# ---------------------------------------------------------------- figures

LONG = "Maria_Aleksandrovna-Konstantinopolskaya von und zu Hohenlohe $x_1^2$"


def a_board(names=("Ada", LONG, "$\\frac{1$", "Ewa"), shape=(150, 150), truth=True, columns=3, query=((150, 150),) * 3):
    faces = [noise(*shape, seed=k) for k in range(4)]
    cells = [Cell(face, k + 1, name, 0.1234 + k / 10, was=(1, 14, 2, 100)[k], correct=k % 2 == 0 if truth else None)
             for k, (face, name) in enumerate(zip(faces, names, strict=True))]
    stages = [Column("Stage 1", cells, "cosine distance"), Column("Flow", [Cell(face) for face in faces], LONG),
              Column("Stage 2 with a long title of its own", cells, LONG), Column("H2L", cells[:2], "0.7 H2L")]
    labels = ("original", "with a surgical mask of the second style", "aligned")
    return Board(LONG * 3, [(label, noise(*size)) for label, size in zip(labels, query, strict=False)],
                 stages[:columns], summary=f"Nearest: {LONG}. " * 4, caption=f"Settings: {LONG}, " * 6)


def a_pair(shape=(150, 150), grid=(8, 8), flow=True):
    rng = np.random.default_rng(0)
    flows = rng.random((grid[0] * grid[1],) * 2) ** 8
    flows /= flows.sum()
    return PairSheet(noise(*shape), noise(*shape, seed=1), grid, flows.sum(1), flows.sum(0), flows if flow else None,
                scores=[Score("0.7 × EMD", 0.3), Score(LONG, 0.2), Score("Combined", 0.5, total=True)],
                candidate_name=LONG, measure=LONG, title=LONG * 2, summary=LONG * 5, caption=LONG * 6)


FIGURES = {
    "board": lambda: board_figure(a_board()),
    "no truth, 7x6": lambda: board_figure(a_board(shape=(112, 96), truth=False, columns=4)),
    "one column, wide photo": lambda: board_figure(a_board(columns=1, query=((300, 1200), (90, 30)))),
    "wide photo": lambda: board_figure(a_board(query=((200, 1500), (150, 150)))),
    "no query": lambda: board_figure(a_board(query=())),
    "pair": lambda: pair_figure(a_pair()),
    "pair, 7x6": lambda: pair_figure(a_pair((112, 96), (7, 6))),
    "pair without flow": lambda: pair_figure(a_pair((160, 160), (3, 3), flow=False)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_words_neither_leave_the_figure_nor_touch_each_other(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")          # a glyph that no font has is only a warning
        figure = FIGURES[name]()
        figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    words = [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts if text.get_text()]
    pictures = [image.get_window_extent(renderer) for image in axes.images]
    assert len(words) > 5
    for text, box in words:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text

    def overlap(a, b):
        return min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 3

    for (first, a), (second, b) in combinations(words, 2):
        assert not overlap(a, b), (first, second)
    for text, box in words:
        if text not in "✓✗":                    # the marks stand on their pictures
            assert not any(overlap(box, picture) for picture in pictures), text
    for first, second in combinations(pictures, 2):
        assert not overlap(first, second)


def test_board_says_rank_distance_movement_and_truth_in_words_and_signs():
    texts = [text.get_text() for text in board_figure(a_board(columns=1)).axes[0].texts]
    for expected in ("1", "Ada", "0.123", "same place", "▲ 12, was 14", "▼ 1, was 2", "▲ 96, was 100", "$\\frac{1$"):
        assert expected in texts
    assert texts.count("✓") == 2 and texts.count("✗") == 2
    unknown = [text.get_text() for text in board_figure(a_board(columns=1, truth=False)).axes[0].texts]
    assert "✓" not in unknown and "✗" not in unknown


def test_moved_needs_no_colour():
    assert [moved(1, 13), moved(5, 2), moved(3, 3)] == ["▲ 12", "▼ 3", "same place"]


def test_the_font_that_is_always_there_has_every_sign():
    font = FT2Font(font_manager.findfont("DejaVu Sans", fallback_to_default=False))
    assert all(font.get_char_index(ord(sign)) for sign in "✓✗▲▼…×α−")


def test_pair_figure_draws_each_weight_on_its_own_face():
    pair = a_pair((128, 128), (8, 8))
    hot_query, hot_candidate = np.eye(64)[3], np.eye(64)[60]
    pair = PairSheet(grey(128, 128), grey(128, 128), (8, 8), hot_query, hot_candidate, pair.flow)
    images = [np.asarray(image.get_array()) for image in pair_figure(pair).axes[0].images]
    yellow = [int(np.argmax([cell(image, i, (8, 8))[..., 0].mean() for i in range(64)])) for image in images[2:4]]
    assert yellow == [3, 60]
    assert np.array_equal(images[5], flow_picture(pair.candidate, pair.flow, (8, 8), dim=False))


# ---------------------------------------------------------------- text

def test_wrapping_keeps_to_width_and_prefers_spaces():
    lines = wrap("Arnold_Schwarzenegger meets Ada", text_width("Schwarzenegger m", 9), 9, 5)
    assert lines == ["Arnold_", "Schwarzenegger", "meets Ada"]
    assert wrap("a_b c_d", text_width("a_b c_", 9), 9, 5) == ["a_b", "c_d"]
    assert wrap("α\u00a0=\u00a00.7 k", text_width("α = 0.7", 9), 9, 5) == ["α\u00a0=\u00a00.7", "k"]
    cut = wrap("one two three four five six", text_width("one two…", 9), 9, 2)
    assert len(cut) == 2 and "…" in cut[-1] and cut[-1].endswith("x")
    assert all(text_width(line, 9) <= text_width("one two…", 9) for line in cut)
    assert wrap("", 10, 9, 3) == []


@pytest.mark.parametrize("text", ["plain", "x" * 400, "面容識別", "two\nlines", "", "…"])
def test_shorten_never_exceeds_its_width(text):
    short = shorten(text, 40, 9)
    assert text_width(short, 9) <= 40
    assert "\n" not in short
    assert short == drawable(text) or "…" in short or "\n" in text


def test_names_that_differ_at_their_ends_are_cut_apart():
    names = [f"a_very_long_name_of_somebody_{number}" for number in (1, 2)]
    assert shorten(names[0], 60, 9) != shorten(names[1], 60, 9)
    assert wrap(names[0], 60, 9, 2) != wrap(names[1], 60, 9, 2)
    shown = [in_columns(name, 20) for name in (*names, "面容識別面容識別面容識別面容識別")]
    assert shown[0] == "a_very_lon…omebody_1" and shown[1] != shown[0] and [columns(one) for one in shown] == [20] * 3


def test_letters_are_drawn_by_a_font_that_has_them_or_spelled(tmp_path, caplog, monkeypatch):
    """王 by a font made here, of that letter alone; た and 김, which none has, by how they sound, 明 by its number."""
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [
        font for font in font_manager.fontManager.ttflist if font.name.startswith(("DejaVu", "Last Resort"))])
    _family.cache_clear()
    assert drawable("José 王明 た김") == "José [738B 660E] [ta gim]" and families("王") == ("DejaVu Sans",)
    assert "No installed font has 王" in caplog.text
    maker = FontBuilder(1000, isTTF=True)
    maker.setupGlyphOrder([".notdef", "king"])
    maker.setupCharacterMap({ord("王"): "king"})
    pen = TTGlyphPen(None)
    for point, draw in (((0, 0), pen.moveTo), ((0, 700), pen.lineTo), ((700, 700), pen.lineTo)):
        draw(point)
    pen.closePath()
    maker.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "king": pen.glyph()})
    maker.setupHorizontalMetrics({".notdef": (500, 0), "king": (1000, 0)})
    maker.setupHorizontalHeader(ascent=800, descent=-200)
    maker.setupNameTable({"familyName": "Kings", "styleName": "Regular", "psName": "Kings"})
    maker.setupOS2()
    maker.setupPost()
    maker.save(tmp_path / "kings.ttf")
    font_manager.fontManager.addfont(tmp_path / "kings.ttf")
    _family.cache_clear()
    assert drawable("王明") == "王[660E]" and families("a王") == ("DejaVu Sans", "Kings")
    page = Page(2, 1)
    page.text(0.1, 0.5, "王", 40, width=1.8)
    inside = np.asarray(Image.open(BytesIO(to_png(page.figure, dpi=72))).convert("L"))[18:54, 8:44]
    assert 0.2 < (inside < 128).mean() < 0.6  # half of a square, and no box of a letter that is missing
    assert b"Kings" in to_pdf(page.figure)
    _family.cache_clear()


# ---------------------------------------------------------------- files

def test_png_of_a_picture_is_lossless():
    picture = noise(37, 53)
    assert np.array_equal(np.asarray(Image.open(BytesIO(to_png(picture)))), picture)


def test_figures_become_png_and_pdf_and_stay_the_same(tmp_path):
    figure = board_figure(a_board())
    image = Image.open(BytesIO(to_png(figure, dpi=60)))
    assert image.size == tuple(int(60 * inches) for inches in figure.get_size_inches())
    assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    document = to_pdf([figure, pair_figure(a_pair())], title="Why")
    assert document.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", document)) == 2
    assert to_pdf([board_figure(a_board()), pair_figure(a_pair())], title="Why") == document
    assert to_png(board_figure(a_board())) == save_figure(figure, tmp_path / "a.png").read_bytes()
    assert save_figure(figure, tmp_path / "a.PDF").read_bytes().startswith(b"%PDF")
    with pytest.raises(BadSetting, match=r"a\.jpg"):
        save_figure(figure, tmp_path / "a.jpg")
    with pytest.raises(BadSetting, match=r"\.png"):
        save_figure(noise(9, 9), tmp_path / "a.pdf")


# ---------------------------------------------------------------- shared ground

@pytest.mark.parametrize("call", [
    lambda: heatmap(noise(64, 64).astype(float), np.ones(64), (8, 8)),
    lambda: heatmap(noise(64, 64), np.ones(63), (8, 8)),
    lambda: heatmap(noise(64, 64), np.full(64, np.nan), (8, 8)),
    lambda: heatmap(noise(64, 64), np.ones(64), (8, 8), colormap="hot"),
    lambda: heatmap(noise(64, 64), np.ones(64), (8, 8), detail=2),
    lambda: heatmap(noise(4, 4), np.ones(64), (8, 8), smooth=False),
    lambda: flow_picture(noise(64, 64)[..., 0], np.eye(64), (8, 8)),
    lambda: flow_picture(noise(64, 64), np.eye(49), (8, 8)),
    lambda: flow_picture(noise(64, 64), -np.eye(64), (8, 8)),
    lambda: flow_picture(noise(64, 64), np.ones((64, 49)), (8, 8)),
    lambda: flow_lines(noise(64, 64), noise(64, 64), np.eye(64), (8, 8), patch=64),
    lambda: strongest_flows(np.eye(4), 0),
    lambda: patch_grid(noise(64, 64), (0, 8)),
    lambda: patch_grid(noise(64, 64), (8, 8), patch=-1),
    lambda: shared_scale([]),
    lambda: board_figure(Board("empty", [], [])),
    lambda: to_pdf([]),
    lambda: to_png(np.zeros((3, 3))),
])
def test_bad_input_is_one_sentence(call):
    with pytest.raises(DemoError) as problem:
        call()
    assert str(problem.value).endswith(".")
    assert "\n" not in str(problem.value)


def test_bad_pictures_and_bad_settings_are_told_apart():
    with pytest.raises(BadPhoto):
        enlarge(np.zeros((4, 4)), 8)
    with pytest.raises(BadSetting):
        best_matches(np.zeros((2, 3)))


def test_nothing_is_changed_in_place():
    rng = np.random.default_rng(0)
    crop, weights, flow = noise(150, 150), rng.random(64), rng.random((64, 64))
    copies = crop.copy(), weights.copy(), flow.copy()
    heatmap(crop, weights, (8, 8))
    flow_picture(crop, flow, (8, 8))
    flow_lines(crop, crop, flow, (8, 8), patch=3, height=150)
    patch_grid(crop, (8, 8), patch=1, height=150)
    face_boxes(crop, [(10, 10, 80, 80), (90, 90, 140, 140)])
    assert all(np.array_equal(now, then) for now, then in zip((crop, weights, flow), copies, strict=True))


def test_drawing_needs_neither_torch_nor_a_screen():
    code = ("import sys, demo.drawing; "
            "print(sorted({'torch', 'gradio', 'matplotlib.pyplot'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torch_tensors_are_taken_as_they_are():
    torch = pytest.importorskip("torch")
    flow = shifted_flow((4, 4), 1, 1)
    crop = noise(64, 64)
    assert np.array_equal(flow_picture(torch.from_numpy(crop), torch.tensor(flow, dtype=torch.float32), (4, 4)),
                          flow_picture(crop, flow, (4, 4)))
    weights = torch.arange(16, dtype=torch.float32) / 120
    assert np.array_equal(heatmap(crop, weights, (4, 4)), heatmap(crop, weights.numpy(), (4, 4)))


def test_cell_edges_cover_the_picture_without_gaps():
    for (height, width), grid in SHAPES:
        for length, cells in ((height, grid[0]), (width, grid[1])):
            edges = cell_edges(length, cells)
            assert edges[0] == 0 and edges[-1] == length
            assert all(b - a in (length // cells, length // cells + 1) for a, b in pairwise(edges))
