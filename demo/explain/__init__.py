"""What can be shown of two faces, and how it is drawn.

One file per explanation and one line in ``registry``; ``pair`` holds the two faces, ``results`` the few kinds of
answer. How it is drawn: ``demo.drawing``.
"""

from demo.drawing import (
    COLORMAPS,
    Board,
    Cell,
    Column,
    FaceMaps,
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
    maps_figure,
    moved,
    pair_figure,
    paired_heat,
    patch_attention,
    patch_grid,
    percent,
    save_figure,
    shared_scale,
    signed_heat,
    signed_strip,
    strongest_flows,
    to_pdf,
    to_png,
)
from demo.explain.agreement import Agreement
from demo.explain.badge import Badge, badge
from demo.explain.base import Condition, Explanation, Importance
from demo.explain.contrast import Contrast, Side, contrast, rivals_of, told
from demo.explain.pair import Pair
from demo.explain.registry import EXPLANATIONS, VIEWS, View, available, explain, explains
from demo.explain.results import Curves, Flows, Maps, Matrices, Numbers, Result, Signed, Term, face_maps
from demo.explain.sentence import sentence

__all__ = [
    "Agreement", "Badge", "Board", "COLORMAPS", "Cell", "Column", "Condition", "Contrast", "Curves", "EXPLANATIONS",
    "Explanation", "FaceMaps", "Flow", "Flows", "Importance", "Maps", "Matrices", "Numbers", "Pair", "PairSheet",
    "Result", "Score", "Side", "Signed", "Term", "VIEWS", "View", "available", "badge", "best_matches",
    "board_figure", "colour_bar", "contrast", "enlarge", "explain", "explains", "face_boxes", "face_maps",
    "flow_lines", "flow_picture", "heatmap", "maps_figure", "moved", "pair_figure", "paired_heat",
    "patch_attention", "patch_grid", "percent", "rivals_of", "save_figure", "sentence", "shared_scale",
    "signed_heat", "signed_strip", "strongest_flows", "to_pdf", "to_png", "told",
]
