"""Class labels in networks: beside what they see (Mirza & Osindero 2014), or projected (Miyato & Koyama 2018)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from i2i.errors import UserError

Conditioning = Literal["concat", "projection"]


def append_labels(x: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Return `x` [N, C, ...] with the labels' one-hot vectors as `classes` more channels, constant over an image.

    One-hot (Mirza & Osindero 2014, section 3.2), for the layer behind multiplies it by a matrix, whose columns are a
    learned embedding of the classes; an embedding in front of it would say the same with more weights.

    Args:
        x: vectors [N, C] or maps [N, C, H, W].
        labels: int64 [N], each in 0 to classes - 1; None without classes.
        classes: number of classes; 0 returns `x` as it is.

    Raises:
        ValueError: labels are missing, not expected, or not int64 [N].
    """
    checked = check_labels(labels, classes, x.shape[0])  # len(x) would fix the size of a graph
    if checked is None:
        return x
    vectors = one_hot(checked, classes).to(x.dtype)
    return torch.cat([x, vectors.reshape(*vectors.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], dim=1)


def check_labels(labels: Tensor | None, classes: int, count: int) -> Tensor | None:
    """Return the labels of `count` samples. Their values are not looked at: on a GPU that would wait for it.

    Raises:
        ValueError: labels are missing, not expected, or not int64 [count].
    """
    if labels is None:
        if classes:
            raise ValueError(f"the network was built for {classes} classes and needs labels, int64 [{count}]")
        return None
    if not classes:
        raise ValueError("the network was built without classes and takes no labels")
    if labels.dtype != torch.int64 or labels.ndim != 1 or labels.shape[0] != count:
        found = f"{str(labels.dtype).removeprefix('torch.')} {list(labels.shape)}"
        raise ValueError(f"the labels must be int64 [{count}], not {found}")
    return labels


class Critic(nn.Module):
    """Judges whole images: a trunk that makes features [N, F] of them, and a linear head on those.

    Other heads may share the trunk, such as InfoGAN's Q (Chen et al. 2016, section 6): they take `features`, which have
    `num_features` values, and `judge` makes of the same features what `forward` makes of the images. With `pack` images
    that are judged together (PacGAN, Lin et al. 2018) it is a critic of images with ``channels * pack`` channels.

    With classes, `concat` shows the trunk the label beside the image: one-hot, as constant planes behind the channels
    of maps or as values behind a vector. `projection` leaves the trunk alone and adds <e(y), f> to the head's output
    (Miyato & Koyama 2018, eq. 3), with e(y) a learned vector for each class and f the features.

    Args:
        trunk: maps what `flat` says, with the label's planes or values where the mode is `concat`, to [N, F].
        num_features: F.
        channels: channels of the images.
        size: their side in pixels.
        classes: number of classes; 0 for none.
        conditioning: how the labels are taken in; without meaning if there are none.
        outputs: values per image.
        flat: the trunk takes vectors [N, C * H * W] in place of images.

    Raises:
        UserError: `projection` with several outputs: its formula has one.
    """

    def __init__(
        self,
        trunk: nn.Module,
        num_features: int,
        *,
        channels: int,
        size: int,
        classes: int,
        conditioning: Conditioning,
        outputs: int,
        flat: bool = False,
    ) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.num_features = num_features
        self.classes = classes
        self.outputs = outputs
        self.flat = flat
        self.trunk = trunk
        self.head = nn.Linear(num_features, outputs)
        self.embedding: nn.Embedding | None = None
        if classes and conditioning == "projection":
            if outputs != 1:
                raise UserError(
                    f"conditioning 'projection' is made for 1 output, not {outputs}; choose conditioning 'concat'"
                )
            self.embedding = nn.Embedding(classes, num_features)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `images` [N, C, size, size] in [-1, 1] to what the head sees, [N, F].

        Args:
            images: the images to judge.
            labels: their classes, int64 [N]; not used by `projection`.

        Raises:
            ValueError: the images have another shape, or the labels are missing, not expected, or not int64 [N].
        """
        if images.shape[1:] != self.shape:
            raise ValueError(f"the critic judges images {['N', *self.shape]}, not {list(images.shape)}")
        x = images.flatten(1) if self.flat else images
        if self.embedding is None:
            x = append_labels(x, labels, self.classes)
        features: Tensor = self.trunk(x)
        return features

    def judge(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `features` [N, F] to raw outputs [N], or [N, outputs] if there are several.

        Args:
            features: what `features` returned.
            labels: int64 [N]; used by `projection` alone.

        Raises:
            ValueError: `projection` misses its labels, or they are not int64 [N].
        """
        outputs: Tensor = self.head(features)
        if self.embedding is not None:
            embedded = self.embedding(check_labels(labels, self.classes, features.shape[0]))
            outputs = outputs + (embedded * features).sum(dim=1, keepdim=True)
        return outputs.squeeze(1) if self.outputs == 1 else outputs

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `images` [N, C, size, size] in [-1, 1] and their `labels` to raw outputs [N] or [N, outputs]."""
        return self.judge(self.features(images, labels), labels)
