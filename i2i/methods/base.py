"""What every method offers to the loop that trains it and to those who look at its pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, Self

from torch import Tensor, nn

from i2i.config import Config
from i2i.losses.perceptual import PerceptualConfig
from i2i.methods.adversary import AdversarialConfig
from i2i.nn import (
    DiscriminatorConfig,
    GeneratorConfig,
    InferencePolicy,
    Kind,
    fitted_to_size,
    refuse_small_images,
)
from i2i.optim import Stepper

Batch = Mapping[str, Tensor]
Scalars = dict[str, Tensor]
Direction = Literal["AtoB", "BtoA"]

# Where a run's options of the perceptual loss stand, for what errors say.
PERCEPTUAL_KEY = "method.perceptual"


class Measured(Protocol):
    """What methods must know of data: `i2i.data.Data` has it."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the networks' input and output, or of images that stand alone."""
        ...

    @property
    def config(self) -> Any:
        """The data's options, ``image_size`` among them."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...


def detached(scalars: Scalars) -> Scalars:
    """Return the scalars without their graphs, which would keep the step's memory alive."""
    return {name: value.detach() for name, value in scalars.items()}


def network_spec(kind: Kind, config: Config, **measures: int) -> dict[str, Any]:
    """Return what a weights file must say for its network to be built again (`i2i.nn.build_network`)."""
    return {"kind": kind, "config": config.model_dump(mode="json"), "measures": measures}


class TranslationConfig(AdversarialConfig):
    """What the options of all methods that translate images have in common; each gives its own defaults.

    Attributes:
        generator: the networks that make images.
        discriminator: the networks that judge them.
        perceptual: the features by which images are compared where that is asked for.
        inference: how the generators run when they do not train; None: statistics of each image after training at
            batch 1, as in the papers, running statistics otherwise, and no dropout.
    """

    generator: GeneratorConfig
    discriminator: DiscriminatorConfig
    perceptual: PerceptualConfig = PerceptualConfig()
    inference: InferencePolicy | None = None

    @property
    def batches_per_step(self) -> int:
        """How many batches of images a step takes."""
        return 1

    @property
    def plays(self) -> bool:
        """Whether generators play against discriminators."""
        return True

    @property
    def sees_features(self) -> bool:
        """Whether the perceptual loss is used."""
        return False

    def completed(self, image_size: int, batch_size: int, scale: int = 1) -> Self:
        """Return these options with everything left None chosen for training at that size and batch.

        Args:
            image_size: side of the images in pixels; of the outputs, where inputs are smaller.
            batch_size: images of a step.
            scale: how many times smaller than outputs inputs are.

        Raises:
            UserError: the images are too small for a network, the generator does not enlarge by `scale`, the
                discriminator's norm forbids the loss's penalty, or the perceptual loss has no weights.
        """
        if self.sees_features:
            self.perceptual.refuse_small(image_size, PERCEPTUAL_KEY)
            self.perceptual.find_weights(PERCEPTUAL_KEY)
        self = self.with_norm()
        generator = fitted_to_size(self.generator, image_size, scale)
        for network in (generator, self.discriminator) if self.plays else (generator,):
            refuse_small_images(network, image_size, batch_size)
        policy = self.inference or InferencePolicy(statistics="image" if batch_size == 1 else "running")
        return self.model_copy(update={"generator": generator, "inference": policy})


class Method(ABC):
    """A published algorithm: its networks, its optimizers, and one step of its training.

    Attributes:
        networks: every network by the name that files and scalars use, such as ``G`` and ``D``.
        specs: what it takes to build a network again (`network_spec`), of all that are of use by themselves.
        steppers: the optimizers by the name that scalars use, such as ``g`` and ``d``.
        generators: the names of the networks that make images: those that are averaged and used for translation.
        policy: how the generators run when they do not train (batch-norm statistics, dropout).
        needs: what it learns from: pairs, two heaps of images that do not belong together, or images of one kind.
        compared: captions of `pictures`, (outputs, what they should look like), by whose variety a collapse is noticed.
        lower_is_better: the validation scalars that fall with learning; the first one chooses the best checkpoint.
        pictures_of_images: whether `pictures` shows what becomes of the images that it is given, or what is made of
            noise, which is the same whichever they are.
        recordable: whether every call of `train_step` puts the same work on the device, decided by nothing that lies
            on the host, so that it can be recorded once and played.
    """

    networks: dict[str, nn.Module]
    specs: dict[str, dict[str, Any]]
    steppers: dict[str, Stepper]
    policy: InferencePolicy
    generators: ClassVar[tuple[str, ...]]
    needs: ClassVar[Literal["pairs", "heaps", "images"]]
    compared: ClassVar[tuple[tuple[str, str], ...]]
    lower_is_better: tuple[str, ...]
    pictures_of_images: ClassVar[bool] = True
    recordable: ClassVar[bool] = False

    @classmethod
    def measures(cls, data: Measured) -> dict[str, int]:
        """Return the constructor's arguments that follow from the data."""
        channels_a, channels_b = data.channels
        return {"channels_a": channels_a, "channels_b": channels_b}

    @abstractmethod
    def train_step(self, batch: Batch, step: int) -> Scalars:
        """Take one step of training and return its named scalars, still on the device.

        Args:
            batch: images ``[N, C, H, W]`` in [-1, 1] by domain, such as ``a`` and ``b``; ``label`` is int64 ``[N]``.
            step: the number of steps before this one.
        """

    @abstractmethod
    def validate(self, batch: Batch, generators: Mapping[str, nn.Module]) -> Scalars:
        """Return validation scalars, one value per image ``[N]``.

        Args:
            batch: as for `train_step`.
            generators: the networks to judge by name (averaged weights, where there are any), in inference mode.
        """

    @abstractmethod
    def outcomes(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return what metrics compare: images that were made, and what they should be, or be like.

        Both are [N, C, H, W] in [-1, 1]; their key is what tells directions apart, and is appended to a metric's name.
        """

    @abstractmethod
    def pictures(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Return the columns of a contact sheet by caption, each ``[N, C, H, W]`` in [-1, 1]."""

    @abstractmethod
    def translations(self, direction: Direction) -> dict[str, Direction]:
        """Return which generator translates which way.

        Args:
            direction: the run's direction.
        """

    def state(self) -> dict[str, Tensor]:
        """Return what else a checkpoint must hold for an exact resume (image pools and the like)."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        assert not state
