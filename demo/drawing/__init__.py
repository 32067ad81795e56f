"""Results → pictures: weights as heatmaps, flows as the papers draw them and as lines, boards and sheets.

Everything takes plain arrays (or torch tensors on the CPU) and gives uint8 RGB pictures or matplotlib figures.
Query patches are the rows of a flow, candidate patches its columns; patches are row-major over (rows, cols).
"""

from demo.drawing.board import Board, Cell, Column, board_figure, moved
from demo.drawing.flow import Flow, best_matches, flow_picture, strongest_flows
from demo.drawing.grids import enlarge
from demo.drawing.heat import COLORMAPS, colour_bar, heatmap, percent, shared_scale
from demo.drawing.lines import flow_lines
from demo.drawing.maps import FaceMaps, maps_figure, paired_heat, patch_attention
from demo.drawing.output import save_figure, to_pdf, to_png
from demo.drawing.overlays import face_boxes, patch_grid
from demo.drawing.pair import PairSheet, Score, pair_figure
from demo.drawing.signed import signed_heat, signed_strip

__all__ = [
    "COLORMAPS",
    "Board",
    "Cell",
    "Column",
    "FaceMaps",
    "Flow",
    "PairSheet",
    "Score",
    "best_matches",
    "board_figure",
    "colour_bar",
    "enlarge",
    "face_boxes",
    "flow_lines",
    "flow_picture",
    "heatmap",
    "maps_figure",
    "moved",
    "pair_figure",
    "paired_heat",
    "patch_attention",
    "patch_grid",
    "percent",
    "save_figure",
    "shared_scale",
    "signed_heat",
    "signed_strip",
    "strongest_flows",
    "to_pdf",
    "to_png",
]
