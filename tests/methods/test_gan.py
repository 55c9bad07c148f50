"""The GAN cores' step against Goodfellow's algorithm written out, and every trick by what it does to D and G."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import softplus

from i2i.config import Config, parse_setting, resolve
from i2i.errors import UserError
from i2i.methods import GAN, GANConfig, Method, MethodConfig
from i2i.methods.gan import InputNoiseConfig
from i2i.nn import (
    DCGANCriticConfig,
    DCGANGeneratorConfig,
    Imported,
    InferencePolicy,
    MLPCriticConfig,
    MLPGeneratorConfig,
    inference_mode,
)
from i2i.optim import OptimConfig, Precision

SMALL = GANConfig(generator=MLPGeneratorConfig(hidden=(12,)), discriminator=MLPCriticConfig(hidden=(10,)), latent=5)
CONVOLUTIONAL: dict[str, Any] = {
    "generator": DCGANGeneratorConfig(ngf=4, init="xavier"),
    "discriminator": DCGANCriticConfig(ndf=4, norm="batch", init="xavier"),
}
FROZEN = OptimConfig(name="sgd", lr=1e-30)  # steps that change no weight
SIDE = 16  # of which DCGAN's critic has a layer with a norm


def images_of(count: int, classes: int = 0, channels: int = 2, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    batch = {"image": torch.rand(count, channels, SIDE, SIDE, generator=generator) * 1.8 - 0.9}
    return {**batch, "label": torch.randint(classes, (count,), generator=generator)} if classes else batch


def small_gan(optim: OptimConfig | None = None, classes: int = 0, **values: Any) -> GAN:
    torch.manual_seed(0)
    config = GANConfig.model_validate({**SMALL.model_dump(), "conditional": classes > 0, **values})
    return GAN(config, channels=2, size=SIDE, classes=classes, optim=optim)


def watched(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return lists that the network's inputs and outputs are put into from now on."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []

    def note(_: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
        inputs.append(given[0].detach().clone())
        outputs.append(made.detach().clone())

    network.register_forward_hook(note)
    return inputs, outputs


def weights_of(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in network.parameters()])


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in float64, where a gradient that is zero in theory is nothing to Adam, either."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# The losses as their papers print them, (real logits, fake logits) to a scalar, in terms of -log s(x) = softplus(-x).
D_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nonsaturating": lambda r, f: softplus(-r).mean() + softplus(f).mean(),
    "rasgan": lambda r, f: softplus(-(r - f.mean())).mean() + softplus(f - r.mean()).mean(),
}
G_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nonsaturating": lambda r, f: softplus(-f).mean(),
    "rasgan": lambda r, f: softplus(-(f - r.mean())).mean() + softplus(r - f.mean()).mean(),
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda weights, lr: torch.optim.Adam(weights, lr, (0.5, 0.999)),
    "rmsprop": lambda weights, lr: torch.optim.RMSprop(weights, lr),
    "sgd": lambda weights, lr: torch.optim.SGD(weights, lr, momentum=0.9),
}


def written_out(
    method: GAN, data: dict[str, Tensor], loss: str, optim: OptimConfig, d_steps: int, steps: int
) -> tuple[list[tuple[float, float]], nn.Module, nn.Module]:
    """Algorithm 1 of Goodfellow et al. 2014, with torch's own optimizers; nothing of the package but the networks."""
    g, d = copy.deepcopy(method.G), copy.deepcopy(method.D)
    opt_g = OPTIMIZERS[optim.name](g.parameters(), optim.lr)
    opt_d = OPTIMIZERS[optim.name](d.parameters(), optim.lr_d)
    per_step = len(data["image"]) // d_steps
    rows = []
    for step in range(steps):
        torch.manual_seed(step)
        for k in range(d_steps):
            part = slice(k * per_step, (k + 1) * per_step)
            x, y = data["image"][part], (data["label"][part],) if "label" in data else ()
            fake = g(torch.randn(per_step, 5), *y).detach()
            d_loss = D_LOSSES[loss](d(x, *y), d(fake, *y))
            opt_d.zero_grad()
            torch.autograd.backward(d_loss)
            opt_d.step()
        g_loss = G_LOSSES[loss](d(x, *y), d(g(torch.randn(per_step, 5), *y), *y))
        opt_g.zero_grad()
        torch.autograd.backward(g_loss)
        opt_g.step()
        rows.append((float(d_loss.detach()), float(g_loss.detach())))
    return rows, g, d


