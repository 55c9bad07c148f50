"""How far two sets of images are apart, by their features: FID, KID and MiFID; and the Inception Score of one set.

All are functions of features or logits alone, whatever network these are of, and computed in float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

MEMORIZED = 0.1  # cosine distance below which Bai et al. take images for copies
CHUNK = 512  # rows of a matrix of distances that is too large to be held


class Spread(NamedTuple):
    """A mean over parts of the sets, and the deviation over them; None: there was one part, the whole."""

    mean: float
    deviation: float | None


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    r"""Return the squared Frechet distance of two Gaussians with the sets' moments: FID (Heusel et al. 2017, eq. 6).

    :math:`|m_a - m_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^{1/2})`. No root of a matrix is taken, which would lose
    half the digits: with :math:`C = R^T R`, that trace is the sum of the singular values of :math:`R_a R_b^T`.

    Args:
        features_a: [N, D], N from 2.
        features_b: [M, D], M from 2.
    """
    root_a, root_b = _covariance_root(features_a), _covariance_root(features_b)
    means = features_a.double().mean(dim=0) - features_b.double().mean(dim=0)
    cross = torch.linalg.svdvals(root_a @ root_b.T).sum()
    distance = means.square().sum() + root_a.square().sum() + root_b.square().sum() - 2 * cross
    return max(float(distance), 0.0)  # below by rounding alone


def _covariance_root(features: Tensor) -> Tensor:
    """Return R, at most [D, D], with R^T R the unbiased covariance."""
    if len(features) < 2:
        raise ValueError("a covariance takes at least 2 images")
    x = features.double()
    x = (x - x.mean(dim=0)) / math.sqrt(len(x) - 1)
    if len(x) > x.shape[1]:
        _, x = torch.linalg.qr(x, mode="r")
    return x


def kernel_distance(
    features_a: Tensor, features_b: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> Spread:
    """Return the squared maximum mean discrepancy under (x.y / D + 1)^3: KID (Binkowski et al. 2018).

    The estimate is unbiased, and so may be a little below 0. It is the mean over random subsets, as papers report it
    with their deviation; sets that are no larger than one subset are taken whole.

    Args:
        features_a: [N, D], N from 2.
        features_b: [M, D], M from 2.
        subsets: how many.
        subset_size: images of each set in each; fewer where a set has fewer.
        seed: draws the subsets; the global generators are left alone.
    """
    a, b = features_a.double(), features_b.double()
    if min(len(a), len(b)) < 2:
        raise ValueError("a distance of kernels takes at least 2 images of each set")
    if max(len(a), len(b)) <= subset_size:
        return Spread(_discrepancy(a, b), None)
    size = min(subset_size, len(a), len(b))
    generator = torch.Generator().manual_seed(seed)
    estimates = torch.tensor(
        [_discrepancy(_drawn(a, size, generator), _drawn(b, size, generator)) for _ in range(subsets)],
        dtype=torch.float64,
    )
    return Spread(float(estimates.mean()), float(estimates.std(correction=0)))


def _drawn(features: Tensor, size: int, generator: torch.Generator) -> Tensor:
    return features[torch.randperm(len(features), generator=generator)[:size].to(features.device)]


def _discrepancy(a: Tensor, b: Tensor) -> float:
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (_kernel(a, a), _kernel(b, b))]
    return float(within[0] + within[1] - 2 * _kernel(a, b).mean())


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def inception_score(logits: Tensor, splits: int = 10, seed: int | None = 0) -> Spread:
    """Return exp E KL(p(y|x) || p(y)), from 1 to the number of classes (Salimans et al. 2016, section 4).

    The images are shuffled and split, the score is the mean over the splits; the fewer images in each, the lower.

    Args:
        logits: [N, K] of the classes, N at least twice the splits.
        splits: how many.
        seed: shuffles the images; None: they are split as they stand.
    """
    if len(logits) < 2 * splits:
        raise ValueError(f"{splits} splits take at least {2 * splits} images")
    logits = logits.double()
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        logits = logits[torch.randperm(len(logits), generator=generator).to(logits.device)]
    scores = []
    for part in logits.tensor_split([n * len(logits) // splits for n in range(1, splits)]):  # as the paper's code does
        log_p = part.log_softmax(dim=1)
        log_marginal = log_p.logsumexp(dim=0) - math.log(len(part))
        scores.append((log_p.exp() * (log_p - log_marginal)).sum(dim=1).mean().exp())
    values = torch.stack(scores)
    return Spread(float(values.mean()), float(values.std(correction=0)) if splits > 1 else None)


def memorization_distance(features: Tensor, reference: Tensor) -> float:
    """Return how far images are from the nearest of a reference, 1 - abs(cosine) of the features, mean over images.

    Args:
        features: [N, D] of the images.
        reference: [M, D], those that may have been learned by heart.
    """
    images, known = normalize(features.double()), normalize(reference.double())
    nearest = [1 - (part @ known.T).abs().amax(dim=1) for part in torch.split(images, CHUNK)]
    return max(float(torch.cat(nearest).mean()), 0.0)


def mifid(features: Tensor, reference: Tensor) -> float:
    """Return FID, divided by the memorization distance where that is below 0.1: MiFID (Bai et al. 2021).

    Args:
        features: [N, D] of the images, N from 2.
        reference: [M, D] of the training images, M from 2.
    """
    distance = memorization_distance(features, reference)
    return frechet_distance(features, reference) / (distance + 1e-14 if distance < MEMORIZED else 1)
