"""Gradient penalties: how steep the critic may be where it is looked at.

Notation: C is the critic, r and f are real and generated images, grad the gradient with respect to the image alone, |.|
the norm over all pixels and channels of one sample, E the mean over the batch, computed in fp32 at least. A penalty is
the bare expectation; its weight (the papers' lambda, or gamma / 2) belongs to whoever adds it to a loss.

Each entry of `PENALTIES` says in its fields, in ``help(penalty("r1"))`` and in `i2i list penalties` what its term is,
and which equation of which paper.

Critics that judge patches have many outputs a sample, and the papers' C is one number. Their mean gets flatter and
their sum steeper with every doubling of the image, so that a weight would mean something else at each size. C is
therefore a random combination of the n outputs, ``sum(v C) / sqrt(n)`` with each v plus or minus 1, drawn anew for each
sample and call: its expected squared gradient is the mean of those of the single outputs, whatever their number. The
gradient of a critic with one output a sample is taken as it is.

Norms that couple the samples of a batch (batch norm in training) leave no gradient that belongs to one sample alone:
critics with penalties should have none of them.

Where several processes train together (`i2i.world`), the mean of their penalties is that of the whole batch: all random
numbers are drawn for it, and std(r) is its deviation.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from i2i import world
from i2i.losses.catalogue import look_up
from i2i.losses.widen import at_least_fp32

Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Penalty:
    """A term that a discriminator minimises beside its adversarial loss.

    Attributes:
        name: its name in the catalogue.
        formula: the term, in this module's notation.
        source: the paper and its equation.
        weight: the factor that the paper gives it.
        term: (critic, real, fake) to the scalar; the images come detached, in fp32 at least. `gradients_at` helps.
    """

    name: str
    formula: str
    source: str
    weight: float
    term: Callable[[Critic, Tensor, Tensor], Tensor]

    def __post_init__(self) -> None:
        # an instance's own docstring, for help() would show that of the class
        text = f"The penalty '{self.name}'.\n\nTerm: {self.formula}\nSource: {self.source}\nWeight: {self.weight:g}\n"
        object.__setattr__(self, "__doc__", text)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Return the penalty, a scalar through which gradients flow to the critic's parameters and to nothing else.

        Random numbers come from the global generator of the images' device. Autocast is off within; a compiled critic
        runs its eager forward, because torch has no second derivatives of compiled ones.

        Args:
            critic: maps images to outputs [N], [N, 1] or, one per patch, [N, 1, h, w]; of a conditional discriminator,
                ``lambda images: D(images, condition)``.
            real: real images or other data, [N, ...].
            fake: generated ones of the same shape, save for their number where a penalty does not pair them.

        Raises:
            ValueError: gradients are switched off, the inputs have no samples to tell apart, the penalty pairs real and
                fake images and their shapes differ, or the critic does not give each sample outputs that depend on it.
            TypeError: the critic does not return a tensor.
        """
        if not torch.is_grad_enabled():
            raise ValueError(f"the penalty '{self.name}' is a gradient: call it outside of no_grad and inference_mode")
        with torch.autocast(real.device.type, enabled=False), _eagerly():
            return self.term(critic, _images(real), _images(fake))


def gradients_at(critic: Critic, points: Tensor) -> Tensor:
    """Return the critic's gradient at each point, [N, values of a point], differentiable in the critic's parameters.

    Several outputs a sample are combined at random, as the module's docstring tells.

    Args:
        critic: maps images to outputs, as in `Penalty.__call__`.
        points: where, [N, ...]; no gradients flow to them.

    Raises:
        ValueError: the critic does not give each sample outputs that depend on it.
        TypeError: the critic does not return a tensor.
    """
    points = points.detach().requires_grad_()
    outputs = critic(points)
    if not isinstance(outputs, Tensor):
        raise TypeError(f"a critic must return one tensor, not a {type(outputs).__name__}")
    if outputs.ndim == 0 or len(outputs) != len(points):
        raise ValueError(f"the critic made {list(outputs.shape)} of {len(points)} samples; [N, ...] is needed")
    outputs = at_least_fp32(outputs).reshape(len(points), -1)
    if outputs.shape[1] > 1:
        coins = partial(torch.randint, 2, device=outputs.device, dtype=outputs.dtype)
        signs = 2 * world.drawn(coins, *outputs.shape) - 1
        outputs = (signs * outputs).sum(1) / math.sqrt(outputs.shape[1])
    gradients = None
    if outputs.requires_grad:
        (gradients,) = torch.autograd.grad(outputs.sum(), points, create_graph=True, allow_unused=True)
    if gradients is None:
        raise ValueError("the critic's output does not depend on its images; does it detach them?")
    return gradients.flatten(1)


