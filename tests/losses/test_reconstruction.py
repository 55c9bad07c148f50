from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from i2i.losses import charbonnier, feature_matching, l1, l2, ssim_distance, total_variation


def test_l1_is_the_mean_over_everything() -> None:
    draw = np.random.default_rng(0)
    output, target = draw.normal(size=(2, 3, 5, 4)), draw.normal(size=(2, 3, 5, 4))
    loss = l1(torch.from_numpy(output), torch.from_numpy(target))
    assert loss.item() == pytest.approx(np.abs(output - target).mean(), rel=1e-12)
    assert loss.shape == ()
    assert l1(torch.tensor([1.0, -1.0, 0.5]), torch.tensor([-1.0, -1.0, 0.0])).item() == pytest.approx(2.5 / 3)


def test_squares_and_their_smooth_root_by_hand() -> None:
    output, target = torch.tensor([0.3, -0.4, 1.0, 0.0]), torch.tensor([0.0, 0.0, 0.0, 0.0])
    assert l2(output, target).item() == pytest.approx((0.09 + 0.16 + 1) / 4)
    assert charbonnier(output, target, 0.4).item() == pytest.approx((0.5 + 0.32**0.5 + 1.16**0.5 + 0.4) / 4)
    assert charbonnier(output, output).item() == pytest.approx(1e-3)
    assert charbonnier(output, target).item() == pytest.approx(l1(output, target).item(), abs=1e-3)


def test_total_variation_by_hand() -> None:
    """Steps to the neighbours below and to the right over all values: 6 down and 5 across, of 12 values."""
    image = torch.tensor([[[0.0, 1.0, -1.0], [0.0, 0.0, 1.0]], [[2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]])
    down = (0 + 1 + 2) + (2 + 2 + 2)
    across = (1 + 2 + 0 + 1) + 0
    assert total_variation(image[None]).item() == pytest.approx((down + across) / 12)
    assert total_variation(torch.ones(1, 3, 1, 1)).item() == 0
    assert total_variation(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)).item() == 0.5


def test_features_are_matched_layer_by_layer() -> None:
    """A layer counts by its mean, however large it is (Wang et al. 2018, eq. 4); real features get no gradients."""
    made = [torch.full((2, 3, 4, 4), 0.5, requires_grad=True), torch.full((2, 1, 1, 1), -2.0, requires_grad=True)]
    real = [torch.zeros(2, 3, 4, 4, requires_grad=True), torch.ones(2, 1, 1, 1, requires_grad=True)]
    loss = feature_matching(made, real)
    assert loss.item() == pytest.approx(0.5 + 3)
    torch.autograd.backward(loss)
    assert all(feature.grad is None for feature in real)
    assert [float(feature.grad.abs().sum()) for feature in made if feature.grad is not None] == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="shorter"):
        feature_matching(made, real[:1])
    with pytest.raises(ValueError, match="no features"):
        feature_matching([], [])


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "l2": l2,
    "charbonnier": charbonnier,
    "total_variation": lambda output, target: total_variation(output),
    "feature_matching": lambda output, target: feature_matching([output, output * 2], [target, target]),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_gradients(name: str) -> None:
    output = torch.tensor([[0.3, -0.7, 0.1], [0.9, -0.2, 0.5]], dtype=torch.float64).reshape(1, 1, 2, 3)
    assert torch.autograd.gradcheck(DISTANCES[name], (output.requires_grad_(), torch.zeros_like(output)))


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(
    ("output", "target", "wanted"),
    [
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16, torch.float32),
        (torch.float16, torch.float16, torch.float32),
        (torch.float64, torch.float64, torch.float64),
    ],
)
def test_computed_in_fp32_at_least(name: str, output: torch.dtype, target: torch.dtype, wanted: torch.dtype) -> None:
    """Under autocast as without it; bf16 would round sums of so many values away."""
    made, real = (torch.randn(1, 8, 32, 32).to(dtype) for dtype in (output, target))
    exact = DISTANCES[name](made.double(), real.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = DISTANCES[name](made, real)
    assert loss.dtype == wanted
    assert loss.shape == ()
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_l1_of_mixed_kinds() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = l1(torch.full((1000,), 3, dtype=torch.float16), torch.full((1000,), 1, dtype=torch.uint8))
    assert (loss.dtype, loss.item()) == (torch.float32, 2)
    assert l1(torch.zeros(1), torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


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
