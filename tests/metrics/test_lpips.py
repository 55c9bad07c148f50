"""LPIPS against convolutions written out over the file's tensors; the weights are random, their places count."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from i2i.errors import UserError
from i2i.metrics import lpips
from i2i.metrics.lpips import Lpips

ALEX = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256)}
VGG |= {17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}
SHAPES = {"alex": ALEX, "vgg": {index: (*shape, 3) for index, shape in VGG.items()}}

State = dict[str, Tensor]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[State, State]]:
    """Return a function that writes a network's random weights, and heads, as if they were the published ones."""

    def write(network: str) -> tuple[State, State]:
        draw = torch.Generator().manual_seed(0)
        state = {"classifier.6.bias": torch.zeros(2)}
        for index, (out, into, side) in SHAPES[network].items():
            weight = torch.randn(out, into, side, side, generator=draw) * (2 / into) ** 0.5 / side
            state |= {
                f"features.{index}.weight": weight,
                f"features.{index}.bias": torch.randn(out, generator=draw) / 9,
            }
        sizes = [64, 192, 384, 256, 256] if network == "alex" else [64, 128, 256, 512, 512]
        heads = {f"lin{n}.model.1.weight": torch.rand(1, size, 1, 1, generator=draw) for n, size in enumerate(sizes)}
        file = tmp_path / lpips.WEIGHTS[network].name
        torch.save(state, file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        monkeypatch.setitem(lpips.WEIGHTS, network, replace(lpips.WEIGHTS[network], sha256=digest))
        library = tmp_path / "site" / "torchmetrics"
        (library / "functional/image/lpips_models").mkdir(parents=True)
        (library / "__init__.py").write_text("raise ImportError('takes seconds to import')")
        torch.save(heads, library / f"functional/image/lpips_models/{network}.pth")
        monkeypatch.syspath_prepend(str(library.parent))
        monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
        return state, heads

    return write


def compared_layers(network: str, state: State, x: Tensor) -> list[Tensor]:
    """The outputs that are compared, in float64."""
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    x = (x.double() - mean) / deviation

    def convolved(x: Tensor, index: int, **how: int) -> Tensor:
        weight, bias = (state[f"features.{index}.{kind}"].double() for kind in ("weight", "bias"))
        return conv2d(x, weight, bias, **how).clamp(min=0)

    if network == "alex":
        first = convolved(x, 0, stride=4, padding=2)
        second = convolved(max_pool2d(first, 3, 2), 3, padding=2)
        third = convolved(max_pool2d(second, 3, 2), 6, padding=1)
        fourth = convolved(third, 8, padding=1)
        return [first, second, third, fourth, convolved(fourth, 10, padding=1)]
    layers: list[Tensor] = []
    for block in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
        x = max_pool2d(x, 2) if layers else x
        for index in block:
            x = convolved(x, index, padding=1)
        layers.append(x)
    return layers


@pytest.mark.parametrize(("network", "size"), [("alex", (40, 47)), ("vgg", (18, 21))])
@torch.no_grad()
def test_it_is_the_weighted_distance_of_unit_features(
    network: str, size: tuple[int, int], publish: Callable[[str], tuple[State, State]], tmp_path: Path
) -> None:
    state, heads = publish(network)
    output, target = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    wanted = torch.zeros(2, dtype=torch.float64)
    layers = zip(*(compared_layers(network, state, x) for x in (output, target)), heads.values(), strict=True)
    for x, y, head in layers:
        x, y = (z / z.norm(dim=1, keepdim=True).clamp(min=1e-9) for z in (x, y))
        wanted += (head.double() * (x - y) ** 2).sum(dim=1).mean(dim=(1, 2))
    distance = Lpips(network, tmp_path)  # type: ignore[arg-type]
    torch.testing.assert_close(distance(output, target), wanted.float(), rtol=1e-4, atol=1e-6)
    assert wanted.min() > 0.1
    assert distance(target, target).tolist() == [0, 0]
    grey = target[:, :1]
    torch.testing.assert_close(distance(grey, -grey), distance(*(x.expand(-1, 3, -1, -1) for x in (grey, -grey))))


def test_what_it_refuses(
    publish: Callable[[str], tuple[State, State]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"alexnet-owt-7be5be79\.pth: is missing, and LPIPS takes it: fetch it from"):
        Lpips("alex", tmp_path)
    publish("alex")
    distance = Lpips("alex", tmp_path)
    distance(*torch.zeros(2, 1, 3, 31, 31))
    for shape, reason in ((torch.zeros(1, 3, 31, 30), "at least 31 pixels"), (torch.zeros(1, 5, 40, 40), "not 5")):
        with pytest.raises(UserError, match=reason):
            distance(shape, shape)
    monkeypatch.setattr(lpips, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"torchmetrics: pip install 'i2i\[metrics\]'"):
        Lpips("alex", tmp_path)
    with (tmp_path / "alexnet-owt-7be5be79.pth").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="damaged or another file"):
        Lpips("alex", tmp_path)