@pytest.mark.parametrize(
    ("loss", "classes", "d_steps", "optimizer"),
    [
        ("nonsaturating", 0, 1, "adam"),
        ("nonsaturating", 3, 2, "adam"),
        ("rasgan", 0, 2, "adam"),
        ("rasgan", 3, 1, "adam"),
        ("nonsaturating", 0, 2, "rmsprop"),
        ("nonsaturating", 3, 1, "sgd"),
    ],
)
@pytest.mark.parametrize("networks", [{}, CONVOLUTIONAL], ids=["mlp", "dcgan"])
def test_steps_equal_algorithm_1_written_out(
    loss: str, classes: int, d_steps: int, optimizer: Any, networks: dict[str, Any], double: None
) -> None:
    optim = OptimConfig(name=optimizer, lr=3e-3, lr_d=5e-3, momentum=0.9 if optimizer == "sgd" else 0.0)
    method = small_gan(optim, classes, gan_loss=loss, d_steps=d_steps, **networks)
    data, before = images_of(6 * d_steps, classes), (weights_of(method.G), weights_of(method.D))
    rows, g, d = written_out(method, data, loss, optim, d_steps, steps=3)
    for step, (d_loss, g_loss) in enumerate(rows):
        torch.manual_seed(step)
        scalars = method.train_step(data, step)
        assert float(scalars["loss/d"]) == pytest.approx(d_loss, rel=1e-9)
        assert float(scalars["loss/g"]) == pytest.approx(g_loss, rel=1e-9)
        assert float(scalars["d/real"] + scalars["d/fake"]) == pytest.approx(d_loss, rel=1e-9)
    for trained, wanted, first in zip((method.G, method.D), (g, d), before, strict=True):
        torch.testing.assert_close(weights_of(trained), weights_of(wanted), rtol=1e-8, atol=1e-9)
        assert (weights_of(trained) - first).abs().max() > 1e-4


def test_d_reads_other_images_and_noise_at_each_of_its_steps() -> None:
    method, data = small_gan(FROZEN, d_steps=3), images_of(12)
    (seen, _), (noise, _) = watched(method.D), watched(method.G)
    method.train_step(data, 0)
    assert [len(images) for images in seen] == [4] * 7  # real and generated three times, then those of G's step
    torch.testing.assert_close(torch.cat(seen[:6:2]), data["image"], rtol=0, atol=0)
    assert len({tuple(z[0].tolist()) for z in noise}) == 4


@pytest.mark.parametrize("values", [{}, {"gan_loss": "rahinge"}, {"joint_batches": True}], ids=str)
def test_each_loss_reaches_its_own_network_alone(recording: Callable[[Method], Any], values: dict[str, Any]) -> None:
    method = small_gan(**values)
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(images_of(4), 0)
    assert (to_d.touched, to_g.touched) == ({"D"}, {"G"})
    assert all(parameter.requires_grad for parameter in method.D.parameters())


def test_labels_decide_what_is_made() -> None:
    method = small_gan(OptimConfig(lr=4e-3), classes=2)
    data = images_of(32, 2)
    data["image"] = data["image"] * 0.1 + (data["label"].float() * 1.2 - 0.6)[:, None, None, None]
    for step in range(300):
        method.train_step(data, step)
    with inference_mode(method.G, InferencePolicy()):
        dark, bright = (method.G(torch.randn(50, 5), torch.full((50,), label)).mean() for label in (0, 1))
    assert float(dark) < -0.2 < 0.2 < float(bright)


def test_labels_are_asked_of_the_data() -> None:
    with pytest.raises(UserError, match="needs data with classes, a folder for each or files of labels"):
        GAN(SMALL.model_copy(update={"conditional": True}), channels=1, size=SIDE, classes=1)
    method = GAN(SMALL, channels=2, size=SIDE, classes=7)  # classes that nobody asked for
    assert method.specs["G"]["measures"] == {"latent": 5, "channels": 2, "size": SIDE, "classes": 0}
    method.train_step(images_of(4, classes=7), 0)


# What D is told.


def d_terms_of_an_undecided_d(count: int = 1000, **labels: Any) -> tuple[float, float]:
    """Return lsgan's terms where all logits are 0: the mean squares of the labels; G's loss must still aim at 1."""
    method = small_gan(FROZEN, gan_loss="lsgan", labels=labels)
    for parameter in method.D.parameters():
        nn.init.zeros_(parameter)
    scalars = method.train_step(images_of(count), 0)
    assert float(scalars["loss/g"]) == pytest.approx(1)
    assert float(scalars["loss/d"]) == pytest.approx(float(scalars["d/real"] + scalars["d/fake"]))
    return float(scalars["d/real"]), float(scalars["d/fake"])


