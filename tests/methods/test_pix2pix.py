"""pix2pix's step against the paper's equations written out, and what a step may and may not touch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from i2i.errors import UserError
from i2i.losses.perceptual import Perceptual, PerceptualConfig
from i2i.methods import Method, Pix2Pix, Pix2PixConfig
from i2i.metrics import ssim
from i2i.nn import (
    Imported,
    InferencePolicy,
    Output,
    PatchGANConfig,
    ResNetConfig,
    SRResNetConfig,
    UNetConfig,
    inference_mode,
)
from i2i.optim import OptimConfig

SMALL = Pix2PixConfig(generator=UNetConfig(depth=4, ngf=4, dropout=0.0), discriminator=PatchGANConfig(layers=1, ndf=4))


ENLARGING = SMALL.model_copy(update={"generator": SRResNetConfig(scale=2, blocks=1, ngf=8)})


def batch(count: int = 2, seed: int = 0, scale: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = {"a": 16 // scale, "b": 16}
    return {key: torch.rand(count, 3, side, side, generator=generator) * 2 - 1 for key, side in sides.items()}


def small_method(config: Pix2PixConfig = SMALL, optim: OptimConfig | None = None) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(config, optim=optim)


Terms = Callable[[Tensor, Tensor, Callable[[Tensor], list[Tensor]]], dict[str, Tensor]]


def only_l1(fake: Tensor, b: Tensor, features: Callable[[Tensor], list[Tensor]]) -> dict[str, Tensor]:
    return {"l1": 100 * (fake - b).abs().mean()}


def written_out(
    g: nn.Module, d: nn.Module, data: dict[str, Tensor], steps: int, terms: Terms = only_l1
) -> list[dict[str, float]]:
    """pix2pix with binary cross-entropy and torch's plain Adam: no part of the package but the networks.

    `terms` gets the output, its target, and a function that returns what D's stages make of an image beside A.
    """
    opt_g, opt_d = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (g, d))
    small, b = data["a"], data["b"]
    a = interpolate(small, b.shape[-2:], mode="bicubic", antialias=True) if small.shape != b.shape else small

    def bce(logits: Tensor, label: float) -> Tensor:
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def features(image: Tensor) -> list[Tensor]:
        seen, x = [], torch.cat([a, image], 1)
        for layers in d.get_submodule("features").children():
            x = layers(x)
            seen.append(x)
        return seen

    rows = []
    for _ in range(steps):
        fake = g(small)
        d_fake = bce(d(torch.cat([a, fake.detach()], 1)), 0.0)
        d_real = bce(d(torch.cat([a, b], 1)), 1.0)
        opt_d.zero_grad()
        torch.autograd.backward((d_fake + d_real) * 0.5)
        opt_d.step()
        parts = {"gan": bce(d(torch.cat([a, fake], 1)), 1.0), **terms(fake, b, features)}
        opt_g.zero_grad()
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        opt_g.step()
        row = {"d/real": d_real, "d/fake": d_fake, "loss/d": (d_real + d_fake) / 2}
        row |= {f"loss/g_{name}": value for name, value in parts.items()}
        row["loss/g"] = torch.stack(list(parts.values())).sum()
        rows.append({name: float(value.detach()) for name, value in row.items()})
    return rows


def assert_equal_steps(config: Pix2PixConfig, data: dict[str, Tensor], terms: Terms = only_l1, steps: int = 4) -> None:
    method = small_method(config)
    expected = written_out(copy.deepcopy(method.G), copy.deepcopy(method.D), data, steps, terms)
    for step, row in enumerate(expected):
        scalars = {name: float(value) for name, value in method.train_step(data, step).items()}
        reported = {name: value for name, value in scalars.items() if "accuracy" not in name}
        assert reported == pytest.approx(row, rel=1e-4, abs=1e-5)


def test_steps_equal_the_paper_written_out() -> None:
    assert_equal_steps(SMALL, batch())


@pytest.fixture
def features_file(tmp_path: Path) -> PerceptualConfig:
    """Options of the perceptual loss, whose network has random weights."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for index, (out, into) in {0: (64, 3), 2: (64, 64)}.items():
        state[f"features.{index}.weight"] = torch.randn(out, into, 3, 3, generator=generator) / (4 * into) ** 0.5
        state[f"features.{index}.bias"] = torch.zeros(out)
    torch.save(state, tmp_path / "vgg.pth")
    return PerceptualConfig(layers=("relu1_2",), weights=str(tmp_path / "vgg.pth"))


