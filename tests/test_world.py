"""Two processes that each see half of a batch compute what one computes of the whole.

The file runs itself in each of them: ``python test_world.py FOLDER`` writes there what came out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i import world
from i2i.data.loader import Stream
from i2i.engine.launch import launch
from i2i.losses import gan_loss, penalty
from i2i.losses.gan import GAN_LOSSES
from i2i.losses.labels import LabelsConfig
from i2i.losses.penalties import PENALTIES
from i2i.methods.pool import ImagePool
from i2i.methods.unroll import unrolled
from i2i.nn import BatchNorm, diff_augment
from i2i.nn.layers import Dropout
from i2i.nn.norms import BatchNorm1d
from i2i.optim import OptimConfig, Precision, Stepper
from i2i.world.collectives import _together

BATCH = 4


def images(*shape: int, seed: int = 0) -> Tensor:
    """This process's share of a batch."""
    return world.share(torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(seed)))


def seeded() -> None:
    torch.manual_seed(7)


def critic() -> nn.Sequential:
    """One whose outputs depend on the whole batch, with second derivatives."""
    seeded()
    return nn.Sequential(nn.Linear(3, 5), BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1)).double()


def patches() -> nn.Conv2d:
    seeded()
    return nn.Conv2d(2, 1, 3)


# What each part of a batch gives is put together again, or averaged, or is the same everywhere.


