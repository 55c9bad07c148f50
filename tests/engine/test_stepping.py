"""When steps are recorded, and that a run takes them as written where they are not.

What a recorded step does is tested without a GPU in tests/methods/test_recordable.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from i2i.engine.fit import Outcome
from i2i.engine.stepping import Stepping, check_graph
from i2i.errors import UserError
from i2i.methods import METHODS, GANConfig, Method, Pix2PixConfig
from i2i.nn import PatchGANConfig, UNetConfig
from i2i.optim import OptimConfig, Precision

SMALL = Pix2PixConfig(generator=UNetConfig(depth=4, ngf=4), discriminator=PatchGANConfig(layers=1, ndf=4))


class OnGpu(Precision):
    """A precision that says it is on a GPU, where there is none."""

    def __init__(self, name: Any = "fp32") -> None:
        super().__init__(name)
        self.device = torch.device("cuda")


def pix2pix(optimizer: Any = "adam") -> Method:
    method: Method = METHODS["pix2pix"](SMALL, 3, 3, OptimConfig(name=optimizer))
    return method


def test_steps_are_recorded_where_it_is_safe() -> None:
    assert check_graph(None, pix2pix(), OnGpu())
    assert check_graph(True, pix2pix(), OnGpu("bf16"))
    assert not check_graph(False, pix2pix(), OnGpu())
    assert not check_graph(None, pix2pix(), Precision())
    own = METHODS["pix2pix"](SMALL, 3, 3)
    own.config = own.config.model_copy(update={"penalties": ("mine:steep",)})
    assert not check_graph(None, own, OnGpu())  # code of others may decide on the host
    assert check_graph(True, own, OnGpu())
    gan = METHODS["gan"](GANConfig(), channels=3, size=64, classes=0)
    for method, precision, reason in (
        (pix2pix(), Precision(), "the run is on cpu"),
        (pix2pix(), OnGpu("fp16"), "choose --precision bf16"),
        (pix2pix("rmsprop"), OnGpu(), "choose optim.name=adam"),
        (gan, OnGpu(), "differ from each other"),
    ):
        assert not check_graph(None, method, precision)
        with pytest.raises(UserError, match=f"train.graph=true: .*{reason}"):
            check_graph(True, method, precision)


def test_without_a_graph_a_step_is_the_methods_own() -> None:
    batch = {side: torch.rand(1, 3, 16, 16) for side in "ab"}
    torch.manual_seed(0)
    scalars = Stepping(pix2pix(), Precision(), None, print)(batch, 0)
    torch.manual_seed(0)
    wanted = pix2pix().train_step(batch, 0)
    assert {name: float(value) for name, value in scalars.items()} == {
        name: float(value) for name, value in wanted.items()
    }


def test_a_run_that_insists_ends_before_it_begins(tiny: Any) -> None:
    with pytest.raises(UserError, match="CUDA graphs need a GPU"):
        tiny("run", "train.graph=true")


PLAIN = ("train.products=false", "train.graph=false", "train.channels_last=false", "data.keep=off")


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("train.channels_last=true",),
        ("data.keep=device",),
        pytest.param(("train.compile=true",), marks=pytest.mark.slow),
    ],
    ids=lambda settings: " ".join(settings) or "auto",
)
def test_each_speed_up_gives_the_plain_runs_losses(settings: tuple[str, ...], tiny: Any) -> None:
    """Losses of four steps: weights alone would not do, for Adam's first steps take tiny gradients for large ones."""
    plain, fast = (
        _losses(tiny(name, "data.derive=null", "data.layout=side-by-side", *chosen))
        for name, chosen in (("plain", PLAIN), ("fast", settings))
    )
    assert len(plain) == 4
    for mine, wanted in zip(fast, plain, strict=True):
        assert mine == pytest.approx(wanted, rel=2e-4)


def test_bf16_stays_near_fp32(tiny: Any) -> None:
    """Its numbers have 8 bits: a few hundredths where nothing adds up, as in the first step."""
    plain, fast = (_losses(tiny(name, f"train.precision={name}")) for name in ("fp32", "bf16"))
    assert fast[0] == pytest.approx(plain[0], rel=0.03)
    assert fast != plain


def _losses(outcome: Outcome) -> list[dict[str, float]]:
    run = outcome.checkpoint.parents[1]
    rows = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    losses = [{name: row[name] for name in row if name.startswith("loss/")} for row in rows]
    return [row for row in losses if row]
