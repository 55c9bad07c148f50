"""The five poses; every number is in body coordinates, measured from the head's centre in radii of the head."""

from __future__ import annotations

from collections.abc import Callable

from i2i.data.cats.body.frame import BodyFrame
from i2i.data.cats.body.limbs import paint_haunch, paint_leg, paint_paw, paint_tail
from i2i.data.cats.body.neck import paint_ruff
from i2i.data.cats.body.trunk import paint_trunk, trunk_stripes
from i2i.data.cats.colours import between, tint
from i2i.data.cats.look.attributes import Pose
from i2i.data.cats.painting.curves import SIDES, Points, box, mirrored


def paint_body(frame: BodyFrame) -> None:
    """Paint the body in the cat's pose, back to front."""
    poses: dict[Pose, Callable[[BodyFrame], None]] = {
        "portrait": _portrait, "sitting": _sitting, "turned": _turned, "loaf": _loaf, "standing": _standing,
    }  # fmt: skip
    poses[frame.cat.pose](frame)


def _portrait(frame: BodyFrame) -> None:
    """Head and shoulders, now and then behind a ledge with both paws on it."""
    cat = frame.cat
    lean = -0.9 * cat.yaw
    half = [(0.55, 0.2), (0.86, 0.85), (1.22, 1.35), (1.5, 2.1), (1.55, 3.4)]
    knots = [(x + lean * max(y, 0) * 0.5, y) for x, y in mirrored(half, cat.body_width)]
    stripes: list[Points] = []
    for side in SIDES:
        spine = [(side * 1.08 + lean * 0.5, 0.9), (side * 1.7 + lean, 2.4)]
        stripes += trunk_stripes(frame, spine, [(lean * 0.5, 1.25), (lean, 2.9)], 4, 0.13, 0.62)
    muscles = [((side * 0.95 + 0.6 * lean, 1.7), (0.4, 0.75)) for side in SIDES]
    paint_trunk(frame, knots, stripes, bib=((lean * 0.6, 1.55), (0.62, 1.0)), muscles=muscles, thickness=2.6)
    paint_ruff(frame, (lean * 0.5, 1.02), 0.4)
    if cat.ledge:
        _paint_ledge(frame)


def _paint_ledge(frame: BodyFrame) -> None:
    """Paint a ledge across the picture and both paws on it."""
    scene, cat = frame.scene, frame.cat
    _, top = frame.at(0, 1.28)
    board = between(cat.floor, cat.fabric, 0.3)
    scene.fill([box(-0.1, top, 1.1, 1.2)], tint(board, 0.72))
    scene.fill([box(-0.1, top, 1.1, top + 0.03)], tint(board, 1.1), 1.0, 0.004)
    scene.fill([box(-0.1, top + 0.03, 1.1, top + 0.045)], tint(board, 0.4), 0.5, 0.008)
    for x in (-0.5, 0.5):
        scene.fill([frame.ellipse(((x, 1.46), (0.36, 0.1)))], (20, 14, 12), 0.5, 0.05 * cat.radius)
        knots = [(x * 1.3, 0.7), (x * 1.1, 1.0), (x, 1.3)]
        paint_leg(frame, knots, [0.6, 0.55, 0.5], ((x, 1.34), (0.32, 0.2)), sock=0.3, bars=0, shadow=0.4)