def test_smooth_soft_and_flipped_labels_enter_d_s_loss() -> None:
    assert d_terms_of_an_undecided_d() == (1, 0)
    assert d_terms_of_an_undecided_d(real=0.9) == pytest.approx((0.81, 0))
    soft = d_terms_of_an_undecided_d(real=[0.7, 1.2], fake=[0, 0.3])
    assert soft == pytest.approx((0.95**2 + 0.25 / 12, 0.15**2 + 0.09 / 12), abs=0.02)
    assert d_terms_of_an_undecided_d(flip=0.2) == pytest.approx((0.8, 0.2), abs=0.04)


def test_smoothing_of_a_cross_entropy() -> None:
    method, data = small_gan(labels={"real": 0.9}), images_of(4)
    _, logits = watched(method.D)
    scalars = method.train_step(data, 0)
    wanted = (0.9 * softplus(-logits[0]) + 0.1 * softplus(logits[0])).mean()
    torch.testing.assert_close(scalars["d/real"], wanted)
    torch.testing.assert_close(scalars["d/fake"], softplus(logits[1]).mean())


# What D is shown.


def test_input_noise_fades_to_nothing() -> None:
    noise = InputNoiseConfig(std=0.4, steps=20)
    assert [noise.at(step) for step in (0, 5, 19, 20, 100)] == pytest.approx([0.4, 0.3, 0.02, 0, 0])
    method, data = small_gan(FROZEN, input_noise={"std": 0.4, "steps": 20}), images_of(64)
    (seen, _), (_, made) = watched(method.D), watched(method.G)
    for step, std in ((0, 0.4), (10, 0.2), (20, 0.0)):
        seen.clear()
        made.clear()
        method.train_step(data, step)
        added = [on - off for on, off in zip(seen, [data["image"], *made], strict=True)]  # real, fake, fake for G
        assert [float(noise.std()) for noise in added] == pytest.approx([std] * 3, rel=0.03)
        if std:
            flat = torch.corrcoef(torch.stack([noise.flatten() for noise in added]))
            assert (flat - torch.eye(3)).abs().max() < 0.05  # drawn anew each time


def test_augmentation_of_all_that_d_sees_and_gradients_through_it() -> None:
    method, data = small_gan(FROZEN, augment=["cutout"]), images_of(16)
    (seen, _), (_, made) = watched(method.D), watched(method.G)
    method.train_step(data, 0)
    for shown, whole in zip(seen, [data["image"], *made], strict=True):
        cut = (shown == 0) & (whole != 0)
        torch.testing.assert_close(torch.where(cut, whole, shown), whole, rtol=0, atol=0)
        assert (cut.flatten(1).sum(1) >= 2 * 4 * 4).all()  # a square of 8 x 8 in 2 channels, a quarter of it at least
        assert len({tuple(image.flatten().tolist()) for image in cut}) > 4
    gradients = [parameter.grad for parameter in method.G.parameters()]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients[-2:])


def test_packed_images_stand_side_by_side() -> None:
    method, data = small_gan(FROZEN, pack=3), images_of(6)
    (seen, logits), (_, made) = watched(method.D), watched(method.G)
    method.train_step(data, 0)
    for shown, images in zip(seen, [data["image"], *made], strict=True):
        assert shown.shape == (2, 6, SIDE, SIDE)
        for row in (0, 1):
            torch.testing.assert_close(shown[row], torch.cat([*images[3 * row : 3 * row + 3]]), rtol=0, atol=0)
    assert [judged.shape for judged in logits] == [(2,)] * 3
    assert method.specs["D"]["measures"]["channels"] == 6


def test_one_batch_of_both_kinds_where_batch_norm_sees_them_together() -> None:
    for classes in (0, 3):
        joint, apart = (
            small_gan(FROZEN, classes, gan_loss="wgan", joint_batches=joint, **CONVOLUTIONAL) for joint in (True, False)
        )
        judge, data = copy.deepcopy(joint.D), images_of(4, classes)
        (seen, logits), (_, made) = watched(joint.D), watched(joint.G)
        scalars = joint.train_step(data, 0)
        assert [len(images) for images in seen] == [8, 8]  # once in D's step, once in G's
        for shown, fake in zip(seen, made, strict=True):
            torch.testing.assert_close(shown, torch.cat([data["image"], fake]), rtol=0, atol=0)
        labels = (data["label"],) if classes else ()
        torch.testing.assert_close(judge(seen[0], *(torch.cat([y, y]) for y in labels)), logits[0])
        torch.testing.assert_close(scalars["d/real"], -logits[0][:4].mean())
        torch.testing.assert_close(scalars["loss/g"], -logits[1][4:].mean())
        judge = copy.deepcopy(apart.D)
        alone, answers = watched(apart.D)
        apart.train_step(data, 0)
        assert [len(images) for images in alone] == [4, 4, 4]
        torch.testing.assert_close(judge(data["image"], *labels), answers[0])
        assert (answers[0] - logits[0][:4]).abs().max() > 0.01  # the statistics were others


