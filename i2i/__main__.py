"""``python -m i2i`` is ``i2i``."""

from i2i.cli import run

run()