def _distance_to_one(critic: Critic, points: Tensor) -> Tensor:
    """Return E (|grad C| - 1)^2; the norm's derivative is 0, not infinite, where the gradient vanishes."""
    norms: Tensor = torch.linalg.vector_norm(gradients_at(critic, points), dim=1)
    return (norms - 1).square().mean()


def _steepness(critic: Critic, points: Tensor) -> Tensor:
    """Return E |grad C|^2."""
    return gradients_at(critic, points).square().sum(1).mean()


def _between(real: Tensor, fake: Tensor) -> Tensor:
    """Return a random point on the line between each real and fake sample."""
    if real.shape != fake.shape:
        raise ValueError(
            "the penalty 'wgan-gp' looks between real and fake images, so they must have the same shape, not "
            f"{list(real.shape)} and {list(fake.shape)}"
        )
    uniform = partial(torch.rand, device=real.device, dtype=real.dtype)
    epsilon = world.drawn(uniform, len(real), *[1] * (real.ndim - 1))
    return epsilon * real + (1 - epsilon) * fake


def _around(real: Tensor, scale: float = 0.5) -> Tensor:
    """Return the real samples with normal noise of `scale` times the deviation of all values of the whole batch."""
    _, variance = world.moments(real, range(real.ndim))
    noise = world.drawn(partial(torch.randn, device=real.device, dtype=real.dtype), *real.shape)
    return real + scale * variance.sqrt() * noise


def _images(images: Tensor) -> Tensor:
    if images.ndim < 2:
        raise ValueError(f"penalties are of samples [N, ...], not of a tensor of shape {list(images.shape)}")
    return at_least_fp32(images.detach())


def _eagerly() -> AbstractContextManager[None]:
    """Return the context in which compiled modules run their eager forward."""
    if "torch._dynamo" not in sys.modules:  # then nothing is compiled, and importing it takes a second
        return nullcontext()
    stance: AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return stance


PENALTIES: dict[str, Penalty] = {
    penalty.name: penalty
    for penalty in (
        Penalty(
            "wgan-gp",
            "E (|grad C(x)| - 1)^2 at x = e r + (1 - e) f, e uniform in [0, 1), one per sample",
            "Gulrajani et al. 2017, eq. 3",
            10.0,
            lambda critic, real, fake: _distance_to_one(critic, _between(real, fake)),
        ),
        Penalty(
            "dragan",
            "E (|grad C(x)| - 1)^2 at x = r + 0.5 std(r) n, n normal, std over all values of the batch",
            "after Kodali et al. 2017, section 2.5 (there the noise is N(0, c I); its code scales it by std(r))",
            10.0,
            lambda critic, real, fake: _distance_to_one(critic, _around(real)),
        ),
        Penalty(
            "r1",
            "E |grad C(r)|^2",
            "Mescheder et al. 2018, eq. 9 (weight gamma / 2, gamma = 10)",
            5.0,
            lambda critic, real, fake: _steepness(critic, real),
        ),
        Penalty(
            "r2",
            "E |grad C(f)|^2",
            "Mescheder et al. 2018, eq. 10 (weight gamma / 2, gamma = 10)",
            5.0,
            lambda critic, real, fake: _steepness(critic, fake),
        ),
    )
}

PENALTY_ALIASES = {"gp": "wgan-gp"}


def penalty(name: str) -> Penalty:
    """Return the penalty of that name, alias or ``module:attribute``.

    Raises:
        UserError: there is no such penalty.
    """
    return look_up(name, PENALTIES, PENALTY_ALIASES, "penalty", Penalty)
