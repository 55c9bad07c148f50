from __future__ import annotations

import numpy as np
import pytest

from i2i.metrics.masks import MASK_METRICS, Mask, found


def lines(*rows: str) -> Mask:
    return np.array([[mark == "x" for mark in row] for row in rows])


def share_near(marks: Mask, others: Mask, tolerance: float) -> float:
    """Pixel by pixel, by distances."""
    there, here = np.argwhere(others), np.argwhere(marks)
    near = [any(np.hypot(*(pixel - other)) <= tolerance for other in there) for pixel in here]
    return float(np.mean(near))


def test_without_tolerance_it_is_counting_by_hand() -> None:
    output = lines("xxx.", "x...", "....")
    target = lines("xx..", "....", "..xx")  # 2 right, 2 too many, 2 missed
    shares = found(output, target)
    assert {name: metric(shares) for name, metric in MASK_METRICS.items()} == pytest.approx(
        {"precision": 2 / 4, "recall": 2 / 4, "f1": 2 * 2 / (4 + 4), "iou": 2 / 6}
    )


@pytest.mark.parametrize("seed", range(5))
def test_iou_and_f1_are_those_of_pixels(seed: int) -> None:
    output, target = np.random.default_rng(seed).random((2, 20, 30)) < [[[0.3]], [[0.6]]]
    both, either = (output & target).sum(), (output | target).sum()
    assert found(output, target).iou == pytest.approx(both / either)
    assert found(output, target).f1 == pytest.approx(2 * both / (output.sum() + target.sum()))


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 2, 3])
def test_tolerance_is_a_euclidean_distance(tolerance: float) -> None:
    output, target = np.random.default_rng(1).random((2, 24, 31)) < [[[0.05]], [[0.03]]]
    shares = found(output, target, tolerance)
    assert shares.precision == pytest.approx(share_near(output, target, tolerance))
    assert shares.recall == pytest.approx(share_near(target, output, tolerance))
    assert shares.precision != shares.recall


def test_a_crack_two_pixels_off_is_found_with_a_tolerance_of_two() -> None:
    target, output = np.zeros((2, 20, 20), bool)
    target[:, 5], output[:, 7] = True, True
    assert found(output, target) == (0, 0)
    assert found(output, target, 1.9).f1 == found(output, target, 1.9).iou == 0
    assert found(output, target, 2).iou == 1


def test_nothing_marked() -> None:
    empty, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    assert found(empty, empty, 2) == (1, 1)
    assert found(empty, some) == (0, 0)
    assert found(some, empty, 2) == (0, 0)
