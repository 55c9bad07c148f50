"""Labels other than 1 for real and 0 for generated images, for losses that hold logits against labels."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn.functional import logsigmoid

from i2i import world
from i2i.config import Config
from i2i.errors import UserError
from i2i.losses.gan import GANLoss
from i2i.losses.widen import at_least_fp32

Range = tuple[float, float]


class LabelsConfig(Config):
    """What the discriminator is told about its images, to keep it from being too sure of itself.

    Attributes:
        real: range that the label of each real image is drawn from, uniformly; one number is one label for all, so 0.9
            is one-sided label smoothing (Salimans et al. 2016, section 3.4), and 0.7 to 1.2 are soft labels.
        fake: the range of the generated images' labels, such as 0 to 0.3.
        flip: share of the images of either kind that get a label of the other.

    Only the discriminator's loss has these labels: the generator goes on aiming at 1.
    """

    real: Range = (1.0, 1.0)
    fake: Range = (0.0, 0.0)
    flip: Annotated[float, Field(ge=0, lt=0.5)] = 0.0

    @field_validator("real", "fake", mode="before")
    @classmethod
    def _one_number_is_a_range(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"must be a number or a range such as [0.7, 1.2], not '{value}'")
        return number, number

    @field_validator("real", "fake")
    @classmethod
    def _from_low_to_high(cls, value: Range) -> Range:
        if value[0] > value[1]:
            raise ValueError(f"a range must go up, and {list(value)} goes down")
        return value

    @property
    def plain(self) -> bool:
        """Whether real images are 1, generated ones 0, and nothing is drawn."""
        return self == LabelsConfig()

    def refuse_unlabelled(self, loss: GANLoss) -> None:
        """Refuse labels where the loss has none, or has no minimum under them.

        Raises:
            UserError: the loss does not hold logits against labels; or it is a cross-entropy, which falls without end
                where labels lie beyond 0 and 1 in the mean.
        """
        if self.plain:
            return
        if loss.name not in AGAINST:
            raise UserError(
                f"method.labels: '{loss.name}' knows no labels, it compares logits with each other or with margins; "
                f"leave them out, or choose one of: {', '.join(AGAINST)}"
            )
        for kind, (low, high) in (("real", self.real), ("fake", self.fake)):
            if AGAINST[loss.name] is _cross_entropy and not 0 <= low + high <= 2:
                raise UserError(
                    f"method.labels.{kind}: the loss '{loss.name}' falls without end where labels lie beyond 0 and 1 "
                    f"in the mean, and the middle of this range is {(low + high) / 2:g}; choose another range, or lsgan"
                )

    def d_terms(self, loss: GANLoss, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the discriminator's loss on real and on generated images, as `GANLoss.d_terms` does for 1 and 0.

        Labels are drawn from the global generator of the logits' device, one per image, whatever its patches.

        Args:
            loss: one that `refuse_unlabelled` lets pass.
            real: logits on real images, [N], or [N, ...] with several per image.
            fake: logits on generated images, likewise.
        """
        if self.plain:
            return loss.d_terms(real, fake)
        with torch.autocast(real.device.type, enabled=False):
            real, fake = at_least_fp32(real), at_least_fp32(fake)
            on_real = self._drawn(real, self.real, self.fake)
            on_fake = self._drawn(fake, self.fake, self.real)
            against = AGAINST[loss.name]
            return against(real, on_real).mean(), against(fake, on_fake).mean()

    def _drawn(self, logits: Tensor, own: Range, others: Range) -> Tensor:
        """Return a label for each image, [N, 1, ...] in the logits' type."""
        shape = (len(logits), *[1] * (logits.ndim - 1))
        uniform = partial(torch.rand, device=logits.device, dtype=logits.dtype)
        low, high = (logits.new_full(shape, bound) for bound in own)
        if self.flip:
            flipped = world.drawn(uniform, *shape) < self.flip
            low, high = torch.where(flipped, others[0], low), torch.where(flipped, others[1], high)
        return low + (high - low) * world.drawn(uniform, *shape)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return -labels * logsigmoid(logits) - (1 - labels) * logsigmoid(-logits)


def _squares(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits - labels).square()


# How far logits are from labels, by the names of the losses that are made of it.
AGAINST = {
    "minimax": _cross_entropy,
    "nonsaturating": _cross_entropy,
    "dragan": _cross_entropy,
    "lsgan": _squares,
}
