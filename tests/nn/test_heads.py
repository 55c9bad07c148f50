"""What a generator's output is: colours against scikit-image and tables, the other heads against values by hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.nn import (
    GENERATORS,
    Imported,
    InferencePolicy,
    Output,
    ResNetConfig,
    SRResNetConfig,
    UNetConfig,
    apply_policy,
    build_generator,
    build_network,
    network_options,
)
from i2i.nn.heads import coloured, with_head

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"depth": 4, "ngf": 2},
    "resnet": {"blocks": 1, "ngf": 2},
    "srresnet": {"blocks": 1, "ngf": 2, "scale": 1},
}
CHANNELS: dict[Output, tuple[int, int]] = {"image": (2, 3), "residual": (4, 3), "lab": (1, 3), "fill": (4, 3)}
ALL = [(name, output) for name in GENERATORS for output in CHANNELS]


class Says(nn.Module):
    """A body that says what it was told, whatever it sees."""

    def __init__(self, words: Tensor) -> None:
        super().__init__()
        self.words = nn.Parameter(words)

    def forward(self, image: Tensor) -> Tensor:
        return self.words


@pytest.mark.parametrize(("name", "output"), ALL)
def test_every_generator_with_every_output(name: str, output: Output) -> None:
    """In fp32 and under bf16 alike, with gradients for every weight; only a change has no bounds."""
    config = GENERATORS[name](**SMALL[name], norm="instance", init="kaiming", output=output)
    in_channels, out_channels = CHANNELS[output]
    network = build_generator(config, in_channels, out_channels)
    image = torch.rand(2, in_channels, 19, 24) * 2 - 1
    expected = network(image)
    assert expected.shape == (2, out_channels, 19, 24)
    assert (expected.abs().max() <= 1) == (output != "residual")
    network = network.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        result = network(image.to(memory_format=torch.channels_last))
    assert result.dtype == (torch.bfloat16 if output == "image" else torch.float32)
    assert (result - expected).abs().mean() < 0.05 * expected.abs().max()
    torch.autograd.backward((result.float() - 0.3).square().mean())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert next(iter(network.parameters())).grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", GENERATORS)
def test_a_plain_image_needs_no_head(name: str) -> None:
    """Weights of before, and those of other code, keep their names."""
    config = GENERATORS[name](**SMALL[name])
    network = build_generator(config, 3, 3)
    assert type(network) is type(config.build(3, 3))
    headed = build_generator(config.model_copy(update={"output": "residual"}), 3, 3)
    assert [f"body.{key}" for key in network.state_dict()] == list(headed.state_dict())


@pytest.mark.parametrize(("name", "output"), ALL)
def test_is_built_again_from_what_a_checkpoint_says(name: str, output: Output) -> None:
    """Without memory at first, as trained models are opened."""
    config = GENERATORS[name](**SMALL[name], output=output)
    in_channels, out_channels = CHANNELS[output]
    network = build_generator(config, in_channels, out_channels)
    options = network_options("generator", config.model_dump(mode="json"))
    with torch.device("meta"):
        again = build_network("generator", options, {"in_channels": in_channels, "out_channels": out_channels})
    again.load_state_dict(network.state_dict(), assign=True)
    image = torch.rand(1, in_channels, 16, 16) * 2 - 1
    for model in (network, again):
        apply_policy(model, InferencePolicy(statistics="image"))
    torch.testing.assert_close(again(image), network(image), rtol=0, atol=0)


def enlarged_by_pillow(image: Tensor, scale: int) -> Tensor:
    def enlarged(plane: Tensor) -> Tensor:
        size = (scale * plane.shape[1], scale * plane.shape[0])
        return torch.from_numpy(np.array(Image.fromarray(plane.numpy()).resize(size, Image.Resampling.BICUBIC)))

    return torch.stack([torch.stack([enlarged(plane) for plane in planes]) for planes in image])


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_change_is_added_to_the_input(scale: int) -> None:
    """To its first channels, enlarged as Pillow enlarges; no weights are zero, so zero weights must show that."""
    network = build_generator(SRResNetConfig(scale=scale, blocks=1, ngf=4, output="residual"), 4, 3).eval()
    image = torch.rand(2, 4, 5, 7) * 2 - 1
    change = network.get_submodule("body")(image)
    wanted = enlarged_by_pillow(image[:, :3], scale)
    torch.testing.assert_close(network(image), wanted + change, atol=1e-6, rtol=0)
    assert change.any()


def test_paints_where_the_mask_says_so() -> None:
    known, painted = torch.rand(2, 3, 4, 4) * 2 - 1, torch.rand(2, 3, 4, 4) * 2 - 1
    mask = -torch.ones(2, 1, 4, 4)
    mask[0, :, 1:3, 2:] = 1
    body = Says(painted)
    result = with_head("fill", body, 3)(torch.cat([known, mask], 1))
    expected = known.clone()
    expected[0, :, 1:3, 2:] = painted[0, :, 1:3, 2:]
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
    torch.autograd.backward(result.sum())
    assert body.words.grad is not None
    torch.testing.assert_close(body.words.grad, (mask > 0).float().expand(-1, 3, -1, -1))


def test_colours_of_the_table() -> None:
    """The primaries of sRGB in CIELAB under D65, as printed in colour tables."""
    table = {
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (255, 255, 0): (97.14, -21.55, 94.48),
        (128, 128, 128): (53.59, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (255, 255, 255): (100, 0, 0),
    }
    for rgb, (lightness, a, b) in table.items():
        grey = torch.tensor(grey_of(lightness)).reshape(1, 1, 1, 1)
        result = coloured(grey, torch.tensor([a, b]).reshape(1, 2, 1, 1))
        assert ((result.flatten() + 1) * 127.5).tolist() == pytest.approx(rgb, abs=0.6)


def grey_of(lightness: float) -> float:
    """The sRGB grey of a lightness, in [-1, 1], by the formulas of CIE and IEC."""
    f = (lightness + 16) / 116
    luminance = f**3 if f > 6 / 29 else lightness / 903.3
    value = 12.92 * luminance if luminance <= 0.0031308 else 1.055 * luminance ** (1 / 2.4) - 0.055
    return 2 * value - 1


def test_colours_agree_with_scikit_image() -> None:
    """Inside of sRGB and outside, where both clip; skimage's white differs in the fourth digit."""
    draw = np.random.default_rng(0)
    lab = np.stack([draw.uniform(0, 100, 2000), *draw.uniform(-110, 110, (2, 2000))], 1)
    with warnings.catch_warnings(action="ignore"):  # of colours that XYZ does not have
        expected = lab2rgb(lab)
    grey = torch.tensor([grey_of(lightness) for lightness in lab[:, 0]], dtype=torch.float64).reshape(-1, 1, 1, 1)
    ab = torch.from_numpy(lab[:, 1:]).reshape(-1, 2, 1, 1)
    result = (coloured(grey, ab).flatten(1).numpy() + 1) / 2
    inside = (abs(result - 0.5) < 0.499).all(1)
    assert 300 < inside.sum() < 1700
    np.testing.assert_allclose(result[inside], expected[inside], atol=2e-3)
    assert np.abs(result - expected).mean() < 2e-3
    back = rgb2lab(result[inside])
    np.testing.assert_allclose(back, lab[inside], atol=0.2)
    single = (coloured(grey.float(), ab.float()).flatten(1).numpy() + 1) / 2
    np.testing.assert_allclose(single, result, atol=1e-4)


