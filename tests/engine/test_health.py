"""The health line at the states it must tell apart."""

from __future__ import annotations

import pytest
import torch

from i2i.engine.health import WARM_UP, diversity, verdict


@pytest.mark.parametrize(
    ("real", "fake", "spread", "word"),
    [
        (1.0, 1.0, 0.8, "D too strong"),
        (0.5, 0.5, 0.8, "D too weak"),
        (0.8, 0.9, 0.8, "balanced: D is right on 85%"),
        (0.8, 0.9, 0.01, "collapse"),
    ],
)
def test_the_states_of_the_game(real: float, fake: float, spread: float, word: str) -> None:
    scalars = {"d/accuracy_real": real, "d/accuracy_fake": fake, "health/diversity": spread}
    assert (verdict(scalars, WARM_UP) or "").startswith(word)
    assert (verdict(scalars, WARM_UP - 1) or "").startswith("warming up")


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert verdict({"health/diversity": 0.9, "val/l1": 0.1}, WARM_UP) is None


def test_diversity_by_hand() -> None:
    targets = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert diversity(targets, targets) == pytest.approx(1)
    assert diversity(targets / 4 + 0.5, targets) == pytest.approx(0.25)
    assert diversity(torch.zeros(2, 3, 4, 4), targets) == 0
    assert diversity(torch.zeros(1, 3, 4, 4), targets[:1]) == 1  # one image says nothing
