"""Distances of sets of features against closed forms, scipy, and sums written out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor

from i2i.metrics import frechet_distance, inception_score, kernel_distance, memorization_distance, mifid

Floats = npt.NDArray[np.float64]


def features(count: int, size: int = 8, seed: int = 0, shift: float = 0) -> Tensor:
    draw = np.random.default_rng(seed)
    return torch.from_numpy(draw.normal(size=(count, size)) @ draw.normal(size=(size, size)) + shift)


def with_moments(mean: Floats, covariance: Floats, count: int = 400) -> Tensor:
    """Points whose mean and covariance are just these."""
    points = np.random.default_rng(0).normal(size=(count, len(mean)))
    points -= points.mean(axis=0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points, rowvar=False)).T)
    return torch.from_numpy(white @ np.linalg.cholesky(covariance).T + mean)


def test_frechet_distance_of_gaussians_in_closed_form() -> None:
    # covariances that commute: the sum of squared differences of means and of deviations
    a = with_moments(np.array([1.0, 2, 3]), np.diag([4.0, 9, 1]))
    b = with_moments(np.array([0.0, 2, 5]), np.diag([1.0, 1, 16]))
    wanted = (1 + 0 + 4) + ((2 - 1) ** 2 + (3 - 1) ** 2 + (1 - 4) ** 2)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-12)
    assert frechet_distance(a.float(), b.float()) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(60, 50), (8, 50), (5, 4), (2, 2)])
def test_frechet_distance_agrees_with_scipy(n: int, m: int) -> None:
    a, b = features(n, seed=1), features(m, seed=2, shift=0.5)
    covariances = [np.cov(x.numpy(), rowvar=False) for x in (a, b)]
    root = sqrtm(covariances[0] @ covariances[1])
    wanted = (
        np.square((a.mean(0) - b.mean(0)).numpy()).sum() + sum(map(np.trace, covariances)) - 2 * np.trace(root).real
    )
    # of deficient covariances scipy's root keeps half the digits
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-9 if min(n, m) > 8 else 1e-5)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


def discrepancy(a: Floats, b: Floats) -> float:
    """KID's unbiased estimate in loops."""

    def kernel(x: Floats, y: Floats) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    within = [np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (a, b)]
    return float(sum(within) - 2 * np.mean([kernel(x, y) for x in a for y in b]))


def test_kernel_distance_written_out() -> None:
    a, b = features(11, seed=1), features(7, seed=2)
    mean, deviation = kernel_distance(a, b)
    assert mean == pytest.approx(discrepancy(a.numpy(), b.numpy()), rel=1e-12)
    assert deviation is None


def test_kernel_distance_in_subsets_is_unbiased_and_says_how_it_varies() -> None:
    a, b = features(60, seed=1), features(45, seed=2)
    whole = kernel_distance(a, b).mean
    mean, deviation = kernel_distance(a, b, subsets=400, subset_size=20)
    assert deviation is not None
    assert abs(mean - whole) < 4 * deviation / 400**0.5
    assert deviation > 0.1 * whole
    assert kernel_distance(a, b, 5, 20) == kernel_distance(a, b, 5, 20)
    assert kernel_distance(a, b, 5, 20) != kernel_distance(a, b, 5, 20, seed=1)


def test_inception_score_by_hand() -> None:
    sure = 100 * torch.eye(5).repeat(8, 1)
    assert inception_score(sure, splits=1).mean == pytest.approx(5)
    assert inception_score(sure, splits=1).deviation is None
    assert [*inception_score(torch.zeros(40, 5))] == pytest.approx([1, 0], abs=1e-12)
    in_order = sure.view(8, 5, 5).transpose(0, 1).reshape(40, 5)  # classes one after the other
    assert inception_score(in_order, splits=5, seed=None).mean == pytest.approx(1)
    assert inception_score(in_order, splits=5).mean > 2  # shuffled


def test_inception_score_agrees_with_scipy() -> None:
    logits = np.random.default_rng(0).normal(size=(43, 6)) * 2
    scores = []
    for n in range(4):
        p = softmax(logits[n * 43 // 4 : (n + 1) * 43 // 4], axis=1)
        scores.append(np.exp(np.mean([entropy(row, p.mean(axis=0)) for row in p])))
    spread = inception_score(torch.from_numpy(logits), 4, seed=None)
    assert [*spread] == pytest.approx([np.mean(scores), np.std(scores)])


def test_memorization_distance_is_to_the_nearest() -> None:
    known = torch.tensor([[1.0, 0, 0], [0, 2, 0]])
    images = torch.tensor([[5.0, 0, 0], [0, 3, 4]])  # a copy, and one at cosine 0.6 of the nearer
    assert memorization_distance(images, known) == pytest.approx((0 + 0.4) / 2)
    many = features(1300, seed=3)
    one_by_one = [memorization_distance(row[None], known) for row in many[:, :3]]
    assert memorization_distance(many[:, :3], known) == pytest.approx(np.mean(one_by_one))


def test_mifid_punishes_copies() -> None:
    training = features(40, seed=1)
    fresh = features(40, seed=2)
    assert memorization_distance(fresh, training) > 0.1
    assert mifid(fresh, training) == pytest.approx(frechet_distance(fresh, training))
    near = training[:30] + 0.01 * features(30, seed=4)
    distance = memorization_distance(near, training)
    assert 0 < distance < 0.1
    assert mifid(near, training) == pytest.approx(frechet_distance(near, training) / distance)
    assert mifid(training[:30], training) > 1e10


def test_too_few_images() -> None:
    one, two = features(1), features(2)
    for distance in (frechet_distance, kernel_distance, mifid):
        with pytest.raises(ValueError, match="at least 2"):
            distance(one, two)
    with pytest.raises(ValueError, match="at least 20"):
        inception_score(features(19))
