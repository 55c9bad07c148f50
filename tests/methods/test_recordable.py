"""What CUDA graphs ask of a step: played from a record it does what it would have done as written.

No GPU is needed to see that: a tape notes every operation with the tensors it was given, and plays them again on the
same tensors. What the host decided when the tape was made, it decides no more, as with a graph.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from i2i.methods import METHODS, CycleGANConfig, Method, Pix2PixConfig
from i2i.nn import PatchGANConfig, ResNetConfig, UNetConfig
from i2i.optim import OptimConfig, Precision, Stepper

D = PatchGANConfig(layers=1, ndf=4)
G = UNetConfig(depth=4, ngf=4)
R = ResNetConfig(blocks=1, ngf=4)
CONFIGS: dict[str, Pix2PixConfig | CycleGANConfig] = {
    "pix2pix": Pix2PixConfig(generator=G, discriminator=D),
    "pix2pix without D": Pix2PixConfig(generator=G, lambda_gan=0),
    "pix2pix, all terms": Pix2PixConfig(
        generator=G, discriminator=D, gan_loss="rahinge", lambda_ssim=1, lambda_tv=1, lambda_features=1
    ),
    "wgan-gp": Pix2PixConfig(generator=G, discriminator=D, gan_loss="wgan-gp"),
    "cyclegan": CycleGANConfig(generator=R, discriminator=D, pool_size=7),
    "cyclegan, clipped": CycleGANConfig(generator=R, discriminator=D, gan_loss="wgan", cycle_ssim=0.5),
}
WAITS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::masked_select", "aten::equal"}


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations while it is entered, and plays them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.notes: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.notes.append((func, args, kwargs or {}, made))
        return made

    def play(self) -> None:
        for func, args, kwargs, made in self.notes:
            with torch._C._AutoDispatchBelowAutograd():
                again = func(*args, **kwargs)
            for before, now in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(before, Tensor) and before.data_ptr() != now.data_ptr():  # neither a view nor in place
                    with torch.no_grad():
                        before.copy_(now)


def build(name: str) -> Method:
    torch.manual_seed(0)
    config = CONFIGS[name]
    method: Method = METHODS[config.name](config, 3, 3, OptimConfig(clip_norm=1.0))
    for stepper in method.steppers.values():  # as on a GPU
        for group in stepper.optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
    return method


def images(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {side: torch.rand(2, 3, 16, 16, generator=generator) * 2 - 1 for side in "ab"}


def begin(method: Method, step: int) -> None:
    torch.manual_seed(step)
    for stepper in method.steppers.values():
        stepper.set_lr_factor(1 / (1 + step))


def weights(method: Method) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value
        for name, network in method.networks.items()
        for key, value in network.state_dict().items()
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_played_steps_equal_those_taken_as_written(name: str) -> None:
    written, recorded = build(name), build(name)
    assert recorded.recordable
    batch = copy.deepcopy(images(0))
    for step in range(2):  # the optimizers' moments and the pools come into being
        for method in (written, recorded):
            begin(method, step)
            method.train_step(images(step), step)
    tape = Tape()
    twin = copy.deepcopy(recorded)  # taping takes the step, which recording a graph does not
    begin(twin, 2)
    with tape:
        scalars = twin.train_step(batch, 2)
    assert not {note[0]._schema.name for note in tape.notes} & WAITS
    _take_back(twin, recorded)
    for step in range(2, 6):
        begin(written, step)
        wanted = written.train_step(images(step), step)
        begin(twin, step)
        for side, values in images(step).items():
            batch[side].copy_(values)
        tape.play()
        for key, value in wanted.items():
            torch.testing.assert_close(scalars[key], value)
    for key, value in weights(written).items():
        torch.testing.assert_close(weights(twin)[key], value)
    assert all(torch.equal(a.grad_norm, b.grad_norm) for a, b in _pairs(written, twin))


def _pairs(a: Method, b: Method) -> list[tuple[Any, Any]]:
    return [(a.steppers[name], b.steppers[name]) for name in a.steppers]


@torch.no_grad()
def _take_back(taped: Method, before: Method) -> None:
    """Give a method the values of another, in the places in memory that its tape knows."""
    for key, value in weights(before).items():
        weights(taped)[key].copy_(value)
    for mine, other in _pairs(taped, before):
        for key, value in other.state()[0].items():
            mine.state()[0][key].copy_(value)
        mine.skipped.copy_(other.skipped)
    for name in ("pool_a", "pool_b"):
        if hasattr(before, name):
            getattr(taped, name).images.copy_(getattr(before, name).images)
            getattr(taped, name).count.copy_(getattr(before, name).count)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the operations that make something on the CPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.device.type == "cpu" for leaf in tree_leaves(made)):
            self.seen.add(func._schema.name)
        return made


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_makes_everything_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device meta, where nothing can be asked for its value either; the optimizers need a real one."""
    monkeypatch.setattr(Stepper, "minimize", lambda stepper, loss: torch.autograd.backward(loss))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no such device
    config = CONFIGS[name]
    method: Method = METHODS[config.name](config, 3, 3, precision=Precision("fp32", "meta"))
    batch = {side: torch.zeros(2, 3, 16, 16, device="meta") for side in "ab"}
    method.train_step(batch, 0)
    with Watch() as watch:
        method.train_step(batch, 1)
    assert not watch.seen
