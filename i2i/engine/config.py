"""The whole configuration of a run, and how presets, recipes and flags lie on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from i2i.config import Config, Layer, read_yaml, resolve
from i2i.data import DataConfig, Source, find_source
from i2i.errors import UserError
from i2i.methods import MethodConfig, Pix2PixConfig
from i2i.optim import OptimConfig, PrecisionName
from i2i.resources import find_yaml


class TrainConfig(Config):
    """How long and on what a run trains, and how often it reports.

    Attributes:
        epochs: passes over the training images; either this or `steps`.
        steps: optimizer steps.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: arithmetic of the forwards; ``auto`` is bf16 where the device has it.
        channels_last: memory layout of images and weights; None: the one that is faster on the device.
        deterministic: use the device's repeatable kernels where there are any, which are slower; a CPU repeats itself.
        ema: decay of the generator's averaged weights; None: no average, as in the papers.
        log_every: steps between lines of scalars; None: about a hundred in a run, at most 50 steps apart.
        validate_every: steps between validations and sheets; None: twenty in a run, 50 to 1000 steps apart.
        sheet_rows: validation images on a sheet.
        checkpoint_minutes: minutes between checkpoints.
        checkpoint_every: steps between checkpoints, beside the minutes; None: by minutes alone.
        keep: how many of the newest checkpoints stay.
        keep_every: checkpoints at multiples of this many steps stay for good; None: none do.
    """

    epochs: PositiveFloat | None = None
    steps: PositiveInt | None = None
    device: str = "auto"
    precision: PrecisionName = "auto"
    channels_last: bool | None = None
    deterministic: bool = False
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    log_every: PositiveInt | None = None
    validate_every: PositiveInt | None = None
    sheet_rows: PositiveInt = 8
    checkpoint_minutes: PositiveFloat = 10.0
    checkpoint_every: PositiveInt | None = None
    keep: PositiveInt = 3
    keep_every: PositiveInt | None = None

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps are both given; keep one and set the other to null")
        return self

    def total_steps(self, count: int, batch_size: int) -> int:
        """Return the number of steps over `count` images; 200 epochs where nothing was said, as in the papers."""
        if self.steps is not None:
            return self.steps
        return max(1, round((self.epochs or 200) * count / batch_size))

    def log_interval(self, total: int) -> int:
        """Return the steps between lines of scalars."""
        return self.log_every or min(50, max(1, total // 100))

    def validation_interval(self, total: int) -> int:
        """Return the steps between validations."""
        return self.validate_every or min(1000, max(50, total // 20))


class RunConfig(Config):
    """Everything a run was told, saved in its folder and in every checkpoint."""

    preset: str = ""
    seed: NonNegativeInt = 0
    method: MethodConfig = Pix2PixConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()

    def completed(self, data: DataConfig) -> RunConfig:
        """Return the configuration with nothing left None that the data or other options decide."""
        method = self.method.completed(data.image_size, data.batch_size)
        return self.model_copy(update={"data": data, "method": method})


def compose(
    preset: str, data: str | None, flags: Sequence[Layer], *, recipe_alone: bool = False
) -> tuple[RunConfig, Source]:
    """Return the configuration of a new run: the preset, the data set's own options, then flags on top.

    Args:
        preset: name of a preset or path of a YAML.
        data: what `--data` says; None: what the preset names.
        flags: layers of options, later ones on top.
        recipe_alone: leave out what `i2i data prepare` noted, for it is about to be made anew.

    Raises:
        UserError: a preset, a data set or an option is wrong.
    """
    base = read_yaml(find_yaml(preset, "configs", "preset"))
    named = [_source_in(layer) for layer in (base, *flags)]
    source = find_source(data or next(filter(None, reversed(named)), ""), recipe_alone=recipe_alone)
    own = Layer("the run", {"preset": preset, "data": {"source": source.given}})
    return resolve(RunConfig, [base, *source.layers, *flags, own]), source


def _source_in(layer: Layer) -> str:
    """Return the data set that a layer names, if it names one."""
    section = layer.options.get("data", {})
    if not isinstance(section, dict):
        raise UserError(f"{layer.origin}: option 'data' must hold options such as `source: NAME`, not '{section}'")
    source = section.get("source", "")
    if not isinstance(source, str):
        raise UserError(f"{layer.origin}: option 'data.source' must be a name or a path, not '{source}'")
    return source
