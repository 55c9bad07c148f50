"""How the game between generator and discriminator stands, in one line, with what to try."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

STRONG, WEAK = 0.99, 0.55  # accuracy of D over an interval
WARM_UP = 200  # steps
ALIKE = 0.15  # outputs that differ this much less than their targets do have collapsed


def diversity(outputs: Tensor, targets: Tensor) -> float:
    """Return how much outputs ``[N, C, H, W]`` differ among each other, as a share of how much the targets do.

    The mean absolute distance to the mean image, 1 where outputs vary as targets do, 0 where all are the same image.
    """
    if len(outputs) < 2:
        return 1.0

    def spread(images: Tensor) -> Tensor:
        images = images.float()
        return (images - images.mean(dim=0)).abs().mean()

    return float(spread(outputs) / spread(targets).clamp(min=torch.finfo(torch.float32).tiny))


def verdict(scalars: Mapping[str, float], step: int) -> str | None:
    """Return the health line from an interval's mean scalars; None where they do not tell.

    Args:
        step: steps taken; the first few say nothing yet.
        scalars: of these it reads ``d/accuracy_real`` and ``d/accuracy_fake`` (0 to 1) and, after a validation,
            ``health/diversity``.
    """
    if step < WARM_UP:
        return f"warming up: nothing can be said before step {WARM_UP}"
    if scalars.get("health/diversity", 1.0) < ALIKE:
        return (
            "collapse: different inputs give nearly the same output; "
            "try a larger method.lambda_l1, a smaller optim.lr, or look whether the inputs differ at all"
        )
    if not {"d/accuracy_real", "d/accuracy_fake"} <= scalars.keys():
        return None
    accuracy = (scalars["d/accuracy_real"] + scalars["d/accuracy_fake"]) / 2
    if accuracy > STRONG:
        return (
            f"D too strong: it tells {accuracy:.0%} of real and fake apart, so G learns little from it; "
            "try a smaller optim.lr_d, or a smaller method.discriminator.ndf"
        )
    if accuracy < WEAK:
        return (
            f"D too weak: it is right on {accuracy:.0%} only, hardly more than guessing; "
            "fine if the pictures are, else try a larger optim.lr_d or method.discriminator.ndf"
        )
    return f"balanced: D is right on {accuracy:.0%}"
