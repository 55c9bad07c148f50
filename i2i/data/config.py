"""What a run can say of its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from i2i.config import Config, natural
from i2i.data.derive import DerivationConfig
from i2i.data.files import MAX_CHANNELS as MAX_CHANNELS
from i2i.data.layouts import Layout

Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]
Resize = Literal["bicubic", "nearest"]
PAPER_JITTER = 286 / 256  # Isola et al. 2017, section 6.2: enlarge to 286, crop 256


class Augmentation(Config):
    """One albumentations transform, applied in training after crop and flip.

    Attributes:
        transform: name of a class of albumentations, such as ``RandomBrightnessContrast``.
        on: which image of the pair; ``both`` draws the same change for both.
        options: its arguments.
    """

    transform: str
    on: Literal["both", "a", "b"] = "both"
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _natural_options(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "options" in values:
            return {**values, "options": natural(values["options"])}
        return values


class Part(Config):
    """What one of several folders of A gives: its channels, and how its images are resized."""

    channels: Channels
    resize: Resize


class DataConfig(Config):
    """Where the images are and how they become batches. None means: found out from the files, and then recorded.

    Attributes:
        source: name of a data set or path of a folder (`--data`).
        source_b: the folder of B, where A and B are given apart (`--data-b`).
        layout: how the folder is arranged.
        folder_a: name of the subfolder that holds A, where there are two; of several, such as ``[clean, mask]``, the
            channels are put together in that order.
        folder_b: name of the subfolder that holds B.
        direction: AtoB learns A to B; BtoA swaps the two.
        image_size: side of the square that the networks see in training.
        load_size: size before the random crop; None: 286/256 of `image_size`, as in the paper, and `image_size` for
            images that stand alone.
        aspect: ``squash`` resizes to a square (pix2pix and CycleGAN papers), ``keep`` resizes the short side, ``crop``
            resizes nothing but what is smaller than `image_size`.
        resize_a: how A is resized; None: nearest neighbour for label maps and masks, else antialiased bicubic.
        resize_b: how B is resized.
        channels_a: channels of A; images of more than 4 are taken as they are.
        channels_b: channels of B.
        parts_a: what each folder of A gives, where there are several.
        channels: channels of images that stand alone, where a method learns from those: 1 grey, 3 colour.
        classes: names of the class folders to take, in their order, or of the classes that IDX files number; empty:
            found out from the files.
        boxes: a folder of annotations (Pascal VOC XML), by whose bounding boxes images that stand alone are cut.
        bits: 8, or 16 where the files hold 16-bit values, which are then kept; None: as the files.
        derive: how A is made from the photos B, or from given pairs.
        flip: mirror half of the training images.
        augment: more transforms of training images.
        val_share: share of the training images held out for validation where no folder is set aside for it.
        val_images: most validation images that are used during training.
        bad_files: ``refuse`` to start when images are broken or unmatched, or ``skip`` them.
        batch_size: images per step.
        keep: whether the training images are decoded once and kept on the device, where batches are cut from them:
            ``auto`` keeps them on a GPU where nothing but crop and flip changes them, all have one size before the
            crop, and a quarter of its free memory holds them; ``device`` insists, on any device; ``off`` never.
        workers: loader processes, where images are not kept; None: chosen from device and cores.
    """

    source: str = ""
    source_b: str | None = None
    layout: Layout | None = None
    folder_a: str | tuple[str, ...] | None = None
    folder_b: str | None = None
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    image_size: PositiveInt = 256
    load_size: PositiveInt | None = None
    aspect: Literal["squash", "keep", "crop"] | None = None
    resize_a: Resize | None = None
    resize_b: Resize | None = None
    channels_a: Channels | None = None
    channels_b: Channels | None = None
    parts_a: tuple[Part, ...] = ()
    channels: Channels | None = None
    classes: tuple[str, ...] = ()
    boxes: str | None = None
    bits: Annotated[int, Field(ge=8, le=16, multiple_of=8)] | None = None
    derive: DerivationConfig | None = None
    flip: bool = True
    augment: tuple[Augmentation, ...] = ()
    val_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    val_images: PositiveInt = 100
    bad_files: Literal["refuse", "skip"] = "refuse"
    batch_size: PositiveInt = 1
    keep: Literal["auto", "device", "off"] = "auto"
    workers: NonNegativeInt | None = None

    @field_validator("folder_a")
    @classmethod
    def _each_folder_once(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(value, tuple) and not 0 < len(value) == len(set(value)):
            raise ValueError("name each of the folders of A once, such as [clean,mask]")
        return value

    @model_validator(mode="after")
    def _load_size_holds_crop(self) -> DataConfig:
        if self.load_size is not None and self.aspect == "crop":
            raise ValueError("with aspect=crop images keep their own size; leave data.load_size out")
        if self.load_size is not None and self.load_size < self.image_size:
            raise ValueError(
                f"load_size {self.load_size} is smaller than image_size {self.image_size}: nothing could be cropped; "
                f"set data.load_size to at least {self.image_size}"
            )
        return self

    @property
    def scale(self) -> int:
        """How many times smaller than B the images of A are."""
        return self.derive.scale if self.derive else 1

    @property
    def resolved_load_size(self) -> int:
        """The size before the random crop."""
        return self.load_size or round(self.image_size * PAPER_JITTER)
