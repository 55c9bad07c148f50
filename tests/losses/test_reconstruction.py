from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from i2i.losses import l1
from i2i.losses.reconstruction import ssim_distance


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


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    """Two smooth pictures, each with a degraded version, in float64."""
    draw = np.random.default_rng(0)
    coarse = torch.from_numpy(draw.uniform(-1, 1, (2, 3, 5, 6)))
    target = torch.nn.functional.interpolate(coarse, (24, 21), mode="bilinear")
    noise = torch.from_numpy(draw.normal(size=target.shape)) * torch.tensor([0.05, 0.4]).view(2, 1, 1, 1)
    return (target + noise).clamp(-1, 1), target


def reference(output: Tensor, target: Tensor) -> float:
    """The mean of 1 - SSIM in float64, by skimage."""
    values = [
        structural_similarity(
            (t.numpy() + 1) / 2,
            (o.numpy() + 1) / 2,
            channel_axis=0,
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for o, t in zip(output, target, strict=True)
    ]
    return 1 - float(np.mean(values))


def test_ssim_distance_agrees_with_skimage(images: tuple[Tensor, Tensor]) -> None:
    output, target = images
    wanted = reference(output, target)
    assert wanted > 0.1
    assert ssim_distance(output, target).item() == pytest.approx(wanted, abs=1e-9)
    assert ssim_distance(output.float(), target.float()).item() == pytest.approx(wanted, abs=1e-5)
    assert ssim_distance(output, target).shape == ()


@pytest.mark.parametrize("size", [24, 11, 10, 3, 2, 1])
def test_ssim_distance_of_equal_images_is_zero(size: int) -> None:
    image = torch.rand(2, 3, size, size + 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ssim_distance(image, image).item() == 0
    assert ssim_distance(-torch.ones_like(image), -torch.ones_like(image)).item() == 0
    assert ssim_distance(image, -image).item() > 0


def test_ssim_distance_gradients(images: tuple[Tensor, Tensor]) -> None:
    output, target = (image[:1, :1, :6, :7].clone() for image in images)
    assert torch.autograd.gradcheck(ssim_distance, (output.requires_grad_(), target))


def test_ssim_distance_leaves_autocast(images: tuple[Tensor, Tensor]) -> None:
    output, target = images[0].float().requires_grad_(), images[1].float()
    plain = ssim_distance(output, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = ssim_distance(output, target)
        rounded = ssim_distance(output.bfloat16(), target)
    assert torch.equal(mixed, plain)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(plain.item(), abs=0.01)
    assert ssim_distance(output, target.double()).dtype == torch.float64
