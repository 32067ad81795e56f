"""Attention pictures: the warm spot is on the right face, at the right place, in the right colour."""

from __future__ import annotations

import numpy as np
import pytest

from demo.drawing.heat import colours
from demo.drawing.maps import FaceMaps, maps_figure, paired_heat, patch_attention
from demo.errors import BadSetting
from demo.explain import heatmap, to_png

GREY = np.full((160, 160, 3), 128, np.uint8)


def one_hot(patch: int) -> np.ndarray:
    values = np.zeros(64)
    values[patch] = 1
    return values


def spot(picture: np.ndarray) -> tuple[int, int]:
    """(row, column) on the 8 x 8 grid of the cell nearest to the warmest colour of the map."""
    off = np.abs(picture.astype(float) - colours()[-1]).sum(2)
    side = picture.shape[0] // 8
    return divmod(int(off.reshape(8, side, 8, side).mean((1, 3)).argmin()), 8)


@pytest.mark.parametrize(("low", "high", "expected"), [
    (0.005, 0.030, [(0, "0.5 %"), (0.42, "uniform 1.6 %"), (1, "3.0 %")]),
    (0.0, 0.020, [(0, "0 %"), (0.78, ""), (1, "uniform 1.6 %, 2.0 %")]),
    (0.002, 0.100, [(0, "0.2 %, uniform 1.6 %"), (0.14, ""), (1, "10 %")]),
    (0.1, 0.1, [(0.5, "10 %")]),
    (0.1, 0.3, [(0, "10 %"), (0.5, "20 %"), (1, "30 %")]),
])
def test_a_colour_bar_says_where_all_patches_would_be_alike(low, high, expected):
    """A share of 1 / 64; its text never touches that of an end."""
    marks = FaceMaps("", one_hot(1), one_hot(2), (8, 8), scale=(low, high)).marks
    assert [(round(place, 2), text) for place, text in marks] == expected


def test_each_map_is_painted_on_its_own_face():
    on_query, on_candidate = paired_heat(GREY, GREY, FaceMaps("", one_hot(13), one_hot(58), (8, 8)))
    assert spot(on_query) == (1, 5) and spot(on_candidate) == (7, 2)


def test_both_faces_share_one_scale():
    maps = FaceMaps("", np.full(64, 0.2), np.full(64, 0.4), (8, 8))
    low, high = paired_heat(GREY, GREY, maps, smooth=False)
    assert np.array_equal(low[0, 0], colours()[0]) and np.array_equal(high[0, 0], colours()[-1])
    fixed = FaceMaps("", one_hot(1), one_hot(2), (8, 8), scale=(0.0, 2.0))
    wanted = heatmap(GREY, one_hot(1), (8, 8), scale=(0.0, 2.0))
    assert np.array_equal(paired_heat(GREY, GREY, fixed)[0], wanted)


def test_a_patch_shows_its_own_row_on_the_other_face():
    rows = np.full((64, 64), 1 / 64)
    rows[20] = one_hot(41)
    here, there = patch_attention(GREY, GREY, rows, (8, 8), 20, height=160)
    changed = np.abs(here.astype(int) - patch_attention(GREY, GREY, rows, (8, 8), 0, height=160)[0]).sum(2)
    assert changed[40:60, 80:100].any() and not changed[100:].any()  # patch 20 is row 2, column 4
    assert spot(there) == (5, 1)


@pytest.mark.parametrize("patch", [-1, 64])
def test_patches_outside_the_grid_are_refused(patch):
    with pytest.raises(BadSetting):
        patch_attention(GREY, GREY, np.full((64, 64), 1 / 64), (8, 8), patch)


def test_the_sheet_has_a_column_per_explanation():
    def width(count: int) -> float:
        columns = [FaceMaps(f"Map {n}", one_hot(n), one_hot(n), (8, 8)) for n in range(count)]
        figure = maps_figure(GREY, GREY, columns, title="Why")
        assert to_png(figure)[:4] == b"\x89PNG"
        return figure.get_size_inches()[0]

    assert np.isclose(width(3) - width(2), width(2) - width(1))
