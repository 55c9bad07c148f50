"""The user's own transforms, drawn from a sample's place alone; crop and flip come before them (`i2i.data.crops`)."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np

from i2i.data.config import Augmentation, DataConfig, Resize
from i2i.data.geometry import Pixels
from i2i.errors import UserError, did_you_mean
from i2i.seeding import Key, sequence


@dataclass(frozen=True)
class Domain:
    """One of the kinds of images that are learned from: its channels, and how it is resized."""

    channels: int
    resize: Resize


class Augmenter:
    """The configured transforms, drawn from a key alone, those for both images with the same geometry for both.

    Args:
        config: options.
        domains: the images of an item by name: ``a`` and ``b``, also ``a2`` ... where A is put together of several, or
            one that stands alone.

    Raises:
        UserError: a transform does not exist, or does not take its options or images of these channels and bits.
    """

    def __init__(self, config: DataConfig, domains: Mapping[str, Domain]) -> None:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would look for news on the network when imported
        import albumentations as A

        # A label map must not be blended at its borders by rotations and the like.
        kinds = {name: "mask" if domain.resize == "nearest" else "image" for name, domain in domains.items()}
        paired = {name: kind for name, kind in kinds.items() if len(kinds) > 1}
        self._inputs = [name for name in domains if name != "b"]
        self._cuts = np.cumsum([domains[name].channels for name in self._inputs])[:-1]
        extra: dict[str, list[Any]] = {"both": [], **{name: [] for name in domains}}
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
            if entry.on not in extra:
                raise UserError(
                    f"data.augment: {entry.transform}: there is no {entry.on.upper()}, for images stand alone here; "
                    "leave its `on` out"
                )
            try:
                extra[entry.on].append(transform(**entry.options))
                certain = transform(**{**entry.options, "p": 1.0})
            except (TypeError, ValueError) as error:
                raise UserError(f"data.augment: {entry.transform}: {' '.join(str(error).split())}") from error
            rehearsed.append((entry, A.Compose([certain], additional_targets=paired)))
        _rehearse(rehearsed, config, domains)
        self._both = A.Compose(extra["both"], additional_targets=paired)
        self._alone = {name: A.Compose(extra["both"] + extra[name]) for name in domains}
        self._each = {
            side: A.Compose(transforms) for side, transforms in extra.items() if side != "both" and transforms
        }

    def both(self, a: Pixels, b: Pixels, key: tuple[Key, ...]) -> tuple[Pixels, Pixels]:
        """Change both images in the same way; `a` may be `b` itself."""
        if a is b:
            photo = _draw(self._both, (*key, "both"), image=b)["image"]
            return photo, photo
        parts = self._apart(a)
        drawn = _draw(
            self._both, (*key, "both"), image=b, b=b, **parts
        )  # it wants an `image`, whatever else it is given
        return _together([drawn[name] for name in parts]), drawn["b"]

    def alone(self, image: Pixels, domain: str, key: tuple[Key, ...]) -> Pixels:
        """Change an image that has no partner, by the transforms for its domain."""
        return _draw(self._alone[domain], (*key, "alone", domain), image=image)["image"]

    def each(self, a: Pixels, b: Pixels, key: tuple[Key, ...]) -> tuple[Pixels, Pixels]:
        """Change each image by the transforms that are for it alone; of several that A consists of, the first."""
        if "a" in self._each:
            first, *rest = self._apart(a).values()
            a = _together([_draw(self._each["a"], (*key, "a"), image=first)["image"], *rest])
        if "b" in self._each:
            b = _draw(self._each["b"], (*key, "b"), image=b)["image"]
        return a, b

    def _apart(self, a: Pixels) -> dict[str, Pixels]:
        """Return the images that A consists of by their names: one, unless it is put together of several folders'."""
        return dict(zip(self._inputs, np.split(a, self._cuts, axis=2), strict=True))


def _together(images: Sequence[Pixels]) -> Pixels:
    return images[0] if len(images) == 1 else np.concatenate(images, axis=2)


def _rehearse(
    transforms: Sequence[tuple[Augmentation, Any]], config: DataConfig, domains: Mapping[str, Domain]
) -> None:
    """Run transforms on noise, one after the other: many take 1 or 3 channels alone, some no 16 bits."""
    derive, size = config.derive, (config.image_size, config.image_size)
    images = {name: _noise(size, domain.channels, config.bits) for name, domain in domains.items()}
    if derive is not None:  # A is not made yet; there is a mask in its place, or nothing
        del images["a"]
        if derive.takes == "pairs":
            images["a"] = _noise(size, 1, config.bits)
    for entry, transform in transforms:
        if entry.on == "both":
            images = _tried(entry, transform, images, config)
    if derive is not None:
        height, width = images["b"].shape[:2]
        if height % derive.magnification or width % derive.magnification:
            raise UserError(
                f"data.augment: makes images of {width}x{height} pixels, which do not divide by "
                f"{derive.magnification}, by which data.derive.name={derive.name} shrinks photos; choose another size"
            )
        images["a"] = _noise((height // derive.scale, width // derive.scale), domains["a"].channels, config.bits)
    for entry, transform in transforms:
        if entry.on != "both":
            images = _tried(entry, transform, images, config)


def _tried(entry: Augmentation, transform: Any, images: dict[str, Pixels], config: DataConfig) -> dict[str, Pixels]:
    """Return the images of an item, by their names, as a transform changes them, or refuse it."""
    try:
        if entry.on == "both" and len(images) > 1 and config.layout != "unpaired":
            drawn = _draw(transform, ("trial",), image=images["b"], **images)
            return {name: drawn[name] for name in images}
        names = images if entry.on == "both" else (entry.on,)
        return images | {name: _draw(transform, ("trial",), image=images[name])["image"] for name in names}
    except Exception as error:  # each transform raises its own
        where = f", on {entry.on}" if "b" in images else ""
        channels = ", ".join(f"{name.upper()} of {image.shape[2]} channels" for name, image in sorted(images.items()))
        raise UserError(
            f"data.augment: {entry.transform}{where}: does not take these images ({channels}, {config.bits or 8} "
            f"bits): {shorten(str(error), 150).rstrip('.')}; leave it out"
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
