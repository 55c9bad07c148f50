from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.losses import l1


def test_l1_is_the_mean_over_everything() -> None:
    draw = np.random.default_rng(0)
    output, target = draw.normal(size=(2, 3, 5, 4)), draw.normal(size=(2, 3, 5, 4))
    loss = l1(torch.from_numpy(output), torch.from_numpy(target))
    assert loss.item() == pytest.approx(np.abs(output - target).mean(), rel=1e-12)
    assert loss.shape == ()
    assert l1(torch.tensor([1.0, -1.0, 0.5]), torch.tensor([-1.0, -1.0, 0.0])).item() == pytest.approx(2.5 / 3)


def test_l1_gradients() -> None:
    output = torch.tensor([[0.3, -0.7], [0.9, -0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(l1, (output, torch.zeros_like(output)))


@pytest.mark.parametrize(
    ("output", "target", "wanted"),
    [
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16, torch.float32),
        (torch.float16, torch.uint8, torch.float32),
        (torch.float64, torch.float32, torch.float64),
        (torch.float32, torch.float64, torch.float64),
    ],
)
def test_l1_is_computed_in_fp32_at_least(output: torch.dtype, target: torch.dtype, wanted: torch.dtype) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = l1(torch.full((1000,), 3, dtype=output), torch.full((1000,), 1, dtype=target))
    assert loss.dtype == wanted
    assert loss.item() == 2
