from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor

X = torch.tensor([-3.0, -0.5, 0.0, 0.7, 4.0], dtype=torch.float64)
ZERO, ONE = torch.zeros_like(X), torch.ones_like(X)


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("tools.gradients")


@pytest.mark.parametrize(
    ("name", "raised", "lowered"),
    [
        ("minimax", X.sigmoid(), X.sigmoid()),
        ("nonsaturating", 1 - X.sigmoid(), X.sigmoid()),
        ("lsgan", 2 * (1 - X), 2 * X),
        ("wgan", ONE, ONE),
        ("hinge", ONE, torch.tensor([0.0, 1, 1, 1, 1], dtype=torch.float64)),
        ("rsgan", (2 - X).sigmoid(), (X - 2).sigmoid()),
        ("rasgan", 2 * (2 - X).sigmoid(), 2 * (X - 2).sigmoid()),
        ("ralsgan", 4 * (3 - X), 4 * (X - 1)),
        ("rahinge", torch.tensor([2.0, 2, 2, 2, 0], dtype=torch.float64), torch.tensor([0.0, 0, 0, 0, 2]).double()),
    ],
)
def test_pushes_are_the_losses_derivatives(gradients: Any, name: str, raised: Tensor, lowered: Tensor) -> None:
    torch.testing.assert_close(gradients.pushes(name, X), (raised, lowered))


def test_the_picture_shows_every_loss(gradients: Any) -> None:
    svg = ElementTree.fromstring(gradients.picture())
    shown = {clip.attrib["id"] for clip in svg.iter("{http://www.w3.org/2000/svg}clipPath")}
    assert shown == set(gradients.LOSSES)
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}polyline"))) == 2 * len(shown)
