"""What every method offers to the loop that trains it and to those who look at its pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from i2i.config import Config
from i2i.methods.adversary import AdversarialConfig
from i2i.nn import (
    DiscriminatorConfig,
    GeneratorConfig,
    InferencePolicy,
    fitted_to_size,
    refuse_small_images,
)
from i2i.optim import Stepper

Batch = Mapping[str, Tensor]
Scalars = dict[str, Tensor]
Direction = Literal["AtoB", "BtoA"]


def detached(scalars: Scalars) -> Scalars:
    """Return the scalars without their graphs, which would keep the step's memory alive."""
    return {name: value.detach() for name, value in scalars.items()}


def network_spec(config: Config, in_channels: int, out_channels: int) -> dict[str, Any]:
    """Return what a weights file must say for its network to be built again."""
    return {"config": config.model_dump(mode="json"), "in_channels": in_channels, "out_channels": out_channels}


class TranslationConfig(AdversarialConfig):
    """What the options of all methods that translate images have in common; each gives its own defaults.

    Attributes:
        generator: the networks that make images.
        discriminator: the networks that judge them.
        inference: how the generators run when they do not train; None: statistics of each image after training at
            batch 1, as in the papers, running statistics otherwise, and no dropout.
    """

    generator: GeneratorConfig
    discriminator: DiscriminatorConfig
    inference: InferencePolicy | None = None

    def completed(self, image_size: int, batch_size: int) -> Self:
        """Return these options with everything left None chosen for training at that size and batch.

        Raises:
            UserError: the images are too small for a network, or the discriminator's norm forbids the loss's penalty.
        """
        self = self.with_norm()
        generator = fitted_to_size(self.generator, image_size)
        for network in (generator, self.discriminator):
            refuse_small_images(network, image_size, batch_size)
        policy = self.inference or InferencePolicy(statistics="image" if batch_size == 1 else "running")
        return self.model_copy(update={"generator": generator, "inference": policy})


class Method(ABC):
    """A published algorithm: its networks, its optimizers, and one step of its training.

    Attributes:
        networks: every network by the name that files and scalars use, such as ``G`` and ``D``.
        specs: what it takes to build each network again: its configuration and channels, in JSON's types.
        steppers: the optimizers by the name that scalars use, such as ``g`` and ``d``.
        generators: the names of the networks that make images: those that are averaged and used for translation.
        policy: how the generators run when they do not train (batch-norm statistics, dropout).
        needs: what it learns from: pairs, or two heaps of images that do not belong together.
        compared: captions of `pictures`, (outputs, what they should look like), by whose variety a collapse is noticed.
        lower_is_better: the validation scalars that fall with learning; the first one chooses the best checkpoint.
    """

    networks: dict[str, nn.Module]
    specs: dict[str, dict[str, Any]]
    steppers: dict[str, Stepper]
    policy: InferencePolicy
    generators: ClassVar[tuple[str, ...]]
    needs: ClassVar[Literal["pairs", "heaps"]]
    compared: ClassVar[tuple[tuple[str, str], ...]]
    lower_is_better: ClassVar[tuple[str, ...]]

    @abstractmethod
    def train_step(self, batch: Batch, step: int) -> Scalars:
        """Take one step of training and return its named scalars, still on the device.

        Args:
            batch: images ``[N, C, H, W]`` in [-1, 1] by domain, such as ``a`` and ``b``.
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
