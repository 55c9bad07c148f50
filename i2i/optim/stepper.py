"""One gradient step, and everything that precision and safety add to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from i2i import world
from i2i.config import Config
from i2i.optim.precision import Precision
from i2i.optim.schedule import Linear, ScheduleConfig

Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimConfig(Config):
    """Optimizer and learning rate; the defaults are those of the pix2pix and CycleGAN papers.

    Attributes:
        name: ``adam`` (Kingma & Ba 2015), ``rmsprop`` or ``sgd``.
        lr: learning rate of the generators, and of the discriminators unless `lr_d` is given.
        lr_d: learning rate of the discriminators (two time-scales, Heusel et al. 2017); None: as `lr`.
        betas: Adam's decay rates.
        momentum: of SGD and RMSprop.
        weight_decay: L2 penalty on the weights.
        clip_norm: largest norm of a network's whole gradient; None: not clipped.
        schedule: how the learning rate falls.
    """

    name: Literal["adam", "rmsprop", "sgd"] = "adam"
    lr: PositiveFloat = 2e-4
    lr_d: PositiveFloat | None = None
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    momentum: Beta = 0.0
    weight_decay: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = None
    schedule: ScheduleConfig = Linear()


MOST_OVERFLOWS = 50  # in a row: fp16's scaler finds its scale within a few


class Stepper:
    """Minimises losses over the parameters of one or more networks.

    It alone knows the precision and averages gradients over processes: it scales losses, clips, and leaves the weights
    untouched by a step whose loss or gradient is not finite, without waiting for the device to find out; `skipped`
    counts such steps there.

    Args:
        networks: by name; the names make those of the optimizer's state in checkpoints.
        config: optimizer settings.
        precision: arithmetic of the forwards, for the scaler.
        lr: learning rate; None takes `config.lr`.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        config: OptimConfig,
        precision: Precision | None = None,
        lr: float | None = None,
    ) -> None:
        self.config = config
        self.precision = precision or Precision()
        self.parameters = {
            f"{name}.{key}": parameter
            for name, network in networks.items()
            for key, parameter in network.named_parameters()
        }
        self.base_lr = self.lr = lr or config.lr
        self.optimizer = self._optimizer()
        if self.precision.device.type == "cuda" and not self.waits:
            # The rate lies on the GPU, where a recorded step finds it anew each time that it is played.
            for group in self.optimizer.param_groups:
                group["lr"] = torch.tensor(self.lr, device=self.precision.device)
        self.scaler = self.precision.scaler()
        self.skipped = torch.zeros((), device=self.precision.device)
        self.grad_norm = torch.zeros((), device=self.precision.device)
        self._overflows = torch.zeros((), device=self.precision.device)

    def _optimizer(self) -> torch.optim.Optimizer:
        parameters, config, device = list(self.parameters.values()), self.config, self.precision.device
        fused = device.type in ("cuda", "cpu")  # MPS's kernels do not read the flag of `_step_if`
        options: dict[str, Any] = {"lr": self.base_lr, "weight_decay": config.weight_decay}
        match config.name:
            case "adam":
                return torch.optim.Adam(parameters, betas=config.betas, fused=fused, **options)
            case "sgd":
                return torch.optim.SGD(parameters, momentum=config.momentum, fused=fused, **options)
            case "rmsprop":
                return torch.optim.RMSprop(parameters, momentum=config.momentum, **options)

    @property
    def waits(self) -> bool:
        """Whether the host must wait for the device in each step, to know whether its gradient is finite."""
        return not self.optimizer.param_groups[0].get("fused")

    def expect_recording(self, expected: bool) -> None:
        """Tell the optimizer that a CUDA graph is about to be recorded, which it would refuse; fused ones can be."""
        for group in self.optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = expected

    def set_lr_factor(self, factor: float) -> None:
        """Set the learning rate to `factor` times the configured one."""
        if self.lr == self.base_lr * factor:
            return
        self.lr = self.base_lr * factor
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.lr)
            else:
                group["lr"] = self.lr

    def minimize(self, loss: Tensor) -> None:
        """Take one step down `loss`, a scalar; none if it or its gradient is not finite."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.precision.device.type, enabled=False):
            if self.scaler is None:
                torch.autograd.backward(loss)
            else:
                # the scaler looks at gradients alone, so those of a loss that is not finite are made so, too
                spoilt = torch.where(torch.isfinite(loss.detach()), 1.0, torch.nan)
                torch.autograd.backward(self.scaler.scale(loss * spoilt))
            finite = torch.isfinite(self._averaged(loss.detach()))
            if self.scaler is not None:
                self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        self.grad_norm = nn.utils.get_total_norm(gradients)
        if self.config.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters.values(), self.config.clip_norm, self.grad_norm)
        if self.config.name == "sgd" and self.config.momentum:
            self._begin_momentum()
        norm_is_finite = torch.isfinite(self.grad_norm)
        if self.scaler is None:
            finite = finite & norm_is_finite
            self._step_if(finite)
        else:  # fp16 gradients overflow now and then: the scaler skips those steps and adapts
            self._overflows = torch.where(norm_is_finite, 0.0, self._overflows + 1)
            finite = finite & (self._overflows < MOST_OVERFLOWS)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.skipped += (~finite).to(self.skipped)
        torch.clear_autocast_cache()  # it holds copies of the weights as they were before this step

    def _averaged(self, loss: Tensor) -> Tensor:
        """Average the gradients over all processes and return their mean loss: all of them take the same step."""
        if world.size() == 1:
            return loss
        for parameter in self.parameters.values():
            if parameter.grad is None:  # another process may have one
                parameter.grad = torch.zeros_like(parameter)
        mean = loss.float().reshape(1).clone()
        world.average_([mean, *(p.grad for p in self.parameters.values() if p.grad is not None)])
        return mean[0]

    def _begin_momentum(self) -> None:
        """Start SGD's momentum at zero: a first step that is masked would leave the fused kernels' undefined."""
        for parameter in self.parameters.values():
            if parameter.grad is not None and "momentum_buffer" not in self.optimizer.state[parameter]:
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def _step_if(self, finite: Tensor) -> None:
        if not self.waits:
            # The fused kernels read this flag on the device, as they do for a GradScaler.
            self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
            self.optimizer.step()
        elif finite:  # the other optimizers have no such flag: here the host waits for the device
            self.optimizer.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the moments by parameter name, and the scaler's numbers."""
        tensors = {
            f"{name}:{key}": value
            for name, parameter in self.parameters.items()
            for key, value in self.optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }
        return tensors, self.scaler.state_dict() if self.scaler else {}

    def load_state(self, tensors: Mapping[str, Tensor], scaler: Mapping[str, float]) -> None:
        """Take up the state of a checkpoint.

        Raises:
            KeyError: the state names a parameter that is not here.
        """
        self.optimizer.state.clear()
        for key, value in tensors.items():
            name, _, moment = key.rpartition(":")
            parameter = self.parameters[name]
            state = self.optimizer.state[parameter]
            state[moment] = value.to(parameter.device).clone(memory_format=torch.preserve_format)
            if value.shape == parameter.shape and value.dim() == 4:
                # fused kernels want moments laid out in memory as their parameters are
                state[moment] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        if self.scaler and scaler:
            self.scaler.load_state_dict(dict(scaler))
