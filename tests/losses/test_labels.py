"""Labels other than 1 and 0: their losses written out, how they are drawn, and how they are typed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from i2i.config import Config, parse_setting, resolve
from i2i.errors import UserError
from i2i.losses import GAN_LOSSES, LabelsConfig, gan_loss
from i2i.losses.labels import AGAINST

LABELLED = pytest.mark.parametrize("name", list(AGAINST))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def options(**values: object) -> LabelsConfig:
    return LabelsConfig.model_validate(values)


def labels_drawn(config: LabelsConfig, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the labels that real and fake logits of that shape were held against, from lsgan's gradient at 0."""
    real, fake = torch.zeros(2, *shape, dtype=torch.float64).requires_grad_().unbind()
    on_real, on_fake = config.d_terms(gan_loss("lsgan"), real, fake)
    slopes = torch.autograd.grad(on_real + on_fake, (real, fake))
    return -slopes[0] * real.numel() / 2, -slopes[1] * fake.numel() / 2  # of (0 - y)^2 / n it is -2 y / n


@pytest.mark.parametrize("name", ["nonsaturating", "minimax", "dragan"])
def test_one_sided_smoothing_of_a_cross_entropy(name: str) -> None:
    real, fake = torch.randn(2, 5, 1, 3, 3, dtype=torch.float64) * 4
    on_real, on_fake = options(real=0.9).d_terms(gan_loss(name), real, fake)
    wanted = (0.9 * softplus(-real) + 0.1 * softplus(real)).mean()
    torch.testing.assert_close((on_real, on_fake), (wanted, softplus(fake).mean()), rtol=1e-12, atol=0)


def test_smoothing_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.4]), torch.tensor([1.0, -0.5])
    on_real, on_fake = options(real=0.9, fake=[0.1, 0.1]).d_terms(gan_loss("lsgan"), real, fake)
    assert on_real.item() == pytest.approx((1.1**2 + 0.5**2) / 2)
    assert on_fake.item() == pytest.approx((0.9**2 + 0.6**2) / 2)
    even, odd = options(real=0.9, fake=0.1).d_terms(gan_loss("ns"), torch.zeros(1), torch.tensor([3.0]))
    assert even.item() == pytest.approx(0.6931472)  # log 2, whatever the label
    assert odd.item() == pytest.approx(0.1 * 0.0485874 + 0.9 * 3.0485874)


def test_the_best_logit_is_the_label_s() -> None:
    logit = torch.zeros(1, requires_grad=True)
    for _ in range(400):
        term, _ = options(real=0.9).d_terms(gan_loss("ns"), logit, logit.detach())
        logit = (logit - 2 * torch.autograd.grad(term, logit)[0]).detach().requires_grad_()
    assert logit.sigmoid().item() == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize("shape", [(6000,), (6000, 1), (6000, 1, 2, 3)])
def test_ranges_are_drawn_from_uniformly_once_per_image(shape: tuple[int, ...]) -> None:
    drawn = labels_drawn(options(real=(0.7, 1.2), fake=(0, 0.3)), shape)
    for labels, (low, high) in zip(drawn, ((0.7, 1.2), (0.0, 0.3)), strict=True):
        labels = labels.flatten(1) if labels.ndim > 1 else labels[:, None]
        assert (labels - labels[:, :1]).abs().max() < 1e-12
        assert len(set(labels[:, 0].tolist())) > 5900
        assert low - 1e-9 <= labels.min() < low + 0.01
        assert high - 0.01 < labels.max() <= high + 1e-9
        assert labels.mean().item() == pytest.approx((low + high) / 2, abs=0.01)
        assert labels[:, 0].std().item() == pytest.approx((high - low) / 12**0.5, rel=0.05)
    assert torch.corrcoef(torch.stack([x.flatten()[:: x[0].numel()] for x in drawn]))[0, 1].abs() < 0.05


def test_a_share_of_either_kind_gets_labels_of_the_other() -> None:
    on_real, on_fake = labels_drawn(options(flip=0.2), (8000,))
    assert set(on_real.tolist()) == set(on_fake.tolist()) == {0.0, 1.0}
    assert (on_real == 0).double().mean().item() == pytest.approx(0.2, abs=0.015)
    assert (on_fake == 1).double().mean().item() == pytest.approx(0.2, abs=0.015)
    assert ((on_real == 0) & (on_fake == 1)).double().mean().item() == pytest.approx(0.04, abs=0.01)  # independently
    on_real, _ = labels_drawn(options(real=(0.7, 1.2), fake=(0, 0.3), flip=0.3), (8000,))
    swapped = on_real[on_real < 0.5]
    assert len(swapped) / 8000 == pytest.approx(0.3, abs=0.02)
    assert swapped.max() <= 0.3 + 1e-9
    assert on_real[on_real > 0.5].min() >= 0.7 - 1e-9