# What bounds D.


def test_wgan_clips_and_tells_its_distance() -> None:
    method, data = small_gan(OptimConfig(name="rmsprop", lr=5e-3), gan_loss="wgan"), images_of(8)
    _, logits = watched(method.D)
    scalars = method.train_step(data, 0)
    assert weights_of(method.D).abs().max() == pytest.approx(0.01)
    assert weights_of(method.G).abs().max() > 0.1
    torch.testing.assert_close(scalars["d/distance"], logits[0].mean() - logits[1].mean())
    torch.testing.assert_close(scalars["loss/d"], -scalars["d/distance"])
    assert "loss/d_penalty" not in scalars
    other = small_gan(gan_loss="hinge", weight_clip=0.03)
    other.train_step(data, 0)
    assert weights_of(other.D).abs().max() == pytest.approx(0.03)


@pytest.mark.parametrize("classes", [0, 3])
def test_wgan_gp_by_hand(classes: int) -> None:
    method, data = small_gan(FROZEN, classes, gan_loss="wgan-gp"), images_of(4, classes)
    g, d, y = copy.deepcopy(method.G), copy.deepcopy(method.D), (data["label"],) if classes else ()
    torch.manual_seed(5)
    scalars = method.train_step(data, 0)
    torch.manual_seed(5)
    fake = g(torch.randn(4, 5), *y).detach()
    share = torch.rand(4, 1, 1, 1)
    between = (share * data["image"] + (1 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(d(between, *y).sum(), between)
    wanted = 10 * sum((float(image.norm()) - 1) ** 2 for image in gradient) / 4
    assert float(scalars["loss/d_penalty"]) == pytest.approx(wanted, rel=1e-5)
    distance = float((d(data["image"], *y).mean() - d(fake, *y).mean()).detach())
    assert float(scalars["loss/d"]) == pytest.approx(wanted - distance, rel=1e-5)
    assert method.config.clip is None


def test_spectral_norm_bounds_every_layer_of_the_critic() -> None:
    method, data = small_gan(OptimConfig(lr=0.02), discriminator=MLPCriticConfig(spectral_norm=True)), images_of(8)
    before = weights_of(method.D)
    for step in range(20):
        method.train_step(data, step)
    assert (weights_of(method.D) - before).abs().max() > 0.1
    method.opt_d.set_lr_factor(0)
    for step in range(20):  # the estimate of the largest singular value catches up with the weights
        method.train_step(data, step)
    layers = [layer for layer in method.D.modules() if isinstance(layer, nn.Linear)]
    assert [float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) for layer in layers] == pytest.approx(
        [1.0] * 3, abs=0.02
    )


# How they step.


def test_gradients_are_clipped_by_their_norm() -> None:
    method = small_gan(OptimConfig(name="sgd", lr=1.0, clip_norm=1e-3))
    before = weights_of(method.D), weights_of(method.G)
    method.train_step(images_of(8), 0)
    for first, network, stepper in zip(before, (method.D, method.G), (method.opt_d, method.opt_g), strict=True):
        assert stepper.grad_norm > 1e-3
        assert float((weights_of(network) - first).norm()) == pytest.approx(1e-3, rel=0.01)


def test_two_learning_rates() -> None:
    moved = []
    for lr_d in (None, 3e-2):
        method = small_gan(OptimConfig(name="sgd", lr=1e-2, lr_d=lr_d))
        before = weights_of(method.D)
        method.train_step(images_of(8), 0)
        moved.append(weights_of(method.D) - before)
        assert (method.opt_g.lr, method.opt_d.lr) == (1e-2, lr_d or 1e-2)
    torch.testing.assert_close(moved[1], 3 * moved[0], rtol=1e-3, atol=1e-7)


def test_dropout_in_g_in_training_and_if_wanted_after_it() -> None:
    method = small_gan(generator=MLPGeneratorConfig(dropout=0.5))
    z = method.noise(4)
    assert not torch.equal(method.G(z), method.G(z))
    for dropout in ("off", "sample"):
        with inference_mode(method.G, InferencePolicy.model_validate({"dropout": dropout})):
            assert torch.equal(method.G(z), method.G(z)) == (dropout == "off")


@pytest.mark.parametrize("scheme", ["normal", "xavier", "kaiming", "orthogonal"])
def test_initial_weights(scheme: Any) -> None:
    torch.manual_seed(0)
    generator, critic = MLPGeneratorConfig(init=scheme), MLPCriticConfig(init=scheme)
    method = GAN(GANConfig(generator=generator, discriminator=critic), channels=1, size=16)
    for network in (method.G, method.D):
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        for layer in layers[:-1]:
            rows, columns = layer.weight.shape
            wanted = {
                "normal": 0.02,
                "xavier": math.sqrt(2 / (rows + columns)),
                "kaiming": math.sqrt(2 / columns),
                "orthogonal": 1 / math.sqrt(max(rows, columns)),
            }[scheme]
            assert float(layer.weight.detach().std()) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("values", [{}, {"gan_loss": "wgan-gp"}, {"labels": {"real": [0.7, 1.2]}, "d_steps": 2}])
def test_mixed_precision(values: dict[str, Any]) -> None:
    torch.manual_seed(0)
    config = GANConfig.model_validate({"latent": 5, **values})
    precision = Precision("bf16")
    method = GAN(config, channels=2, size=SIDE, precision=precision)
    with precision.autocast():
        scalars = method.train_step(images_of(8), 0)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in scalars.values())
    assert not method.opt_d.skipped
    assert not method.opt_g.skipped


