from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from i2i.metrics import l1, luma, psnr, ssim


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    """Two smooth pictures, each with a degraded version: one a little noisy, one much and darker."""
    draw = np.random.default_rng(0)
    coarse = torch.from_numpy(draw.uniform(-1, 1, (2, 3, 5, 6)))
    target = torch.nn.functional.interpolate(coarse, (40, 33), mode="bilinear")
    noise = torch.from_numpy(draw.normal(size=target.shape)) * torch.tensor([0.05, 0.4]).view(2, 1, 1, 1)
    output = target + noise - torch.tensor([0.0, 0.3]).view(2, 1, 1, 1)
    return output.clamp(-1, 1).float(), target.float()


def test_psnr_agrees_with_skimage(images: tuple[Tensor, Tensor]) -> None:
    output, target = images
    wanted = [
        peak_signal_noise_ratio(t.double().numpy(), o.double().numpy(), data_range=2)
        for o, t in zip(output, target, strict=True)
    ]
    np.testing.assert_allclose(psnr(output, target), wanted, rtol=1e-5)


def test_psnr_by_hand() -> None:
    target = torch.zeros(3, 1, 4, 4)
    output = torch.stack([torch.full((1, 4, 4), off) for off in (0.2, 2.0, 0.0)])  # MSE 0.04, 4 and 0, peak^2 4
    assert psnr(output, target).tolist() == pytest.approx([20, 0, 100], abs=1e-4)
    assert psnr(output.bfloat16(), target).dtype == torch.float32


def test_ssim_agrees_with_skimage(images: tuple[Tensor, Tensor]) -> None:
    output, target = images
    wanted = [
        structural_similarity(
            (t.double().numpy() + 1) / 2,
            (o.double().numpy() + 1) / 2,
            channel_axis=0,
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for o, t in zip(output, target, strict=True)
    ]
    np.testing.assert_allclose(ssim(output, target), wanted, atol=1e-4)
    assert max(wanted) - min(wanted) > 0.3
    assert ssim(target, target).tolist() == pytest.approx([1, 1])


def test_ssim_of_flat_images_by_hand() -> None:
    # in [0, 1] the means are 0.75 and 0.25, all variances 0: (2 * 0.75 * 0.25 + C1) / (0.75^2 + 0.25^2 + C1)
    light, dark = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), -0.5)
    assert ssim(light, dark).item() == pytest.approx((0.375 + 1e-4) / (0.625 + 1e-4), abs=3e-4)


@pytest.mark.parametrize("shape", [(5, 5), (6, 5)])
def test_ssim_of_small_images_takes_a_smaller_window(shape: tuple[int, int]) -> None:
    x, y = np.random.default_rng(1).uniform(0, 1, (2, *shape))
    line = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for top in range(shape[0] - 4):
        a, b = x[top : top + 5], y[top : top + 5]
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a, var_b = (window * a**2).sum() - mean_a**2, (window * b**2).sum() - mean_b**2
        covariance = (window * a * b).sum() - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
        values.append(luminance * (2 * covariance + 0.03**2) / (var_a + var_b + 0.03**2))
    output, target = (torch.from_numpy(2 * image - 1)[None, None].float() for image in (x, y))
    assert ssim(output, target).item() == pytest.approx(np.mean(values), abs=1e-4)


@pytest.fixture
def photos() -> tuple[Tensor, Tensor]:
    """An astronaut and her noisy image in whole levels of 0 to 255, float64 [1, 3, H, W]."""
    target = torch.from_numpy(data.astronaut()[50:210, 150:330].copy()).permute(2, 0, 1)[None].double()
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (target + 12 * noise).round().clamp(0, 255), target


def test_levels_agree_with_skimage_to_the_last_digits(photos: tuple[Tensor, Tensor]) -> None:
    output, target = (x[0].numpy() for x in photos)
    wanted = structural_similarity(
        target, output, channel_axis=0, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(*photos, (0, 255)).item() == pytest.approx(wanted, abs=1e-10)
    assert 0.5 < wanted < 0.9
    wanted = peak_signal_noise_ratio(target, output, data_range=255)
    assert psnr(*photos, (0, 255)).item() == pytest.approx(wanted, abs=1e-10)
    assert l1(*photos, (0, 255)).item() == pytest.approx(np.abs(output - target).mean() / 255)


def test_values_are_those_of_the_image_whatever_its_span(photos: tuple[Tensor, Tensor]) -> None:
    for metric in (psnr, ssim, l1):
        output, target = (x / 127.5 - 1 for x in photos)
        assert metric(output, target).item() == pytest.approx(metric(*photos, (0, 255)).item())


def test_luma_is_that_of_skimage_in_whole_levels(photos: tuple[Tensor, Tensor]) -> None:
    exact = color.rgb2ycbcr(photos[1][0].permute(1, 2, 0).numpy().astype(np.uint8))[..., 0]
    np.testing.assert_array_equal(luma(photos[1])[0, 0], np.round(exact))
    ends = torch.tensor([[0.0, 0, 0], [255, 255, 255], [255, 0, 0]]).view(3, 3, 1, 1)
    assert luma(ends).flatten().tolist() == [16, 235, 81]  # 16 + 65.481
