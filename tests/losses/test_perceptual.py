"""The perceptual loss against convolutions written out over the file's tensors, and the files it refuses.

The weights are random; what counts is that the file's tensors stand where VGG has them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from i2i.config import Config, Layer, parse_setting, resolve
from i2i.errors import UserError
from i2i.losses.perceptual import FILES, Perceptual, PerceptualConfig

# The first convolutions of both networks by their place in torchvision's `features`; from 16 on they differ.
SHAPES = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256)}
SHALLOW = PerceptualConfig(layers=("relu1_2", "relu2_2"))

State = dict[str, Tensor]


def random_state(last: int = 7, deeper: dict[int, tuple[int, int]] | None = None) -> State:
    """Small random weights of the convolutions up to `features.<last>`, and a classifier's, which nobody needs."""
    generator = torch.Generator().manual_seed(0)
    state = {"classifier.0.weight": torch.zeros(2, 2)}
    for index, (out, into) in {**SHAPES, **(deeper or {})}.items():
        if index <= last:
            state[f"features.{index}.weight"] = torch.randn(out, into, 3, 3, generator=generator) / (4 * into) ** 0.5
            state[f"features.{index}.bias"] = torch.randn(out, generator=generator) / 10
    return state


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Return a function that saves something as a file of weights and returns its path."""

    def save(held: Any, name: str = "w.pth") -> str:
        torch.save(held, tmp_path / name)
        return str(tmp_path / name)

    return save


def pair(channels: int = 3, size: tuple[int, int] = (12, 9), seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, 2, channels, *size, generator=generator, dtype=torch.float64) * 2 - 1
    return first, second


def convolved(state: State, index: int, x: Tensor) -> Tensor:
    weight, bias = (state[f"features.{index}.{kind}"].double() for kind in ("weight", "bias"))
    return conv2d(x, weight, bias, padding=1).clamp(min=0)


def written_out(state: State, images: Tensor) -> dict[str, Tensor]:
    """The features of the first three blocks in float64."""
    x = images.expand(-1, 3, -1, -1).double()
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
    features = {}
    features["relu1_1"] = x = convolved(state, 0, ((x + 1) / 2 - mean) / std)
    features["relu1_2"] = x = convolved(state, 2, x)
    features["relu2_1"] = x = convolved(state, 5, max_pool2d(x, 2))
    features["relu2_2"] = x = convolved(state, 7, x)
    if "features.16.weight" in state:
        features["relu3_1"] = x = convolved(state, 10, max_pool2d(x, 2))
        features["relu3_2"] = x = convolved(state, 12, x)
        features["relu3_3"] = x = convolved(state, 14, x)
        features["relu3_4"] = x = convolved(state, 16, x)
    return features


def distance(state: State, output: Tensor, target: Tensor, weights: dict[str, float]) -> float:
    ours, theirs = written_out(state, output), written_out(state, target)
    return sum(weight * float(((ours[name] - theirs[name]) ** 2).mean()) for name, weight in weights.items())


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_features_mean_squared_difference(write: Callable[..., str], channels: int) -> None:
    state = random_state()
    config = PerceptualConfig(layers=("relu2_2", "relu1_2"), layer_weights=(0.5, 2.0), weights=write(state))
    output, target = pair(channels)
    wanted = distance(state, output, target, {"relu2_2": 0.5, "relu1_2": 2.0})
    loss = Perceptual(config)(output.float(), target.float())
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    exact = Perceptual(config).double()(output, target)
    assert exact.item() == pytest.approx(wanted, rel=1e-6)  # mean and std are rounded to fp32
    assert exact.dtype == torch.float64
    equal_weights = config.model_copy(update={"layer_weights": None})
    wanted = distance(state, output, target, {"relu2_2": 1.0, "relu1_2": 1.0})
    assert Perceptual(equal_weights)(output, target).item() == pytest.approx(wanted, rel=1e-5)
    assert Perceptual(config)(output, output).item() == 0


def test_vgg19_has_a_fourth_layer_in_its_third_block(write: Callable[..., str]) -> None:
    state = random_state(last=16, deeper={16: (256, 256)})
    config = PerceptualConfig(network="vgg19", layers=("relu3_4", "relu2_1"), weights=write(state))
    output, target = pair(size=(8, 5))
    wanted = distance(state, output, target, {"relu3_4": 1.0, "relu2_1": 1.0})
    assert Perceptual(config)(output, target).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("network", "indices"), [("vgg16", [1, 3, 6, 8, 15, 22, 29]), ("vgg19", [1, 3, 6, 8, 15, 24, 33])]
)
def test_layers_stand_behind_their_relus(network: str, indices: list[int]) -> None:
    from torchvision.models import vgg16, vgg19  # type: ignore[import-untyped]

    layers = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    config = PerceptualConfig.model_validate({"network": network, "layers": layers})
    assert list(config.indices) == indices
    with torch.device("meta"):
        features = {"vgg16": vgg16, "vgg19": vgg19}[network]().features
    assert all(isinstance(features[index], nn.ReLU) for index in indices)
    poolings = [sum(isinstance(layer, nn.MaxPool2d) for layer in features[:index]) for index in indices]
    assert poolings == [0, 0, 1, 1, 2, 3, 4]


def test_only_the_output_gets_gradients(write: Callable[..., str]) -> None:
    perceptual = Perceptual(SHALLOW.model_copy(update={"weights": write(random_state())}))
    perceptual.train()
    assert not any(module.training for module in perceptual.modules())
    assert not any(parameter.requires_grad for parameter in perceptual.parameters())
    assert perceptual.features[0].weight.dtype == torch.float32
    output, target = (image.float().requires_grad_() for image in pair())
    torch.autograd.backward(perceptual(output, target))
    assert output.grad is not None
    assert output.grad.abs().sum() > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in perceptual.parameters())


def test_gradients(write: Callable[..., str]) -> None:
    config = PerceptualConfig(layers=("relu2_1",), weights=write(random_state()))
    output, target = pair(channels=1, size=(3, 2))
    assert torch.autograd.gradcheck(Perceptual(config).double(), (output.requires_grad_(), target))


def test_autocast_reaches_the_network_and_not_the_distance(write: Callable[..., str]) -> None:
    perceptual = Perceptual(SHALLOW.model_copy(update={"weights": write(random_state())}))
    output, target = pair()
    types = []
    perceptual.features[0].register_forward_hook(lambda _, __, result: types.append(result.dtype))
    plain = perceptual(output.float(), target.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = perceptual(output.bfloat16(), target.float())
    assert types == [torch.float32] * 2 + [torch.bfloat16] * 2
    assert mixed.dtype == torch.float32
    assert mixed.item() == pytest.approx(plain.item(), rel=0.03)


def test_the_random_numbers_of_a_run_stay_as_they_are(write: Callable[..., str]) -> None:
    path = write(random_state())
    before = torch.get_rng_state()
    Perceptual(SHALLOW.model_copy(update={"weights": path}))
    assert torch.equal(torch.get_rng_state(), before)


def test_images_it_cannot_look_at(write: Callable[..., str]) -> None:
    perceptual = Perceptual(SHALLOW.model_copy(update={"weights": write(random_state())}), "method.perceptual")
    with pytest.raises(UserError, match="1 or 3 channels, not 4"):
        perceptual(torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8))
    with pytest.raises(UserError, match=r"^method.perceptual.layers: relu2_2 needs .* at least 2 pixels, not 1; "):
        perceptual(torch.zeros(1, 3, 8, 1), torch.zeros(1, 3, 8, 1))
    assert perceptual(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).item() > 0
    PerceptualConfig(layers=("relu5_1",)).refuse_small(16)
    with pytest.raises(UserError, match="relu5_1 needs images of at least 16 pixels, not 15"):
        PerceptualConfig(layers=("relu5_1", "relu1_1")).refuse_small(15)


def code(state: State) -> object:
    return {**state, "features.0.bias": subprocess.Popen}


def with_changed(name: str, value: object) -> Callable[[State], object]:
    return lambda state: {**state, name: value}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda state: list(state.values()), "holds a list, not weights by name"),
        (lambda state: {}, "it has no features.0.weight"),
        (lambda state: {key: state[key] for key in state if "7.b" not in key}, "it has no features.7.bias"),
        (with_changed("features.1.weight", torch.zeros(64)), "features.1.weight is no part of that network"),
        (with_changed("features.17.bias", torch.zeros(3)), r"features.17.bias has the shape \[3\], not \[512\]"),
        (with_changed("features.5.bias", torch.full((128,), torch.nan)), "features.5.bias holds values that are not f"),
        (with_changed("features.5.bias", torch.zeros(128).int()), "features.5.bias is no plain tensor"),
        (with_changed("features.5.bias", [0.0] * 128), "features.5.bias is no plain tensor"),
        (code, "holds code, which is never run"),
    ],
)
def test_files_that_hold_something_else(
    write: Callable[..., str], change: Callable[[State], object], line: str
) -> None:
    path = write(change(random_state()))
    with pytest.raises(UserError, match=line) as caught:
        Perceptual(SHALLOW.model_copy(update={"weights": path}))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.endswith("https://download.pytorch.org/models/vgg16-397923af.pth")
    assert "\n" not in text


def test_bytes_that_are_no_file_of_weights(tmp_path: Path) -> None:
    for held in (b"", b"<html>not found</html>"):
        (tmp_path / "w.pth").write_bytes(held)
        with pytest.raises(UserError, match=r"w\.pth: is no file of weights alone"):
            Perceptual(PerceptualConfig(weights="w.pth"))


def test_the_other_network_is_refused(write: Callable[..., str]) -> None:
    path = write(random_state(last=16, deeper={16: (256, 256)}))
    with pytest.raises(UserError, match=r"the weights of vgg16 up to relu2_2: features\.16\.weight is no part"):
        Perceptual(SHALLOW.model_copy(update={"weights": path}))


def test_missing_weights_say_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    place = tmp_path / "torch" / "hub" / "checkpoints"
    for network, name in FILES.items():
        config = PerceptualConfig.model_validate({"network": network})
        with pytest.raises(UserError) as caught:
            Perceptual(config, "method.perceptual")
        assert str(caught.value) == (
            f"{place / name}: is missing, and the perceptual loss needs it: fetch it from "
            f"https://download.pytorch.org/models/{name}, or name another file with "
            "--set method.perceptual.weights=FILE"
        )
    with pytest.raises(UserError, match=r"^--set method\.perceptual\.weights=none\.pth: there is no such file; .*af"):
        Perceptual(PerceptualConfig(weights="none.pth"), "method.perceptual")
    assert not place.exists()


def test_torchs_own_file_is_used_if_it_is_what_its_name_says(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    Path(write(random_state())).rename(place / "vgg16-397923af.pth")
    digest = hashlib.sha256((place / "vgg16-397923af.pth").read_bytes()).hexdigest()[:8]
    with pytest.raises(UserError, match=f"its sha256 begins with {digest}, not 397923af as its name says") as caught:
        Perceptual(SHALLOW)
    assert "\n" not in str(caught.value)
    named = SHALLOW.model_copy(update={"weights": str(place / "vgg16-397923af.pth")})
    with pytest.raises(UserError, match="its sha256 begins with"):
        Perceptual(named)
    monkeypatch.setitem(FILES, "vgg16", f"vgg16-{digest}.pth")
    (place / "vgg16-397923af.pth").rename(place / f"vgg16-{digest}.pth")
    output, target = pair()
    wanted = distance(random_state(), output, target, {"relu1_2": 1.0, "relu2_2": 1.0})
    assert Perceptual(SHALLOW)(output, target).item() == pytest.approx(wanted, rel=1e-5)


class Holder(Config):
    perceptual: PerceptualConfig = PerceptualConfig()


def test_options_as_they_are_typed() -> None:
    typed = ["perceptual.layers=relu2_2", "perceptual.layer_weights=0.5", "perceptual.network=vgg19"]
    config = resolve(Holder, [parse_setting(text) for text in typed]).perceptual
    assert (config.layers, config.layer_weights, config.network) == (("relu2_2",), (0.5,), "vgg19")
    config = resolve(Holder, [parse_setting("perceptual.layers=[relu3_1, relu1_1]")]).perceptual
    assert (config.layers, config.indices, config.deepest) == (("relu3_1", "relu1_1"), (11, 1), "relu3_1")
    assert resolve(Holder, [parse_setting("perceptual.layer_weights=null")]).perceptual == PerceptualConfig()
    saved = Layer("saved", {"perceptual": config.model_dump(mode="json")})
    assert resolve(Holder, [saved]).perceptual == config


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("layers=[relu1_2, relu2_9]", "'relu2_9' is not known; did you mean 'relu2_"),
        ("layers=relu3_4", "vgg16 has no layer relu3_4; choose of: relu1_1, .*relu3_3, relu4_1"),
        ("layers=[relu1_1, relu1_1]", "names one twice"),
        ("layers=[]", "must be"),
        ("layer_weights=[1, 2]", "there are 4 layers and 2 layer_weights"),
        ("layer_weights=[1, 1, 1, 0]", "greater than 0"),
        ("network=resnet", "'resnet' is not known"),
    ],
)
def test_options_that_do_not_fit(typed: str, line: str) -> None:
    setting = f"perceptual.{typed}"
    with pytest.raises(UserError, match=line) as caught:
        resolve(Holder, [parse_setting(setting)])
    assert "perceptual" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_torchvision_and_kornia_are_imported_when_they_are_needed() -> None:
    probe = "import i2i.methods, sys; print(sorted({'torchvision', 'kornia'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