def test_greys_stay_as_they_are() -> None:
    """To a thousandth of a grey level, under bf16 too, which keeps its hands off colours."""
    grey = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        result = coloured(grey, torch.zeros(1, 2, 16, 16, dtype=torch.bfloat16))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, grey.expand(-1, 3, -1, -1), atol=2e-6, rtol=0)
    assert result.abs().max() <= 1


def test_gradients_of_colours() -> None:
    """Against differences inside of sRGB; finite and alive at black, at white and where colours are clipped."""
    grey = torch.tensor([-0.6, 0.0, 0.5], dtype=torch.float64).reshape(3, 1, 1, 1).requires_grad_()
    ab = torch.tensor([[5.0, -8.0], [-20.0, 15.0], [10.0, 10.0]], dtype=torch.float64).reshape(3, 2, 1, 1)
    assert torch.autograd.gradcheck(coloured, (grey, ab.requires_grad_()))
    grey = torch.tensor([-1.0, 1.0, 0.0, -1.0, 1.0]).reshape(5, 1, 1, 1).requires_grad_()
    ab = torch.tensor([[0.0, 0.0], [0.0, 0.0], [110.0, 110.0], [-110.0, 110.0], [110.0, -110.0]]).reshape(5, 2, 1, 1)
    result = coloured(grey, ab.requires_grad_())
    assert result.abs().max() <= 1
    torch.autograd.backward(result[:, 0].sum())
    for gradient in (grey.grad, ab.grad):
        assert gradient is not None
        assert gradient.isfinite().all()
    assert ab.grad is not None
    assert (ab.grad[:, 0] > 0).all()  # more a is more red, even where it is clipped


def test_what_the_body_says_is_a_and_b() -> None:
    body = Says(torch.tensor([80.09 / 110, 67.20 / 110]).reshape(1, 2, 1, 1))
    red = with_head("lab", body, 3)(torch.tensor(grey_of(53.24)).reshape(1, 1, 1, 1))
    torch.testing.assert_close(red.flatten(), torch.tensor([1.0, -1.0, -1.0]), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("config", "channels", "message"),
    [
        (
            UNetConfig(depth=4, output="residual"),
            (1, 3),
            "of 1 cannot come 3; set method.generator.output=image",
        ),
        (ResNetConfig(output="lab"), (3, 3), r"makes colour \(3 channels\) of grey \(1\), not 3 of 3"),
        (ResNetConfig(output="lab"), (1, 1), "not 1 of 1"),
        (ResNetConfig(output="fill"), (3, 3), "takes an image of 3 channels and a mask behind it, not 3 channels"),
        (SRResNetConfig(output="fill", scale=2), (4, 3), "keeps what it is given, and this generator enlarges 2 times"),
        (SRResNetConfig(output="lab", scale=2), (1, 3), "enlarges 2 times"),
    ],
)
def test_impossible_outputs_are_refused(config: Any, channels: tuple[int, int], message: str) -> None:
    with pytest.raises(UserError, match=f"method.generator.output={config.output} .*{message}"):
        build_generator(config, *channels)


def plain(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Conv2d(in_channels, out_channels, 1)


def test_ones_own_network_makes_its_own_output() -> None:
    network = build_generator(Imported(name=f"{__name__}:plain"), 3, 2)
    assert isinstance(network, nn.Conv2d)


def test_the_state_of_a_head_is_its_bodys_alone() -> None:
    network = build_generator(ResNetConfig(blocks=1, ngf=2, output="lab"), 1, 3)
    state: Mapping[str, Tensor] = network.state_dict()
    assert state.keys() == {f"body.{key}" for key in ResNetConfig(blocks=1, ngf=2).build(1, 2).state_dict()}