# What is refused.


class Run(Config):
    method: MethodConfig = GANConfig()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (["gan_loss=began"], "'began' is a method of its own and no GAN loss"),
        (["pack=2", "conditional=true"], "images side by side whose labels differ; set it to 1"),
        (["unroll=2", "gan_loss=wgan-gp"], "without the penalty wgan-gp; set it to 0"),
        (["unroll=2", "gan_loss=wgan"], "without clipping weights to 0.01; set it to 0"),
        (["labels.real=0.9", "gan_loss=hinge"], "'hinge' knows no labels"),
        (["labels.flip=0.5"], "must be less than 0.5"),
        (["augment=[colour]"], "'colour' is not known; did you mean 'color'"),
        (["d_steps=0"], "must be greater than 0"),
        (["input_noise.std=-1"], "must be greater than or equal to 0"),
    ],
)
def test_options_that_make_no_sense(settings: list[str], line: str) -> None:
    with pytest.raises(UserError, match=line) as error:
        resolve(Run, [parse_setting(f"method.{setting}") for setting in settings])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("config", "size", "batch_size", "line"),
    [
        (GANConfig(pack=2), 28, 5, "method.pack=2 does not divide a batch of 5; choose another --batch-size"),
        (GANConfig(), 28, 1, "norm=batch needs two images or more at a time"),
        (GANConfig(generator=DCGANGeneratorConfig()), 30, 4, "images of 30 pixels .* choose an --image-size of 28"),
        (GANConfig(discriminator=DCGANCriticConfig()), 30, 4, "images of 30 pixels .* choose an --image-size of 28"),
        (GANConfig(discriminator=DCGANCriticConfig(norm="batch"), gan_loss="dragan"), 28, 4, "norm=batch ties"),
    ],
)
def test_runs_that_cannot_be_are_refused_before_them(config: GANConfig, size: int, batch_size: int, line: str) -> None:
    with pytest.raises(UserError, match=line):
        config.completed(size, batch_size)


def test_what_is_completed() -> None:
    config = GANConfig(discriminator=DCGANCriticConfig(), gan_loss="wgan-gp", d_steps=5).completed(28, 1 + 1)
    assert config.discriminator == DCGANCriticConfig(norm="instance")
    assert (config.inference, config.batches_per_step) == (InferencePolicy(), 5)
    lone = GANConfig(generator=MLPGeneratorConfig(norm="none"), discriminator=Imported(name="mine:Critic"))
    assert lone.completed(30, 1).generator == lone.generator
    with pytest.raises(ValidationError):
        GANConfig(pack=0)


def test_a_user_hears_that_looking_ahead_takes_the_loss_s_place() -> None:
    (line,) = GANConfig(unroll=5).remarks(OptimConfig())
    assert "with unroll the generator climbs the discriminator's loss" in line
    assert GANConfig().remarks(OptimConfig()) == []
