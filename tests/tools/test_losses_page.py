from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from i2i.losses import GAN_LOSSES, PENALTIES, gan_loss

PAGE = (Path(__file__).parents[2] / "docs/losses.md").read_text(encoding="utf-8")


def test_the_example_is_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "my_losses.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    loss = gan_loss("my_losses:focal")
    sure, unsure = torch.full((4,), 5.0), torch.zeros(4)
    assert loss.d_loss(sure, -sure) < 1e-4
    assert loss.d_loss(unsure, unsure).item() == pytest.approx(0.5 * torch.log(torch.tensor(2.0)).item())


def test_the_page_shows_the_whole_catalogue() -> None:
    first_cells = " ".join(re.findall(r"^\| (`[^|]*) \|", PAGE, flags=re.MULTILINE))
    shown = set(re.findall(r"`([a-z0-9-]+)`", first_cells))
    assert set(GAN_LOSSES) | set(PENALTIES) <= shown