@pytest.mark.parametrize("scale", [1, 2])
def test_steps_with_every_term_written_out(features_file: PerceptualConfig, scale: int) -> None:
    seen = Perceptual(features_file)

    def terms(fake: Tensor, b: Tensor, features: Callable[[Tensor], list[Tensor]]) -> dict[str, Tensor]:
        difference, real = fake - b, features(b)
        steps = [fake[..., 1:, :] - fake[..., :-1, :], fake[..., 1:] - fake[..., :-1]]
        return {
            "l2": 2 * (difference**2).mean(),
            "charbonnier": 3 * (difference**2 + 1e-6).sqrt().mean(),
            "ssim": 4 * (1 - ssim(fake, b).mean()),
            "tv": 0.5 * torch.stack([step.abs().sum() for step in steps]).sum() / fake.numel(),
            "perceptual": 0.1 * seen(fake, b),
            "features": 10
            * torch.stack([(f - r).abs().mean() for f, r in zip(features(fake), real, strict=True)]).sum(),
        }

    weights = {"l1": 0.0, "l2": 2.0, "charbonnier": 3.0, "ssim": 4.0, "tv": 0.5, "perceptual": 0.1, "features": 10.0}
    config = SMALL if scale == 1 else ENLARGING
    config = config.model_copy(
        update={"perceptual": features_file} | {f"lambda_{name}": weight for name, weight in weights.items()}
    )
    assert_equal_steps(config, batch(scale=scale), terms, steps=3)


def test_features_go_with_relativistic_losses(recording: Callable[[Method], Any]) -> None:
    """D is asked once about each image, for logits and features alike, and learns of neither."""
    method, data = small_method(SMALL.model_copy(update={"gan_loss": "rsgan", "lambda_features": 1.0})), batch()
    plain = small_method(SMALL.model_copy(update={"gan_loss": "rsgan"}))
    asked: list[int] = []
    method.D.get_submodule("head").register_forward_hook(lambda *_: asked.append(1))
    scalars, without = method.train_step(data, 0), plain.train_step(data, 0)
    assert len(asked) == 4
    assert scalars["loss/g_features"] > 0
    assert all(torch.equal(scalars[name], without[name]) for name in without if name not in ("loss/g",))
    method.opt_g = to_g = recording(method)
    method.train_step(data, 1)
    assert to_g.touched == {"G"}


def test_without_the_game_there_is_no_discriminator() -> None:
    """G's steps are those of its distance alone; nothing of D is built, stepped, saved or reported."""
    method, data = small_method(SMALL.model_copy(update={"lambda_gan": 0.0, "lambda_l1": 7.0})), batch()
    assert list(method.networks) == list(method.specs) == list(method.generators) == ["G"]
    assert list(method.steppers) == ["g"]
    assert method.lower_is_better == ("val/l1",)
    played = small_method()
    assert torch.equal(method.G.get_parameter("head.conv.weight"), played.G.get_parameter("head.conv.weight"))
    g = copy.deepcopy(method.G)
    opt_g = torch.optim.Adam(g.parameters(), 2e-4, (0.5, 0.999))
    for step in range(3):
        loss = 7 * (g(data["a"]) - data["b"]).abs().mean()
        opt_g.zero_grad()
        torch.autograd.backward(loss)
        opt_g.step()
        scalars = method.train_step(data, step)
        assert set(scalars) == {"loss/g", "loss/g_l1"}
        assert float(scalars["loss/g"]) == pytest.approx(float(loss.detach()), rel=1e-5)
    with inference_mode(method.G, method.policy):
        assert set(method.validate(data, {"G": method.G})) == {"val/l1", "val/psnr", "val/ssim"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambda_gan": 0, "lambda_l1": 0, "lambda_tv": 1}, "nothing compares outputs with targets; set lambda_l1"),
        ({"lambda_gan": 0, "lambda_features": 1}, "lambda_gan=0 leaves it out; set lambda_features=0"),
        ({"lambda_ssim": -1}, "greater than or equal to 0"),
    ],
)
def test_terms_that_teach_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pix2PixConfig.model_validate(options)
    Pix2PixConfig(lambda_gan=0, lambda_l1=0, lambda_ssim=1)
    Pix2PixConfig(lambda_l1=0)


def unfeatured(in_channels: int) -> nn.Module:
    return nn.Conv2d(in_channels, 1, 1)


