"""The head: ears, skull, mouth, nose, eyes and whiskers."""

from i2i.data.cats.head.ears import paint_ear
from i2i.data.cats.head.eyes import paint_eyes
from i2i.data.cats.head.frame import HeadFrame
from i2i.data.cats.head.muzzle import paint_mouth, paint_nose
from i2i.data.cats.head.skull import paint_skull
from i2i.data.cats.head.whiskers import paint_whiskers
from i2i.data.cats.painting.curves import SIDES

__all__ = ["paint_head"]


def paint_head(head: HeadFrame) -> None:
    """Paint the head, back to front."""
    for side in SIDES:
        paint_ear(head, side)
    paint_skull(head)
    paint_mouth(head)
    paint_nose(head)
    paint_eyes(head)
    paint_whiskers(head)
