"""`i2i list`: what it shows of each catalogue, in 80 columns."""

from __future__ import annotations

import subprocess
import sys

import pytest

from i2i.cli import main
from i2i.cli.list_ import SECTIONS
from i2i.losses import GAN_LOSSES, PENALTIES
from i2i.metrics import METRICS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(capsys: Capture, *what: str) -> str:
    capsys.readouterr()
    assert main(["list", *what]) == 0
    return capsys.readouterr().out


def words(text: str) -> str:
    """Return the text as if it had not been wrapped."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("what", "there"),
    [
        ("presets", "pix2pix"),
        ("data", "edges2cats"),
        ("methods", "cyclegan"),
        ("generators", "unet"),
        ("discriminators", "patchgan"),
        ("derivations", "downscale"),
        ("losses", "nonsaturating"),
        ("penalties", "r1"),
        ("metrics", "lpips-vgg"),
    ],
)
def test_one_list(what: str, there: str, capsys: Capture) -> None:
    text = shown(capsys, what)
    assert f"\n {there} " in text
    assert text in shown(capsys)


def test_everything_fits_into_eighty_columns(capsys: Capture) -> None:
    text = shown(capsys)
    assert max(map(len, text.splitlines())) <= 80
    assert [name for name in SECTIONS if shown(capsys, name) not in text] == []


def test_losses_with_all_that_belongs_to_them(capsys: Capture) -> None:
    text = shown(capsys, "losses")
    for loss in GAN_LOSSES.values():
        assert f" {loss.name} " in text
        assert f" D        {loss.d_formula} " in text  # in one line
        assert f" G        {loss.g_formula} " in text
    assert words("source Gulrajani et al. 2017, eq. 3") in words(text)
    for line in (
        " minimax (mm)   D        -E log s(Cr) - E log(1 - s(Cf))",
        " (ns, vanilla,  G        -E log s(Cf)",
        " weights  of D, clipped to +-0.01",
        " optim    rmsprop, lr 5e-05, 5 critic steps",
        " penalty  wgan-gp (weight 10)",
        " optim    adam, lr 0.0001, betas 0 and 0.9, 5 critic steps",
        " penalty  r1 (weight 5), r2 (weight 5)",
    ):
        assert line in text
    assert text.count(" weights ") == 1
    assert text.count(" optim ") == 2


def test_penalties_with_weight_and_paper(capsys: Capture) -> None:
    text = shown(capsys, "penalties")
    assert " wgan-gp (gp)  term     E (|grad C(x)| - 1)^2 at x = e r + (1 - e) f" in text
    for term in PENALTIES.values():
        assert f"weight   {term.weight:g} " in text
        assert words(f"weight {term.weight:g} source {term.source.split(',')[0]}") in words(text)


def test_metrics_with_what_they_need(capsys: Capture) -> None:
    text = shown(capsys, "metrics")
    assert " mifid      what     fid, made worse" in text
    assert "of       two sets of images; lower is better" in text
    assert words("needs AlexNet's weights, pip install 'i2i[metrics]'") in words(text)
    assert text.count(" needs ") == sum(bool(metric.needs) for metric in METRICS.values())


def test_long_texts_go_on_below_themselves(capsys: Capture) -> None:
    lines = shown(capsys, "losses").splitlines()
    (at,) = [number for number, line in enumerate(lines) if "source   Mao et al." in line]
    start = lines[at].index("Mao")
    assert lines[at + 1][:start].strip() == ""
    assert lines[at + 1][start] != " "


@pytest.mark.parametrize(
    ("typed", "meant"), [("loses", "losses"), ("penalty", "penalties"), ("preset", "presets"), ("generator", "gener")]
)
def test_a_typo_is_answered_in_one_line(typed: str, meant: str, capsys: Capture) -> None:
    assert main(["list", typed]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"error: there is no list of '{typed}'; did you mean '{meant}")


def test_an_unknown_word_is_answered_with_all_lists(capsys: Capture) -> None:
    assert main(["list", "xyz"]) == 2
    line = capsys.readouterr().err
    assert all(name in line for name in SECTIONS)


def test_presets_and_data_are_listed_without_torch() -> None:
    probe = "from i2i.cli import main; import sys; main(['list', 'presets']); main(['list', 'data'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{probe}; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