def _sitting(frame: BodyFrame) -> None:
    """Sitting upright, seen from the front."""
    cat = frame.cat
    wide = cat.body_width
    if not cat.tail_wrapped:
        paint_tail(frame, [(0.8, 2.45), (1.45, 2.62), (1.85, 2.3), (1.75, 1.75), (1.95, 1.3)])
    half = [(0.5, 0.2), (0.78, 0.85), (0.92, 1.4), (1.2, 2.0), (1.2, 2.5), (0.6, 2.68)]
    stripes: list[Points] = []
    for side in SIDES:
        spine = [(side * 0.85 * wide, 0.85), (side * 1.08 * wide, 2.2)]
        stripes += trunk_stripes(frame, spine, [(0, 1.1), (0, 2.5)], 5, 0.11, 0.5)
    muscles = [((side * 0.56, 1.15), (0.26, 0.4)) for side in SIDES]
    paint_trunk(frame, mirrored(half, wide), stripes, bib=((0, 1.3), (0.48, 0.75)), muscles=muscles, thickness=1.9)
    for side in SIDES:
        paint_haunch(frame, ((side * 0.86 * wide, 2.2), (0.46, 0.5)), side * 0.25)
        paint_paw(frame, ((side * 0.92 * wide, 2.62), (0.36, 0.17)))
    for side in SIDES:
        knots = [(side * 0.36, 1.35), (side * 0.34, 2.0), (side * 0.3, 2.6)]
        paint_leg(frame, knots, [0.5, 0.46, 0.38, 0.42], ((side * 0.32, 2.65), (0.3, 0.2)), shadow=0.5)
    if cat.tail_wrapped:
        paint_tail(frame, [(0.9, 2.3), (1.5, 2.42), (1.55, 2.72), (1.0, 2.84), (0.35, 2.84)])
    paint_ruff(frame, (0, 0.95), 0.5)


def _turned(frame: BodyFrame) -> None:
    """Sitting sideways, head towards the viewer."""
    cat = frame.cat
    wide = cat.body_width
    if not cat.tail_wrapped:
        paint_tail(frame, [(1.3, 2.4), (1.9, 2.56), (2.45, 2.6), (2.8, 2.35), (2.75, 1.95)])
    far_leg = [(-0.42, 1.3), (-0.5, 2.0), (-0.5, 2.52)]
    paint_leg(frame, far_leg, [0.46, 0.42, 0.36, 0.38], ((-0.54, 2.57), (0.27, 0.17)), shadow=0.0)
    knots = [
        (0.2, -0.3), (0.75, 0.2), (1.15 * wide, 0.85), (1.6 * wide, 1.5), (1.82 * wide, 2.15), (1.65 * wide, 2.6),
        (0.8, 2.68), (0.25, 2.45), (-0.05, 2.1), (-0.45, 1.8), (-0.7, 1.3), (-0.66, 0.7), (-0.5, 0.2),
    ]  # fmt: skip
    spine = [(0.7, 0.2), (1.15 * wide, 0.85), (1.6 * wide, 1.5), (1.85 * wide, 2.3)]
    belly = [(-0.4, 1.1), (0.0, 1.6), (0.3, 2.1), (0.8, 2.6)]
    stripes = trunk_stripes(frame, spine, belly, 8, 0.13, 0.7)
    muscles = [((0.1, 1.15), (0.4, 0.5)), ((0.85, 1.3), (0.4, 0.5))]
    paint_trunk(frame, knots, stripes, bib=((-0.35, 1.2), (0.5, 0.7)), muscles=muscles, thickness=1.9)
    paint_haunch(frame, ((1.12 * wide, 2.05), (0.66, 0.6)), 0.25)
    paint_paw(frame, ((0.6 * wide, 2.62), (0.44, 0.17)))
    near_leg = [(-0.1, 1.4), (-0.14, 2.0), (-0.12, 2.6)]
    paint_leg(frame, near_leg, [0.56, 0.5, 0.4, 0.42], ((-0.18, 2.65), (0.3, 0.19)), shadow=0.5)
    if cat.tail_wrapped:
        paint_tail(frame, [(1.7, 2.3), (2.05, 2.62), (1.6, 2.84), (0.9, 2.86), (0.35, 2.82)])
    paint_ruff(frame, (-0.25, 0.95), 0.42)


