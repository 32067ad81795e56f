"""Sunglasses drawn in code: a rigid frame on the generic head, posed to the face, tinted, lit and hung on the ears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.faces import geometry
from demo.faces.face import Face
from demo.faces.head import Head
from demo.faces.light import Light
from demo.faces.overlay import Canvas, Drawing, extent

Colour = tuple[int, int, int]
#: Outlines round the lens centre for the lens on the picture's right (x away from the nose, y down).
_WAYFARER = [
    (-.38, -.23), (-.05, -.30), (.30, -.305), (.425, -.25), (.40, -.02), (.29, .22), (.03, .31), (-.25, .25),
    (-.37, .02),
]
_WAYFARER_RIM = [
    (-.46, -.27), (-.07, -.375), (.32, -.39), (.535, -.365), (.52, -.21), (.47, .02), (.34, .28), (.03, .37),
    (-.30, .30), (-.44, .04),
]
_AVIATOR = [
    (-.36, -.27), (-.05, -.34), (.30, -.31), (.45, -.12), (.40, .14), (.17, .39), (-.10, .40), (-.32, .20),
    (-.40, -.04),
]
_ROUND = [(.37 * np.cos(angle), .37 * np.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False)]
#: Where an arm leaves the frame and where it meets the ear.
_HINGE, _EAR = np.array([1.09, -0.21, 0.04]), np.array([1.19, -0.13, -1.12])
#: Outward normal of the head where the arm runs.
_SIDE = np.array([0.97, 0.0, 0.24])
#: Lens tints: sRGB colour of a white thing seen through the dark part.
_TINTS: tuple[Colour, ...] = ((34, 35, 38), (62, 42, 24), (34, 50, 38), (30, 38, 56))


@dataclass(frozen=True)
class GlassesStyle:
    """One kind of sunglasses. title: for people. centre: of the right lens on the head. lens: its outline.

    colours: of the frame. opacity: (least, most) of the lens at its top and at its bottom. rim: outline of a thick
    plastic frame; without it the frame is a wire of ``wire`` eye distances, joined to the arms ``end`` beside the
    lens centre, with a second bar across the brow if ``brow_bar``.
    """

    title: str
    centre: tuple[float, float]
    lens: list[tuple[float, float]]
    colours: tuple[Colour, ...]
    opacity: tuple[tuple[float, float], tuple[float, float]]
    rim: list[tuple[float, float]] | None = None
    wire: float = 0.03
    end: float = 0.4
    brow_bar: bool = False


_METAL = ((196, 164, 98), (186, 188, 192), (84, 86, 90))
_PLASTIC = ((22, 22, 24), (22, 22, 24), (58, 36, 24))
STYLES = {
    "wayfarer": GlassesStyle("Wayfarer", (.57, .05), _WAYFARER, _PLASTIC, ((.93, .97), (.90, .97)), _WAYFARER_RIM),
    "aviator": GlassesStyle("Aviator", (.57, .10), _AVIATOR, _METAL, ((.95, .98), (.74, .92)), end=.42, brow_bar=True),
    "round": GlassesStyle("Round", (.54, .06), _ROUND, (*_METAL, (28, 28, 30)), ((.90, .97), (.82, .95)), end=.30),
}


def draw_glasses(photo: np.ndarray, face: Face, style: str, rng: np.random.Generator) -> Drawing:
    """Put sunglasses on a face of a uint8 (H, W, 3) photo. Raises NoFace for implausible landmarks."""
    chosen = STYLES[style]
    head = Head.of(face)
    width = head.width
    size = rng.uniform(0.97, 1.05)
    bounds = head.project(np.array([(x, y, z) for x in (-1.5, 1.5) for y in (-0.7, 0.9) for z in (-1.2, 0.3)]))
    canvas = Canvas(photo, head, Light.of(photo, head), bounds)
    colour = chosen.colours[rng.integers(len(chosen.colours))]
    tint = np.asarray(_TINTS[rng.integers(len(_TINTS))], np.float32)
    opacity = [rng.uniform(*limits) for limits in chosen.opacity]

    def outline(points, side: int) -> np.ndarray:
        curve = geometry.catmull_rom(np.asarray(points), 8, closed=True) * size + chosen.centre
        return front(curve * (side, 1))

    def front(points) -> np.ndarray:
        """Points of the frame's front, x and y on the head → photo pixels; as wide as this head asks for."""
        points = np.asarray(points, float) * (width, 1)
        return head.project(np.c_[points, 0.34 - 0.27 * points[:, 0] ** 2 - 0.12 * points[:, 1]])

    lenses = [outline(chosen.lens, side) for side in (-1, 1)]
    lens = np.maximum(*(canvas.polygon(points) for points in lenses))
    frame = _frame(canvas, chosen, lens, lenses, outline, front, size)
    whole = np.maximum(lens, frame)
    canvas.cast(whole, 0.30, down=0.07, soft=0.045)
    canvas.cast(whole, 0.20, down=0.02, soft=0.015)
    _arms(canvas, chosen, colour, width)
    _glaze(canvas, lens, tint, opacity, rng)
    _finish_frame(canvas, chosen, frame, colour)
    return canvas.finish(rng)