@pytest.mark.parametrize("name", list(GAN_LOSSES))
def test_plain_labels_are_the_loss_itself_and_draw_nothing(name: str) -> None:
    real, fake = torch.randn(2, 4, 1, 3, 3) * 5
    state = torch.get_rng_state()
    found, wanted = LabelsConfig().d_terms(gan_loss(name), real, fake), gan_loss(name).d_terms(real, fake)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    LabelsConfig().refuse_unlabelled(gan_loss(name))


@LABELLED
def test_labels_almost_plain_are_almost_the_loss_itself(name: str) -> None:
    real, fake = torch.randn(2, 4, 1, 3, 3, dtype=torch.float64) * 5
    found = options(real=1 - 1e-12).d_terms(gan_loss(name), real, fake)
    torch.testing.assert_close(found, gan_loss(name).d_terms(real, fake), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(GAN_LOSSES) - set(AGAINST)))
def test_losses_without_labels_refuse_them(name: str) -> None:
    for labels in (options(real=0.9), options(fake=[0, 0.3]), options(flip=0.1)):
        with pytest.raises(UserError) as caught:
            labels.refuse_unlabelled(gan_loss(name))
        assert str(caught.value).startswith(f"method.labels: '{name}' knows no labels")
        assert "\n" not in str(caught.value)
        assert "lsgan" in str(caught.value)


def test_a_cross_entropy_without_a_minimum_is_refused() -> None:
    # label 1.2: -1.2 log s(x) - (1 - 1.2) log s(-x) is -0.2 x for large x
    term, _ = options(real=1.2).d_terms(gan_loss("ns"), torch.tensor([1000.0]), torch.zeros(1))
    assert term.item() == pytest.approx(-200)
    with pytest.raises(UserError, match=r"method\.labels\.real: .*'nonsaturating' falls .* is 1\.15"):
        options(real=(1.1, 1.2)).refuse_unlabelled(gan_loss("ns"))
    with pytest.raises(UserError, match=r"method\.labels\.fake: .* of this range is -0\.1; choose"):
        options(fake=(-0.2, 0)).refuse_unlabelled(gan_loss("minimax"))
    options(real=(0.7, 1.2), fake=(-0.1, 0.1)).refuse_unlabelled(gan_loss("ns"))
    options(real=(1.1, 1.2), fake=-1).refuse_unlabelled(gan_loss("lsgan"))


@LABELLED
def test_extreme_logits_and_low_precision(name: str) -> None:
    config, loss = options(real=0.9, fake=0.2), gan_loss(name)
    extreme = torch.tensor([-1000.0, 0.0, 1000.0], requires_grad=True)
    terms = config.d_terms(loss, extreme, extreme)
    (slope,) = torch.autograd.grad(terms[0] + terms[1], extreme)
    assert all(term.isfinite() for term in terms)
    assert slope.isfinite().all()
    low, high = torch.randn(2, 4, 1, 5, 5).bfloat16()
    wanted = config.d_terms(loss, low.float(), high.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = config.d_terms(loss, low, high)
    assert [term.dtype for term in found] == [torch.float32] * 2
    assert found[0].item() == wanted[0].item()
    assert found[1].item() == wanted[1].item()


class Method(Config):
    labels: LabelsConfig = LabelsConfig()


class Run(Config):
    method: Method = Method()


def typed(*settings: str) -> LabelsConfig:
    return resolve(Run, [parse_setting(setting) for setting in settings]).method.labels


def test_labels_as_they_are_typed() -> None:
    assert typed().plain
    assert typed("method.labels.real=0.9") == options(real=(0.9, 0.9))
    ranges = typed("method.labels.real=[0.7,1.2]", "method.labels.fake=[0, 0.3]")
    assert ranges == options(real=(0.7, 1.2), fake=(0, 0.3))
    assert typed("method.labels={real: 9e-1, flip: 5e-2}") == options(real=0.9, flip=0.05)
    saved = options(real=(0.7, 1.2), flip=0.1)
    assert LabelsConfig.model_validate(saved.model_dump(mode="json")) == saved


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("real=high", "option 'method.labels.real': must be a number or a range such as [0.7, 1.2], not 'high'"),
        ("real=null", "option 'method.labels.real': must be a number or a range such as [0.7, 1.2], not 'null'"),
        ("real=[1.2,0.7]", "option 'method.labels.real': a range must go up, and [1.2, 0.7] goes down"),
        ("fake=nan", "option 'method.labels.fake': must be a number or a range such as [0.7, 1.2], not 'nan'"),
        ("fake=[0,inf]", "option 'method.labels.fake.1' must be a finite number, not 'inf'"),
        ("flip=0.5", "option 'method.labels.flip' must be less than 0.5, not '0.5'"),
        ("flip=-1", "option 'method.labels.flip' must be greater than or equal to 0, not '-1'"),
    ],
)
def test_what_is_no_label_is_named(setting: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        typed(f"method.labels.{setting}")
    assert str(caught.value) == f"--set method.labels.{setting}: {line}"
