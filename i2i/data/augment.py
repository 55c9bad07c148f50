"""Random crop, flip and the user's own transforms, drawn from a sample's place alone."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import numpy as np

from i2i.data.config import Augmentation, DataConfig
from i2i.data.geometry import Pixels
from i2i.errors import UserError, did_you_mean
from i2i.seeding import Key, sequence


class Augmenter:
    """Crop, flip and the configured transforms, drawn from a key alone, the same geometry for both images.

    Raises:
        UserError: a transform does not exist, or does not take its options or images of these channels and bits.
    """

    def __init__(self, config: DataConfig) -> None:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would look for news on the network when imported
        import albumentations as A

        # A label map must not be blended at its borders by rotations and the like.
        maps = {"a": config.resize_a, "b": config.resize_b}
        kinds = {side: "mask" if how == "nearest" else "image" for side, how in maps.items()}
        geometry: list[Any] = [A.RandomCrop(config.image_size, config.image_size)]
        if config.flip:
            geometry.append(A.HorizontalFlip(p=0.5))
        extra: dict[str, list[Any]] = {"both": [], "a": [], "b": []}
        rehearsed: list[tuple[Augmentation, Any]] = []
        for entry in config.augment:
            transform = getattr(A, entry.transform, None)
            if not (isinstance(transform, type) and issubclass(transform, A.BasicTransform)):
                names = [name for name, item in vars(A).items() if isinstance(item, type)]
                hint = did_you_mean(entry.transform, names)
                raise UserError(
                    f"data.augment: albumentations has no transform '{entry.transform}'"
                    f"{hint if 'did you mean' in hint else ''}"
                )
            try:
                extra[entry.on].append(transform(**entry.options))
                certain = transform(**{**entry.options, "p": 1.0})
            except (TypeError, ValueError) as error:
                raise UserError(f"data.augment: {entry.transform}: {' '.join(str(error).split())}") from error
            rehearsed.append((entry, A.Compose([certain], additional_targets=kinds)))
        _rehearse(sorted(rehearsed, key=lambda chosen: chosen[0].on != "both"), config)
        self._both = A.Compose(geometry + extra["both"], additional_targets=kinds)
        self._alone = {side: A.Compose(geometry + extra["both"] + extra[side]) for side in "ab"}
        self._each = {
            side: A.Compose(transforms) for side, transforms in extra.items() if side != "both" and transforms
        }

    def both(self, a: Pixels, b: Pixels, key: tuple[Key, ...]) -> tuple[Pixels, Pixels]:
        """Crop, flip and change both images in the same way; `a` may be `b` itself."""
        if a is b:
            photo = _draw(self._both, (*key, "both"), image=b)["image"]
            return photo, photo
        drawn = _draw(self._both, (*key, "both"), image=b, a=a, b=b)  # it wants an `image`, whatever else it is given
        return drawn["a"], drawn["b"]

    def alone(self, image: Pixels, side: str, key: tuple[Key, ...]) -> Pixels:
        """Crop, flip and change an image that has no partner, by the transforms for its side."""
        return _draw(self._alone[side], (*key, "alone", side), image=image)["image"]

    def each(self, a: Pixels, b: Pixels, key: tuple[Key, ...]) -> tuple[Pixels, Pixels]:
        """Change each image by the transforms that are for it alone."""
        if "a" in self._each:
            a = _draw(self._each["a"], (*key, "a"), image=a)["image"]
        if "b" in self._each:
            b = _draw(self._each["b"], (*key, "b"), image=b)["image"]
        return a, b


def _rehearse(transforms: Sequence[tuple[Augmentation, Any]], config: DataConfig) -> None:
    """Run transforms on noise, one after the other: many take 1 or 3 channels alone, some no 16 bits."""
    size, channels_b = (config.image_size, config.image_size), config.channels_b or 3
    channels_a = config.derive.channels if config.derive else config.channels_a or 3
    a, b = _noise(size, channels_a, config.bits), _noise(size, channels_b, config.bits)
    for entry, transform in transforms:
        try:
            if entry.on == "both" and config.derive:
                b = _draw(transform, ("trial",), image=b)["image"]
                a = _noise(b.shape[:2], channels_a, config.bits)
            elif entry.on == "both" and config.layout != "unpaired":
                drawn = _draw(transform, ("trial",), image=b, a=a, b=b)
                a, b = drawn["a"], drawn["b"]
            else:
                a = a if entry.on == "b" else _draw(transform, ("trial",), image=a)["image"]
                b = b if entry.on == "a" else _draw(transform, ("trial",), image=b)["image"]
        except Exception as error:  # each transform raises its own
            raise UserError(
                f"data.augment: {entry.transform}, on {entry.on}: does not take these images (A of {channels_a} "
                f"channels, B of {channels_b}, {config.bits or 8} bits): {shorten(str(error), 150).rstrip('.')}; "
                "leave it out"
            ) from error


def _noise(size: tuple[int, ...], channels: int, bits: int | None) -> Pixels:
    noise = np.random.default_rng(0).random((*size, channels), dtype=np.float32)
    return noise if bits == 16 else (noise * 255).astype(np.uint8)


def _draw(transform: Any, key: tuple[Key, ...], **images: Pixels) -> dict[str, Pixels]:
    """Run an albumentations transform whose every random draw comes from `key`."""
    seeds = sequence(*key)
    transform.set_random_state(np.random.default_rng(seeds), random.Random(int(seeds.generate_state(1)[0])))
    result: dict[str, Pixels] = transform(**images)
    return result
