"""The discriminator some steps ahead, for a generator that foresees its answer (Metz et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from i2i import world

Weights = Mapping[str, Tensor]


def unrolled(
    network: nn.Module, loss_of: Callable[[Weights], Tensor], steps: int, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Return the network's parameters after some steps down a loss, with the graph through these steps.

    The steps are Adam's, from where its moments stand, or plain gradient descent's, with the optimizer's learning rate
    (Metz et al. 2017, section 2.2, eqs. 7-9). The network itself and the optimizer stay as they are.

    Args:
        network: whose parameters are taken ahead.
        loss_of: parameters by name to the loss, a scalar.
        steps: how many.
        optimizer: of the network.
    """
    parameters = dict(network.named_parameters())
    weights: dict[str, Tensor] = dict(parameters)
    group = optimizer.param_groups[0]
    moments = {name: _Moments(optimizer.state.get(parameter, {}), parameter) for name, parameter in parameters.items()}
    for _ in range(steps):
        gradients = torch.autograd.grad(loss_of(weights), list(weights.values()), create_graph=True)
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            step = gradient = world.mean(gradient)
            if isinstance(optimizer, torch.optim.Adam):
                beta1, beta2 = group["betas"]
                step = moments[name].adam(gradient, beta1, beta2, group["eps"])
            weights = {**weights, name: weight - float(group["lr"]) * step}
    return weights


class _Moments:
    """Adam's running means of one parameter's gradient, as differentiable values."""

    def __init__(self, state: Mapping[str, Tensor], parameter: Tensor) -> None:
        self.first = state.get("exp_avg", torch.zeros_like(parameter))
        self.second = state.get("exp_avg_sq", torch.zeros_like(parameter))
        self.steps = float(state.get("step", 0.0))

    def adam(self, gradient: Tensor, beta1: float, beta2: float, eps: float) -> Tensor:
        """Return the direction of Adam's next step (Kingma & Ba 2015, algorithm 1)."""
        self.steps += 1
        self.first = beta1 * self.first + (1 - beta1) * gradient
        self.second = beta2 * self.second + (1 - beta2) * gradient.square()
        mean = self.first / (1 - beta1**self.steps)
        # the root's slope is infinite at 0, where a parameter never had a gradient
        root = (self.second / (1 - beta2**self.steps)).clamp(min=1e-30).sqrt()
        direction: Tensor = mean / (root + eps)
        return direction
