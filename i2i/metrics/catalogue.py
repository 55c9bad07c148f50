"""What can be measured: what each metric is, where it comes from and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from i2i.errors import UserError, did_you_mean

Kind = Literal["pixels", "masks", "lpips", "features", "logits"]

LIBRARIES = "pip install 'i2i[metrics]'"
INCEPTION = f"InceptionV3's weights, {LIBRARIES}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: as it is typed.
        about: what it is, in one line.
        better: whether higher or lower values are better.
        kind: what it looks at: pixels, masks, a pair through LPIPS's network, features of two sets of images, or logits
            of one.
        source: the paper, where there is one.
        needs: files and libraries that are not there from the start.
        digits: how many decimals tables show.
        unit: of its values, if they have one.
    """

    name: str
    about: str
    better: Literal["higher", "lower"]
    kind: Kind
    source: str = ""
    needs: str = ""
    digits: int = 4
    unit: str = ""

    @property
    def of_pairs(self) -> bool:
        """Whether it compares each output with its target, rather than two sets."""
        return self.kind in ("pixels", "masks", "lpips")

    @property
    def of(self) -> str:
        """What it is a value of, in words."""
        return {"features": "two sets of images", "logits": "one set of images"}.get(self.kind, "a pair of images")


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "peak signal-to-noise ratio", "higher", "pixels", digits=2, unit="dB"),
        Metric("ssim", "structural similarity", "higher", "pixels", "Wang et al. 2004"),
        Metric("l1", "mean absolute difference, as a share of the range", "lower", "pixels"),
        Metric(
            "lpips",
            "difference as AlexNet sees it, weighted after people's judgements",
            "lower",
            "lpips",
            "Zhang et al. 2018, version 0.1",
            f"AlexNet's weights, {LIBRARIES}",
        ),
        Metric(
            "lpips-vgg",
            "the same as VGG-16 sees it",
            "lower",
            "lpips",
            "Zhang et al. 2018, version 0.1",
            f"VGG-16's weights, {LIBRARIES}",
        ),
        Metric(
            "fid",
            "Frechet distance of features; too high where images are few",
            "lower",
            "features",
            "Heusel et al. 2017",
            f"{INCEPTION}; or --features",
            digits=2,
        ),
        Metric(
            "kid",
            "kernel distance of features; right on average however few the images",
            "lower",
            "features",
            "Binkowski et al. 2018",
            f"{INCEPTION}; or --features",
            digits=5,
        ),
        Metric(
            "mifid",
            "fid, made worse where outputs are copies of TARGETS, the training images",
            "lower",
            "features",
            "Bai et al. 2021",
            f"{INCEPTION}; or --features",
            digits=2,
        ),
        Metric(
            "is",
            "Inception Score: each output is clearly of a class, together they are of many",
            "higher",
            "logits",
            "Salimans et al. 2016",
            INCEPTION,
            digits=2,
        ),
        Metric("iou", "intersection over union of a mask's marks", "higher", "masks"),
        Metric("f1", "harmonic mean of precision and recall", "higher", "masks"),
        Metric("precision", "share of the output's marks that the target has too", "higher", "masks"),
        Metric("recall", "share of the target's marks that the output has too", "higher", "masks"),
    )
}


def metrics_named(names: Sequence[str]) -> tuple[Metric, ...]:
    """Return the metrics of those names, each once.

    Raises:
        UserError: there is none, or none of that name.
    """
    if not names:
        raise UserError(f"--metrics: names none; choose of: {', '.join(METRICS)}")
    for name in names:
        if name not in METRICS:
            raise UserError(f"there is no metric '{name}'{did_you_mean(name, METRICS)} (see: i2i list metrics)")
    return tuple(METRICS[name] for name in dict.fromkeys(names))
