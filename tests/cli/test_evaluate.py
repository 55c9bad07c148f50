"""`i2i evaluate`: what a user types, and what is written or said."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2i.cli import main
from i2i.data import files

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folders() -> None:
    """Flat images: outputs of level 51 n against black targets, the last of which has no output."""
    for number in range(4):
        if number < 3:
            files.write(Path(f"out/{number}.png"), np.full((20, 30, 3), 51 * number, np.uint8))
        files.write(Path(f"target/{number}.bmp"), np.zeros((20, 30, 3), np.uint8))


def told(capsys: Capture, *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["evaluate", "out", *words, "--device", "cpu"]) == code
    return capsys.readouterr().out


def refused(capsys: Capture, *words: str) -> str:
    """Return the one line of the error."""
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert main(["evaluate", "out", *words, "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(Path().rglob("*")) == before
    return line


def test_a_table_json_and_a_page(capsys: Capture) -> None:
    out = told(
        capsys, "target", "--metrics", "l1, psnr,l1", "--json", "m.json", "--report", "page", "--crop-border", "2"
    )
    lines = [line.split() for line in out.splitlines()]
    assert ["l1", "0.2000", "±", "0.1633", "3", "lower"] in lines
    psnr = (100 + 20 * np.log10([5, 2.5]).sum()) / 3
    assert next(line for line in lines if line[0] == "psnr")[1:3] == [f"{psnr:.2f}", "dB"]
    assert "without a partner: target/3.bmp" in out
    assert "l1, psnr: RGB, 0 to 255, border of 2 px left out" in out
    assert "note: 1 outputs are equal to their targets" in out
    assert "json: m.json" in out
    assert "report: page/report.html" in out
    record = json.loads(Path("m.json").read_text())
    assert (record["outputs"], record["targets"]) == ("out", "target")
    assert record["metrics"]["l1"]["value"] == pytest.approx(0.2)
    assert [image["l1"] for image in record["images"]] == pytest.approx([0, 0.2, 0.4])
    assert record["without_partner"] == ["target/3.bmp"]
    page = Path("page/report.html").read_text()
    assert page.count("<img") == 9
    assert page.index("best by l1") < page.index("median by l1") < page.index("worst by l1")

    assert "m.json: exists already" in refused(capsys, "target", "--json", "m.json")
    assert "report.html: exists already" in refused(capsys, "target", "--report", "page")
    told(capsys, "target", "--json", "m.json", "--report", "page", "--overwrite", "--rank", "ssim")
    assert "best by ssim" in Path("page/report.html").read_text()


def test_files_that_cannot_be_read_are_named_and_the_code_is_1(capsys: Capture) -> None:
    Path("out/1.png").write_bytes(b"")
    assert main(["evaluate", "out", "target", "--json", "m.json"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "failed: out/1.png: is empty (0 bytes)\n"
    assert " 2 " in captured.out
    assert json.loads(Path("m.json").read_text())["failed"] == ["out/1.png: is empty (0 bytes)"]


class Means(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def test_sets_by_features_of_ones_own(capsys: Capture) -> None:
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(Means()), "own.pt")
    assert "add --trust" in refused(capsys, "target", "--metrics", "fid", "--features", "own.pt")
    out = told(capsys, "target", "--metrics", "fid,kid", "--features", "own.pt", "--trust", "--json", "m.json")
    record = json.loads(Path("m.json").read_text())
    # means 0.2 and 0 in each of three channels; covariances 0.04 in each pair of channels, and 0
    assert record["metrics"]["fid"]["value"] == pytest.approx(3 * 0.04 + 3 * 0.04, rel=1e-5)
    assert record["metrics"]["fid"]["images"] == [3, 4]
    assert "fid, kid: features of own.pt (sha256 " in out
    assert "without a partner" not in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["target", "--metrics", "pnsr"], "there is no metric 'pnsr'; did you mean 'psnr'?"),
        (["target", "--metrics", " , "], "--metrics: names none"),
        (
            ["target", "--rank", "fid", "--report", "page"],
            "--rank fid: must be one of the metrics of pairs that are measured (psnr, ssim, l1)",
        ),
        (["target", "--rank", "l1"], "--rank: belongs to --report; add that, or leave it out"),
        (["target", "--tolerance", "2"], "--tolerance: belongs to iou, f1, precision, recall; add one of them"),
        (["target", "--marks", "black"], "--marks: belongs to iou, f1"),
        (["target", "--metrics", "fid", "--color", "y"], "--color: belongs to psnr, ssim, l1; add one of them"),
        (["target", "--metrics", "iou", "--crop-border", "4"], "--crop-border: belongs to psnr, ssim, l1"),
        ([], "TARGETS is missing, which psnr, ssim, l1 needs: i2i evaluate out TARGETS"),
        (["gone"], "gone: there is no such folder"),
        (
            ["target", "--metrics", "lpips", "--weights", "w"],
            "w/alexnet-owt-7be5be79.pth: is missing, and LPIPS takes it",
        ),
        (["target", "--metrics", "is", "--weights", "w"], "w/weights-inception-2015-12-05-6726825d.pth: is missing"),
        (["target", "--features", "own.onnx"], "--features: no metric looks at features"),
        (["target", "--device", "abacus"], "no device 'abacus'"),
        (["target", "--crop-border", "10"], "0: nothing of 30x20 is left without a border of 10 pixels"),
    ],
)
def test_mistakes_end_in_one_line(words: list[str], reason: str, capsys: Capture) -> None:
    if "--device" in words:
        assert main(["evaluate", "out", *words]) == 2
        assert reason in capsys.readouterr().err
    else:
        assert reason in refused(capsys, *words)