def _loaf(frame: BodyFrame) -> None:
    """Lying with the paws below the chest and the tail around the body."""
    knots = [
        (0.0, -0.1), (0.7, -0.2), (1.4, -0.12), (2.0, 0.25), (2.3, 0.8), (2.2, 1.28), (1.4, 1.42), (0.2, 1.42),
        (-0.7, 1.4), (-0.98, 1.1), (-0.9, 0.6), (-0.6, 0.2),
    ]  # fmt: skip
    spine = [(0.6, -0.2), (1.4, -0.15), (2.0, 0.25), (2.3, 0.8)]
    belly = [(0.5, 1.3), (1.1, 1.4), (1.6, 1.4), (1.9, 1.3)]
    stripes = trunk_stripes(frame, spine, belly, 8, 0.13, 0.7)
    muscles = [((0.75, 0.6), (0.45, 0.5))]
    paint_trunk(frame, knots, stripes, bib=((-0.15, 1.1), (0.6, 0.5)), muscles=muscles, thickness=1.6)
    paint_haunch(frame, ((1.65, 0.95), (0.58, 0.48)), 0.1)
    paint_paw(frame, ((1.3, 1.36), (0.4, 0.14)))
    for x in (0.28, -0.42):
        leg = [(x + 0.1, 1.0), (x + 0.02, 1.2), (x, 1.32)]
        paint_leg(frame, leg, [0.55, 0.56, 0.5], ((x, 1.33), (0.33, 0.19)), sock=0.1, bars=0, shadow=0.25)
    paint_tail(frame, [(2.1, 1.15), (2.25, 1.42), (1.8, 1.56), (1.2, 1.55), (0.75, 1.5)])
    paint_ruff(frame, (-0.05, 0.8), 0.5)


def _standing(frame: BodyFrame) -> None:
    """Standing or strolling sideways."""
    cat = frame.cat
    if cat.tail_wrapped:  # carried low, else proudly upright
        paint_tail(frame, [(2.6, 0.4), (3.05, 0.75), (3.25, 1.3), (3.45, 1.75), (3.8, 1.8)])
    else:
        paint_tail(frame, [(2.6, 0.45), (3.0, 0.15), (3.2, -0.45), (3.15, -1.0), (3.35, -1.4)])
    stride = float(frame.scene.rng.uniform(-0.1, 0.25))
    far_fore = [(0.0, 0.8), (-0.1 - stride, 1.5), (-0.1 - 1.4 * stride, 2.25)]
    far_fore_paw = ((-0.15 - 1.4 * stride, 2.28), (0.26, 0.15))
    paint_leg(frame, far_fore, [0.5, 0.42, 0.34, 0.36], far_fore_paw, shadow=0.0)
    far_hind = [(2.2, 0.9), (2.15 - stride, 1.5), (2.35 - stride, 1.85), (2.2 - stride, 2.25)]
    paint_leg(frame, far_hind, [0.7, 0.5, 0.33, 0.34], ((2.14 - stride, 2.28), (0.27, 0.15)), shadow=0.0)
    deep = 1.42 * (0.6 + 0.4 * cat.body_width)
    knots = [
        (-0.1, -0.1), (0.6, -0.05), (1.3, 0.12), (2.0, 0.06), (2.6, 0.2), (2.9, 0.7), (2.75, 1.25), (2.2, deep - 0.1),
        (1.3, deep), (0.5, deep + 0.02), (-0.2, 1.25), (-0.55, 0.85), (-0.5, 0.3),
    ]  # fmt: skip
    spine = [(0.5, 0.0), (1.3, 0.1), (2.0, 0.05), (2.75, 0.3)]
    belly = [(0.6, 1.5), (1.2, 1.5), (1.8, 1.45), (2.4, 1.3)]
    stripes = trunk_stripes(frame, spine, belly, 9, 0.13, 0.62)
    muscles = [((0.4, 0.6), (0.4, 0.5)), ((1.3, 0.8), (0.5, 0.4))]
    paint_trunk(frame, knots, stripes, bib=((-0.25, 0.95), (0.45, 0.5)), muscles=muscles, thickness=1.6)
    near_hind = [(2.35, 0.55), (2.4, 1.15), (2.72, 1.75), (2.62, 2.28)]
    paint_leg(frame, near_hind, [1.0, 0.82, 0.36, 0.36], ((2.54, 2.34), (0.3, 0.17)), bars=5, shadow=0.4)
    near_fore = [(0.4, 0.8), (0.42, 1.5), (0.4, 2.3)]
    paint_leg(frame, near_fore, [0.6, 0.48, 0.36, 0.38], ((0.34, 2.34), (0.29, 0.17)), shadow=0.4)
    paint_ruff(frame, (-0.15, 0.8), 0.4)
