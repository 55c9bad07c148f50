"""What the page about exporting shows works as it stands there, without i2i and torch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import i2i
from i2i.cli import main
from i2i.engine.fit import Outcome

PAGE = Path(__file__).parents[3] / "docs" / "exporting.md"


def test_the_example_needs_onnxruntime_pillow_and_numpy_alone(
    tiny: Callable[..., Outcome], capfd: pytest.CaptureFixture[str]
) -> None:
    tiny("run", "method.generator.depth=2", "train.steps=1")
    capfd.readouterr()
    assert main(["export", "run", "cats.onnx"]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert re.fullmatch(
        r"model: run/checkpoints/step_00000001 \(pix2pix, 1 steps, averaged weights\)\n"
        r"compared: outputs differ by at most [\d.e-]+ of \[-1, 1\], on 1x1x64x64(, \dx1x\d+x\d+){3}\n"
        r"written: cats\.onnx \(\d+\.\d MB\)\nuse: \S+ translate INPUT OUTPUT --model cats\.onnx\n",
        said.out,
    )
    drawing = np.random.default_rng(0).integers(0, 256, (37, 50)).astype(np.uint8)
    Image.fromarray(drawing).save("drawing.png")
    (example,) = re.findall(r"```python\n(import json\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    probe = f"{example}\nimport sys; assert not {{'torch', 'i2i', 'onnx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True)
    made, wanted = np.asarray(Image.open("cat.png")), i2i.load("run", device="cpu").translate(drawing)
    np.testing.assert_allclose(made.astype(int), wanted, atol=1)