def parts() -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    seeded()
    found["drawn"] = world.drawn(torch.randn, len(images(1)), 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        seeded()
        found[f"dropout {layout}"] = Dropout(0.5)(images(3, 4, 4).contiguous(memory_format=layout))
    seeded()
    found["augmented"] = diff_augment(images(3, 8, 8), ["color", "translation", "cutout"])
    seeded()
    pool = ImagePool(3)
    found["pool"] = torch.cat([pool.query(images(1, 2, 2, seed=step)) for step in range(6)], dim=1)
    found["normalised"] = BatchNorm(3).train()(3 + 2 * images(3, 4, 4))
    found["normalised in half"] = BatchNorm(3).train()(images(3, 4, 4).bfloat16())
    places = [torch.tensor(step) for step in Stream(10, BATCH, seed=1, start=3, stop=6, batches=2)]
    found["first batches"] = torch.cat([step[: len(step) // 2] for step in places], dim=1)
    found["second batches"] = torch.cat([step[len(step) // 2 :] for step in places], dim=1)
    return found


def means() -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    real, fake = images(1, seed=1), images(1, seed=2) + 0.5
    for name in GAN_LOSSES:
        loss = gan_loss(name)
        on_real, on_fake = loss.d_terms(real, fake)
        found |= {f"{name} D real": on_real, f"{name} D fake": on_fake, f"{name} G": loss.g_loss(fake, real)}
        found[f"{name} accuracy"] = torch.stack(loss.accuracy(real, fake))
    seeded()
    config = LabelsConfig.model_validate({"real": [0.7, 1.2], "flip": 0.3})
    found["labels"] = torch.stack(config.d_terms(gan_loss("lsgan"), real, fake))
    for name in PENALTIES:
        network = patches()
        value = penalty(name)(lambda x, network=network: network(x).sigmoid(), images(2, 5, 5), images(2, 5, 5, seed=3))  # type: ignore[misc]
        value.backward()  # type: ignore[no-untyped-call]
        assert network.weight.grad is not None
        found |= {f"penalty {name}": value.detach(), f"penalty {name} gradient": network.weight.grad}
    found["second order"] = second_order()
    found["unrolled"] = foreseen()
    return found


def second_order() -> Tensor:
    """The gradient of a loss that has a gradient in it, through batch norm and a relativistic loss."""
    network = critic()
    real = images(3, seed=1).double().requires_grad_()
    fake = images(3, seed=2).double()
    loss = gan_loss("rasgan").d_loss(network(real), network(fake))
    (slope,) = torch.autograd.grad(loss, real, create_graph=True)
    # a process's slope is that of all losses, of which the whole batch's is the mean
    whole = loss + (slope / world.size()).square().sum(1).mean() * BATCH**2
    torch.autograd.backward(whole)
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def foreseen() -> Tensor:
    """The gradient with respect to what the discriminator's steps ahead depend on."""
    network = critic()
    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    fake = images(3, seed=2).double() + shift * images(3, seed=4).double()

    def loss(weights: Mapping[str, Tensor]) -> Tensor:
        from torch.func import functional_call

        real = images(3, seed=1).double()
        answers = [functional_call(network, {**weights, **dict(network.named_buffers())}, (x,)) for x in (real, fake)]
        return gan_loss("nonsaturating").d_loss(*answers)

    ahead = unrolled(network, loss, 2, torch.optim.SGD(network.parameters(), lr=0.5))
    torch.autograd.backward(loss(ahead))
    assert shift.grad is not None
    return shift.grad


def sames() -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    norm = BatchNorm(3).train()
    for step in range(2):
        norm(3 + 2 * images(3, 4, 4, seed=step))
    found |= {f"buffer {name}": buffer.double() for name, buffer in norm.named_buffers()}
    for name, config in {
        "clipped": OptimConfig(lr=0.1, clip_norm=0.01),
        "sgd": OptimConfig(name="sgd", lr=0.1, momentum=0.9),
        "rmsprop": OptimConfig(name="rmsprop", lr=0.1),
    }.items():
        seeded()
        network = nn.Linear(3, 1)
        stepper = Stepper({"D": network}, config)
        for step in range(2):
            stepper.minimize(network(images(3, seed=step)).square().mean())
        found |= {f"{name} weights": network.weight.detach(), f"{name} norm": stepper.grad_norm}
    return found


def mishaps() -> dict[str, Tensor]:
    """What one process sees alone."""
    found: dict[str, Tensor] = {}
    last = world.rank() == world.size() - 1
    for precision in (Precision("fp32"), Precision("fp16")):
        seeded()
        network = nn.Linear(3, 1)
        stepper = Stepper({"D": network}, OptimConfig(lr=0.1), precision)
        loss = network(images(3)).mean()
        stepper.minimize(loss * torch.tensor(torch.inf if last else 1.0))
        found |= {f"{precision.name} untouched": network.weight.detach()}
        found[f"{precision.name} skipped"] = stepper.skipped
    seeded()
    pair = [nn.Linear(3, 1), nn.Linear(3, 1)]
    stepper = Stepper({"D": nn.ModuleList(pair)}, OptimConfig(name="sgd", lr=1.0))
    stepper.minimize(pair[1 if last else 0](images(3)).mean())
    found["other paths"] = torch.cat([linear.weight.detach() for linear in pair])
    return found


def talk() -> dict[str, object]:
    here = world.rank()
    with world.alone():
        by_itself = (world.size(), world.rank(), world.everyones(here))
    return {
        "agreed": world.agreed(here, 5 - here),
        "everyones": world.everyones(f"process {here}"),
        "first ones": world.first_ones({"rank": here}),
        "for first": world.for_first(here),
        "alone": by_itself,
        "speaks": world.speaks(),
    }


KINDS: dict[str, Callable[[], dict[str, Tensor]]] = {"parts": parts, "means": means, "sames": sames}


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    assert launch(2, [sys.executable, __file__, str(tmp_path)]) == 0
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2))
    for kind, together in (
        ("parts", torch.cat),
        ("means", lambda pair: sum(pair) / 2),
        ("sames", lambda pair: pair[0]),
    ):
        for name, expected in KINDS[kind]().items():
            found = [each[kind][name] for each in (one, other)]
            assert kind != "sames" or torch.equal(*found), name
            torch.testing.assert_close(together(found), expected, msg=lambda text, name=name: f"{name}: {text}")  # type: ignore[misc]
    assert_all_heed_what_one_sees(one["mishaps"], other["mishaps"])
    assert_they_agree(one["talk"], other["talk"])


def assert_all_heed_what_one_sees(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert all(torch.equal(one[name], other[name]) for name in one)
    seeded()
    begun = nn.Linear(3, 1).weight
    for precision in ("fp32", "fp16"):
        torch.testing.assert_close(one[f"{precision} untouched"], begun.detach())
        assert one[f"{precision} skipped"] == 1
    seeded()
    begun_pair = torch.cat([nn.Linear(3, 1).weight.detach(), nn.Linear(3, 1).weight.detach()])
    whole = torch.randn(BATCH, 3, generator=torch.Generator().manual_seed(0))
    slopes = torch.stack([whole[:2].mean(0), whole[2:].mean(0)]) / 2  # half the processes went each way
    torch.testing.assert_close(one["other paths"], begun_pair - slopes)


def assert_they_agree(one: dict[str, Any], other: dict[str, Any]) -> None:
    for talk in (one, other):
        assert talk["agreed"] == (1, 5)
        assert talk["everyones"] == ["process 0", "process 1"]
        assert talk["first ones"] == {"rank": 0}
    assert (one["for first"], other["for first"]) == ([0, 1], [])
    assert (one["alone"], other["alone"]) == ((1, 0, [0]), (1, 0, [1]))
    assert sorted([one["speaks"], other["speaks"]]) == [False, True]


def test_one_process_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "i2i.world.collectives", None)  # whose import would fail
    tensor = torch.ones(2, 3)
    assert world.gathered(tensor) is world.mean(tensor) is world.share(tensor) is tensor
    world.average_([tensor])
    assert world.agreed(3, 4) == (3, 4)
    with world.joined():
        assert world.planned() == world.Place()


def test_only_what_broke_the_connection_is_a_lost_process() -> None:
    with pytest.raises(torch.OutOfMemoryError), _together():
        raise torch.OutOfMemoryError("tried to allocate")
    with pytest.raises(world.ProcessLost, match=r"process 0 of 1 .*: invalid usage: two on a GPU"), _together():
        raise RuntimeError("invalid usage:\n  two on a GPU")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with world.joined():
        results = {**{kind: compute() for kind, compute in KINDS.items()}, "mishaps": mishaps(), "talk": talk()}
        torch.save(results, Path(sys.argv[1]) / f"{world.rank()}.pt")
