"""What goes in and what is measured: by hand, by scikit-image, and by tables that papers print."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

from i2i.data import files
from i2i.data.geometry import resize
from i2i.errors import UserError
from i2i.inference.couples import match, measure
from i2i.inference.evaluation import Evaluation, Networks, Protocol, load_networks
from i2i.metrics import METRICS, frechet_distance
from i2i.metrics.features import Seen

REAL = Path(os.environ.get("I2I_REAL_IMAGES", "no folder of real images was named"))
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="I2I_REAL_IMAGES names no folder")

Picture = npt.NDArray[np.uint8]


class Means:
    """The mean of each channel, as features and as logits."""

    label, has_logits = "means", True

    def __call__(self, images: Tensor) -> Seen:
        means = images.mean(dim=(2, 3)).expand(-1, 3)
        return Seen(means, means)


class Difference(nn.Module):
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean(dim=(1, 2, 3))


NETWORKS = Networks({"lpips": Difference(), "lpips-vgg": Difference()}, Means())  # type: ignore[dict-item]


def enlarged(image: Picture, scale: int) -> Picture:
    """What bicubic interpolation makes of an image shrunken by a scale, both in bytes."""
    cut = Protocol(modcrop=scale).cut(image)
    height, width = cut.shape[:2]
    return resize(resize(cut, height // scale, width // scale), height, width)


def super_resolution(scale: int) -> Evaluation:
    return Evaluation(["psnr", "ssim"], Protocol(color="y", crop_border=scale, modcrop=scale))


@needs_real
@pytest.mark.parametrize(
    ("folder", "scale", "psnr", "ssim"),
    [
        ("set5", 2, 33.66, 0.9299),
        ("set5", 3, 30.39, 0.8682),
        ("set5", 4, 28.42, 0.8104),
        ("set14", 2, 30.24, 0.8688),
        ("set14", 3, 27.55, 0.7742),
        ("set14", 4, 26.00, 0.7027),
    ],
)
def test_the_bicubic_line_of_every_table_on_super_resolution(folder: str, scale: int, psnr: float, ssim: float) -> None:
    evaluation = super_resolution(scale)
    for path in files.list_images(REAL / folder):
        image = files.to_uint8(files.read(path))
        evaluation.add(path.stem, enlarged(image, scale), image)
    scores = evaluation.result().scores
    assert scores["psnr"].value == pytest.approx(psnr, abs=0.05)
    assert scores["ssim"].value == pytest.approx(ssim, abs=0.002)


@needs_real
def test_rain_against_clean() -> None:
    evaluation = Evaluation(["psnr"])
    result = measure(evaluation, match(REAL / "rain100l/input", REAL / "rain100l/target")).result
    assert result.scores["psnr"].value == pytest.approx(26.90, abs=0.5)  # of the 100, of which 12 are here


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_super_resolutions_protocol_step_by_step(scale: int) -> None:
    """On images that anyone may have: Y in whole levels, cut to a multiple, the border left out, grey as it is."""
    evaluation = super_resolution(scale)
    photos = {"cat": data.chelsea()[:130, :141], "moon": data.moon()[:103, :120, None]}
    for name, photo in photos.items():
        evaluation.add(name, enlarged(photo, scale), photo)
        cut = photo[: photo.shape[0] // scale * scale, : photo.shape[1] // scale * scale]
        x, y = (
            np.round(color.rgb2ycbcr(image)[..., 0]) if image.shape[2] == 3 else image[..., 0].astype(float)
            for image in (enlarged(photo, scale), cut)
        )
        x, y = (levels[scale:-scale, scale:-scale] for levels in (x, y))
        similarity = structural_similarity(
            y, x, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert evaluation.images[name] == {
            "psnr": pytest.approx(peak_signal_noise_ratio(y, x, data_range=255), abs=1e-9),
            "ssim": pytest.approx(similarity, abs=1e-9),
        }
    assert evaluation.describe() == (
        f"psnr, ssim: Y of BT.601 (16 to 235, rounded; grey as it is), border of {scale} px left out; SSIM: Gaussian "
        f"11x11, sigma 1.5, K1 0.01, K2 0.03, no padding; cut to a multiple of {scale}",
    )


def noisy(image: Picture, seed: int = 0) -> Picture:
    draw = np.random.default_rng(seed).normal(0, 20, image.shape)
    return (image + draw).round().clip(0, 255).astype(np.uint8)


CAT = data.chelsea()[60:124, 100:170]


def test_every_metric_is_measured() -> None:
    evaluation = Evaluation([*METRICS], networks=NETWORKS)
    for seed in range(20):
        evaluation.add(f"{seed}", noisy(CAT, seed), CAT)
    result = evaluation.result()
    assert [*result.scores] == [*METRICS]
    assert [*result.images["7"]] == [name for name, metric in METRICS.items() if metric.of_pairs]
    for name, score in result.scores.items():
        assert score.images == ((20, 20) if METRICS[name].kind == "features" else (20,))
        if METRICS[name].of_pairs:
            values = [image[name] for image in result.images.values()]
            assert (score.value, score.deviation) == pytest.approx((np.mean(values), np.std(values)))
    exact = np.abs(noisy(CAT, 3).astype(float) - CAT).mean() / 255
    assert result.images["3"]["l1"] == pytest.approx(exact)
    assert result.images["3"]["lpips"] == pytest.approx(2 * exact, rel=1e-5)  # in [-1, 1]
    sets = [
        torch.stack([Means()(torch.from_numpy(x.transpose(2, 0, 1))[None] / 255).features[0] for x in images])
        for images in ([noisy(CAT, seed) for seed in range(20)], 20 * [CAT])
    ]
    assert result.scores["fid"].value == pytest.approx(frechet_distance(*sets), rel=1e-4)
    assert result.notes == ()


def test_the_record_is_json_with_all_values() -> None:
    evaluation = Evaluation(["ssim", "psnr"], Protocol(crop_border=2))
    evaluation.add("one", noisy(CAT), CAT)
    result = evaluation.result()
    record = json.loads(json.dumps(result.record()))
    assert record["metrics"]["psnr"] == {
        "value": evaluation.images["one"]["psnr"],
        "deviation": None,
        "images": [1],
        "better": "higher",
    }
    assert record["images"] == [{"name": "one", **evaluation.images["one"]}]
    assert record["options"]["crop_border"] == 2
    assert record["versions"].keys() == {"i2i", "torch", "python"}
    assert [*record["metrics"]] == ["ssim", "psnr"]


def test_a_result_may_be_asked_for_in_between() -> None:
    evaluation = Evaluation(["l1", "fid"], networks=NETWORKS)
    assert evaluation.result().scores == {}
    for name in "abc":
        evaluation.add(name, noisy(CAT, ord(name)), CAT)
        assert evaluation.result().scores["l1"].images == (ord(name) - ord("a") + 1,)
    assert evaluation.result().scores["fid"].images == (3, 3)


def test_sets_need_no_partners() -> None:
    evaluation = Evaluation(["kid", "l1"], networks=NETWORKS)
    for seed in range(3):
        evaluation.add(f"out{seed}", output=noisy(CAT, seed))
    evaluation.add("in0", target=CAT)
    evaluation.add("in1", target=noisy(CAT, 9)[:50])
    result = evaluation.result()
    assert result.images == {}
    assert result.scores.keys() == {"kid"}
    assert result.scores["kid"].images == (3, 2)


def test_notes_say_what_a_reader_should_know() -> None:
    evaluation = Evaluation(["psnr", "iou", "fid", "is"], networks=NETWORKS)
    evaluation.add("same", CAT, CAT)
    white = np.full_like(CAT, 255)
    for name in "ab":
        evaluation.add(name, white, white[..., :1])
    notes = evaluation.result().notes
    assert notes[0] == "2 outputs had other channels than their targets, and were given these"
    assert notes[1] == "3 outputs are equal to their targets, for which psnr counts 100 dB"
    assert notes[2].startswith("8") or notes[2].startswith("7")
    assert notes[2].endswith(
        "of the targets' pixels are white, so taken for marks; if the marks are black: --marks black"
    )
    assert notes[3] == "'is' is left out: 10 splits take at least 20 images"
    assert notes[4].startswith("fid: too high where images are no more than features (3)")
    assert len(notes) == 5


def test_channels_are_the_targets() -> None:
    evaluation = Evaluation(["l1"])
    grey = CAT[..., :1]
    evaluation.add("grey target", np.repeat(grey, 3, axis=2), grey)
    evaluation.add("grey output", grey, CAT)
    alpha = np.dstack([CAT, np.zeros(CAT.shape[:2], np.uint8)])
    evaluation.add("transparent is white", alpha, np.full_like(CAT, 255))
    assert evaluation.images["grey target"]["l1"] == evaluation.images["transparent is white"]["l1"] == 0
    assert evaluation.images["grey output"]["l1"] == pytest.approx(np.abs(grey.astype(float) - CAT).mean() / 255)
    many = np.zeros((20, 20, 7), np.uint8)
    evaluation.add("seven", many, many + np.uint8(51))
    assert evaluation.images["seven"]["l1"] == pytest.approx(0.2)


def test_sixteen_bits_are_compared_as_such() -> None:
    evaluation = Evaluation(["l1", "psnr"])
    target = np.zeros((20, 20, 1), np.uint16)
    evaluation.add("fine", target + np.uint16(1), target)
    assert evaluation.images["fine"]["l1"] == pytest.approx(1 / 65535)
    evaluation.add("mixed", (np.arange(400) % 256).astype(np.uint8).reshape(20, 20, 1), target)
    assert evaluation.images["mixed"]["l1"] == pytest.approx((np.arange(400) % 256).mean() / 255)


def test_marks() -> None:
    output, target = np.zeros((2, 10, 10, 3), np.uint8)
    output[:5], target[:4] = 128, 255
    target[4:] = 127
    evaluation = Evaluation(["iou"])
    evaluation.add("white", output, target)
    assert evaluation.images["white"]["iou"] == pytest.approx(4 / 5)
    evaluation = Evaluation(["iou"], Protocol(marks="black"))
    evaluation.add("black", output, target)
    assert evaluation.images["black"]["iou"] == pytest.approx(5 / 6)
    evaluation = Evaluation(["f1"], Protocol(tolerance=1))
    evaluation.add("near", output, target)
    assert evaluation.images["near"]["f1"] == 1
    assert evaluation.describe() == ("f1: white pixels are marks (from grey level 128 on white), tolerance 1 px",)


@pytest.mark.parametrize(
    ("protocol", "output", "target", "reason"),
    [
        ({}, CAT[1:], CAT, "x: the output is 70x63 and its target 70x64"),
        ({"crop_border": 32}, CAT, CAT, "x: nothing of 70x64 is left without a border of 32 pixels"),
        ({"modcrop": 65}, CAT, CAT, "x: 70x64 cannot be cut to a multiple of 65"),
        (
            {"color": "y"},
            np.zeros((9, 9, 5), np.uint8),
            np.zeros((9, 9, 5), np.uint8),
            "x: Y is of RGB images, not of 5",
        ),
        ({}, np.zeros((9, 9, 5), np.uint8), np.zeros((9, 9, 3), np.uint8), "x: an image of 5 channels cannot"),
    ],
)
def test_what_cannot_be_compared(protocol: dict[str, object], output: Picture, target: Picture, reason: str) -> None:
    evaluation = Evaluation(["psnr"], Protocol.model_validate(protocol))
    with pytest.raises(UserError, match=reason):
        evaluation.add("x", output, target)
    assert evaluation.result().images == {}


def test_names_are_taken_once() -> None:
    evaluation = Evaluation(["l1"])
    evaluation.add("x", CAT, CAT)
    with pytest.raises(ValueError, match="two images of the name x"):
        evaluation.add("x", CAT, CAT)


def test_networks_are_loaded_for_what_needs_them(tmp_path: Path) -> None:
    assert load_networks(["psnr", "iou"]) == Networks()
    seeing = [name for name, entry in METRICS.items() if entry.kind not in ("pixels", "masks")]
    for name in seeing:
        with pytest.raises(ValueError, match=f"{name} look through networks"):
            Evaluation(["psnr", name])
    for metrics, reason in (
        (["psnr"], "no metric looks at features"),
        (["fid", "is"], "leave that or 'is' out"),
    ):
        with pytest.raises(UserError, match=reason):
            load_networks(metrics, features=tmp_path / "own.onnx")
        with pytest.raises(UserError, match=r"\.pth: is missing, and"):
            load_networks([name], weights=tmp_path)
    assert seeing == ["lpips", "lpips-vgg", "fid", "kid", "mifid", "is"]
    for metrics, reason in (([], "names none"), (["psnr", "fdi"], "no metric 'fdi'; did you mean 'fid'")):
        with pytest.raises(UserError, match=reason):
            Evaluation(metrics)
