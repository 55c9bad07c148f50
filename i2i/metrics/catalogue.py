"""What can be measured: what each metric is, where it comes from and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from i2i.errors import UserError, did_you_mean

Kind = Literal["pixels", "masks", "lpips", "features", "logits"]

TORCH_WEIGHTS = "in torch's cache; pip install 'i2i[metrics]'"
ANY_FEATURES = f"Inception's weights {TORCH_WEIGHTS}; or features of your own"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: as it is typed.
        about: what it is, in one line.
        source: the paper.
        better: whether higher or lower values are better.
        kind: what it looks at: pixels, masks, a pair through LPIPS's network, features of two sets of images, or logits
            of one.
        needs: files and libraries that are not there from the start.
        digits: how many decimals tables show.
        unit: of its values, if they have one.
    """

    name: str
    about: str
    source: str
    better: Literal["higher", "lower"]
    kind: Kind
    needs: str = ""
    digits: int = 4
    unit: str = ""

    @property
    def of_pairs(self) -> bool:
        """Whether it compares each output with its target, rather than two sets."""
        return self.kind in ("pixels", "masks", "lpips")

    @property
    def per(self) -> str:
        """What it is a number of, in words."""
        return {"features": "two sets of images", "logits": "the outputs as a set"}.get(self.kind, "pair of images")


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "peak signal-to-noise ratio", "no single paper", "higher", "pixels", digits=2, unit="dB"),
        Metric("ssim", "structural similarity", "Wang et al. 2004", "higher", "pixels"),
        Metric("l1", "mean absolute difference, as a share of the range", "no single paper", "lower", "pixels"),
        Metric(
            "lpips",
            "difference as AlexNet sees it, weighted after people's judgements",
            "Zhang et al. 2018, version 0.1",
            "lower",
            "lpips",
            f"AlexNet's weights {TORCH_WEIGHTS}",
        ),
        Metric(
            "lpips-vgg",
            "the same through VGG-16",
            "Zhang et al. 2018, version 0.1",
            "lower",
            "lpips",
            f"VGG-16's weights {TORCH_WEIGHTS}",
        ),
        Metric(
            "fid",
            "Frechet distance of the features of two sets of images; biased where they are few",
            "Heusel et al. 2017",
            "lower",
            "features",
            ANY_FEATURES,
            digits=2,
        ),
        Metric(
            "kid",
            "kernel distance of the features; unbiased",
            "Binkowski et al. 2018",
            "lower",
            "features",
            ANY_FEATURES,
            digits=5,
        ),
        Metric(
            "mifid",
            "fid, made worse where outputs are copies of TARGETS, the training images",
            "Bai et al. 2021",
            "lower",
            "features",
            ANY_FEATURES,
            digits=2,
        ),
        Metric(
            "is",
            "Inception Score: outputs are clear, each in its own way; knows no targets",
            "Salimans et al. 2016",
            "higher",
            "logits",
            f"Inception's weights {TORCH_WEIGHTS}",
            digits=2,
        ),
        Metric("iou", "intersection over union of marks", "no single paper", "higher", "masks"),
        Metric("f1", "harmonic mean of precision and recall of marks", "no single paper", "higher", "masks"),
        Metric(
            "precision", "share of the output's marks that the target has too", "no single paper", "higher", "masks"
        ),
        Metric("recall", "share of the target's marks that the output has too", "no single paper", "higher", "masks"),
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
