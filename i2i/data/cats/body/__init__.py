"""The body below the head, in one of five poses."""

from i2i.data.cats.body.neck import paint_collar
from i2i.data.cats.body.poses import paint_body

__all__ = ["paint_body", "paint_collar"]