def test_distances_that_cannot_be_are_found_before_the_run(
    features_file: PerceptualConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    wanting = SMALL.model_copy(update={"lambda_perceptual": 1.0})
    with pytest.raises(UserError, match=r"vgg16-397923af\.pth: is missing, .* --set method\.perceptual\.weights=FILE$"):
        wanting.completed(image_size=16, batch_size=2)
    seeing = wanting.model_copy(update={"perceptual": features_file})
    seeing.completed(image_size=16, batch_size=2)
    with pytest.raises(UserError, match=r"lambda_perceptual compares images of 1 or 3 channels, not 4: set it to 0"):
        Pix2Pix(seeing, channels_a=3, channels_b=4)
    blind = SMALL.model_copy(update={"lambda_features": 1.0, "discriminator": Imported(name=f"{__name__}:unfeatured")})
    with pytest.raises(UserError, match=r"test_pix2pix:unfeatured has no method with_features"):
        Pix2Pix(blind)


def test_a_smaller_input_is_shown_with_its_pixels() -> None:
    method, data = small_method(ENLARGING), batch(scale=2)
    with inference_mode(method.G, method.policy):
        pictures = method.pictures(data, {"G": method.G})
        scalars = method.validate(data, {"G": method.G})
    assert {images.shape for images in pictures.values()} == {(2, 3, 16, 16)}
    torch.testing.assert_close(pictures["input"], data["a"].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert {values.shape for values in scalars.values()} == {(2,)}
    assert "val/g_gan" in scalars


@pytest.mark.parametrize(("output", "channels"), [("residual", 3), ("lab", 1), ("fill", 4)])
def test_every_output_trains(output: Output, channels: int) -> None:
    config = SMALL.model_copy(update={"generator": ResNetConfig(blocks=1, ngf=4, output=output)})
    torch.manual_seed(0)
    method, data = Pix2Pix(config, channels_a=channels, channels_b=3, optim=OptimConfig(lr=2e-3)), batch()
    data["a"] = torch.cat([data["a"], torch.ones(2, 1, 16, 16)], 1)[:, -channels:] if channels != 3 else data["a"]
    losses = [float(method.train_step(data, step)["loss/g_l1"]) for step in range(15)]
    assert losses[-1] < losses[0]
    with inference_mode(method.G, method.policy):
        assert method.pictures(data, {"G": method.G})["output"].shape == (2, 3, 16, 16)


def test_what_is_judged_is_what_would_be_saved() -> None:
    """A change may take an image out of its range, and a file keeps it within."""
    method = small_method(SMALL.model_copy(update={"generator": ResNetConfig(blocks=1, ngf=4, output="residual")}))
    with torch.no_grad():
        method.G.get_parameter("body.head.conv.bias").fill_(3.0)  # white, and whiter
    data = batch()
    with inference_mode(method.G, method.policy):
        scalars = method.validate({"a": data["a"], "b": torch.ones_like(data["b"])}, {"G": method.G})
    assert scalars["val/l1"].max() < 0.2


def test_each_loss_reaches_its_own_network_alone(recording: Callable[[Method], Any]) -> None:
    method = small_method()
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(batch(), 0)
    assert to_d.touched == {"D"}
    assert to_g.touched == {"G"}
    assert all(parameter.requires_grad for parameter in method.D.parameters())


@pytest.mark.parametrize("loss", ["lsgan", "hinge", "minimax"])
def test_other_losses_train(loss: str) -> None:
    method = small_method(SMALL.model_copy(update={"gan_loss": loss}))
    scalars = method.train_step(batch(), 0)
    assert all(torch.isfinite(value) for value in scalars.values())


def test_discriminator_learns_to_tell_pairs_from_mismatched_generator() -> None:
    method, data = small_method(optim=OptimConfig(lr=1e-6, lr_d=1e-3)), batch(4)
    for step in range(60):
        scalars = method.train_step(data, step)
    assert float(scalars["d/accuracy_real"]) > 0.9
    assert float(scalars["d/accuracy_fake"]) > 0.9


@pytest.mark.parametrize(
    "generator", [UNetConfig(depth=4, ngf=16, dropout=0.0), SRResNetConfig(scale=2, blocks=2, ngf=16)]
)
def test_one_pair_is_overfitted(generator: UNetConfig | SRResNetConfig) -> None:
    config = SMALL.model_copy(update={"generator": generator})
    method, data = small_method(config, OptimConfig(lr=2e-3)), batch(1, scale=generator.scale or 1)
    first = float(method.train_step(data, 0)["loss/g_l1"])
    for step in range(1, 150):
        last = float(method.train_step(data, step)["loss/g_l1"])
    assert last < first / 4


def test_validation_scalars_by_hand() -> None:
    method, data = small_method(), batch(3)
    policy = InferencePolicy(statistics="image")
    with inference_mode(method.G, policy):
        scalars = method.validate(data, {"G": method.G})
        fake = method.G(data["a"])
        pictures = method.pictures(data, {"G": method.G})
    mse = (fake - data["b"]).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(scalars["val/l1"], (fake - data["b"]).abs().flatten(1).mean(1))
    torch.testing.assert_close(scalars["val/psnr"], 20 * torch.log10(2 / mse.sqrt()))
    assert all(values.shape == (3,) for values in scalars.values())
    assert list(pictures) == ["input", "output", "target"]
    torch.testing.assert_close(pictures["output"], fake)


def test_policy_follows_the_batch_size() -> None:
    config = Pix2PixConfig()
    one, four = config.completed(image_size=256, batch_size=1), config.completed(image_size=128, batch_size=4)
    assert one.inference == InferencePolicy(statistics="image", dropout="off")
    assert four.inference == InferencePolicy(statistics="running", dropout="off")
    assert isinstance(one.generator, UNetConfig)
    assert isinstance(four.generator, UNetConfig)
    assert (one.generator.depth, four.generator.depth) == (8, 7)


def test_the_generators_scale_follows_the_datas() -> None:
    assert Pix2PixConfig(generator=SRResNetConfig()).completed(64, 4, scale=4).generator == SRResNetConfig(scale=4)
    with pytest.raises(UserError, match="makes inputs 4 times smaller, and unet does not enlarge"):
        Pix2PixConfig().completed(64, 4, scale=4)
    small = Pix2PixConfig(generator=ResNetConfig(), lambda_gan=0.0).completed(16, 4)  # too small for the PatchGAN
    with pytest.raises(UserError, match="needs images of at least 24 pixels"):
        small.model_copy(update={"lambda_gan": 1.0}).completed(16, 4)