def _frame(canvas: Canvas, style: GlassesStyle, lens, lenses, outline, front, size: float) -> np.ndarray:
    """Coverage of rims and bridge."""
    across = np.linspace(-1, 1, 15)
    if style.rim is not None:
        rims = np.maximum(*(canvas.polygon(outline(style.rim, side)) for side in (-1, 1)))
        inner = style.centre[0] - 0.40 * size
        upper = np.c_[across * inner, -0.17 - 0.02 * across**2]
        lower = np.c_[across * inner, -0.06 + 0.10 * across**2]
        bridge = canvas.polygon(front(np.concatenate([upper, lower[::-1]])))
        return np.clip(np.maximum(rims, bridge) - lens, 0, 1)
    rims = np.maximum(*(canvas.stroke(points, style.wire, closed=True) for points in lenses))
    inner = style.centre[0] - 0.355 * size
    bars = [np.c_[across * inner, -0.05 - 0.05 * (1 - across**2)]]
    if style.brow_bar:
        bars.append(np.c_[across * (inner + 0.06), -0.20 - 0.015 * (1 - across**2)])
    for side in (-1, 1):
        if canvas.head.visible(_SIDE * (side, 1, 1)):
            bars.append(np.array([(side * (style.centre[0] + style.end * size), -0.16), (side * 1.09, -0.21)]))
    strokes = [canvas.stroke(front(bar), style.wire * 1.1) for bar in bars]
    return np.maximum.reduce([rims, *strokes])


def _arms(canvas: Canvas, style: GlassesStyle, colour: Colour, width: float) -> None:
    """The arms from the hinges to the ears, hidden behind the head and under hair."""
    arms = canvas.blank()
    t = np.linspace(0, 1, 12)[:, None]
    half = (0.05 if style.rim is not None else 0.018) * (1 - 0.35 * t) * [0, 1, 0]
    for side in (-1, 1):
        visible = canvas.head.visible(_SIDE * (side, 1, 1))
        if not visible:
            continue
        line = (_HINGE + (_EAR - _HINGE) * t) * (side * width, 1, 1)
        upper, lower = canvas.head.project(line - half), canvas.head.project(line + half)
        count = canvas.tuck((upper + lower) / 2)
        upper, lower = upper[:count], lower[:count]
        arm = canvas.polygon(np.concatenate([upper, lower[::-1]]))
        np.maximum(arms, canvas.fade_out(arm, (upper + lower) / 2, 0.12) * visible, out=arms)
    canvas.cast(arms, 0.3, down=0.05, soft=0.03)
    canvas.paint(canvas.lit(colour, 0.7), arms)


def _glaze(canvas: Canvas, lens: np.ndarray, tint: np.ndarray, opacity, rng: np.random.Generator) -> None:
    """The lenses: darker at the top, the sky's glow on their upper part, one slanting streak."""
    top, bottom = canvas.to_canvas(canvas.head.project(np.array([(0, -0.3, 0.3), (0, 0.42, 0.3)])))
    axis = ((bottom - top) / max(float(np.square(bottom - top).sum()), 1e-6)).astype(np.float32)
    top = top.astype(np.float32)
    right = np.array([axis[1], -axis[0]])
    part = extent(lens)
    x = np.arange(part[1].start, part[1].stop, dtype=np.float32) - top[0]
    y = (np.arange(part[0].start, part[0].stop, dtype=np.float32) - top[1])[:, None]
    down = np.clip(x * axis[0] + y * axis[1], 0, 1)
    place = (x * right[0] + y * right[1] + down * 0.55 + rng.uniform(0, 1.2)) % 1.45
    streak = np.exp(-(((place - 0.7) / 0.09) ** 4)) + 0.7 * np.exp(-(((place - 0.92) / 0.035) ** 4))
    glow = 0.08 * (1 - down) ** 3 + 0.02 + rng.uniform(0.05, 0.14) * streak * (1 - 0.8 * down)
    base = canvas.lit(tint, 0.3 + 0.35 * down)
    sky = canvas.lit((214, 224, 238), 1.0)
    share = (glow * min(1.0, 0.4 + canvas.light.exposure)).astype(np.float32)[..., None]
    colour = np.zeros((*lens.shape, 3), np.float32)
    colour[part] = base + (sky - base) * share
    cover = lens.copy()
    cover[part] *= opacity[0] + (opacity[1] - opacity[0]) * down
    canvas.paint(colour, cover)


def _finish_frame(canvas: Canvas, style: GlassesStyle, frame: np.ndarray, colour: Colour) -> None:
    """Frame in its colour, bright along the edges that look up and dark along those that look down."""
    step = max(1, round((0.02 if style.rim is not None else 0.35 * style.wire) * canvas.unit))
    above, below = np.roll(frame, step, axis=0), np.roll(frame, -step, axis=0)
    upper, lower = (canvas.blur(np.clip(frame - other, 0, 1), 0.006)[..., None] for other in (above, below))
    shine, shade = (0.30, 0.2) if style.rim is not None else (0.75, 0.55)
    base = np.asarray(canvas.lit(colour, 0.75), np.float32)
    bright = np.asarray(canvas.lit((255, 250, 240), 1.0), np.float32)
    canvas.paint((base + (bright - base) * shine * upper) * (1 - shade * lower), frame)
