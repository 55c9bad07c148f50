"""The whole configuration of a run, and how presets, recipes and flags lie on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from i2i.config import Config, Layer, OneOrMore, read_yaml, resolve
from i2i.data import DataConfig, Source, find_source
from i2i.errors import UserError, did_you_mean
from i2i.inference.trained import TrainedModel, TrainedNetwork, open_model
from i2i.methods import METHODS, MethodConfig, Pix2PixConfig
from i2i.methods.base import TranslationConfig
from i2i.metrics import METRICS
from i2i.nn import Imported
from i2i.optim import OptimConfig, PrecisionName
from i2i.resources import find_yaml

TASK = ("derive", "folder_a", "folder_b", "direction")  # data options by which a preset says what is learned


class TrainConfig(Config):
    """How long and on what a run trains, and how often it reports.

    Attributes:
        epochs: passes over the training images; either this or `steps`.
        steps: optimizer steps.
        init_from: a trained model (a run, a checkpoint, foreign files) whose weights training begins with; its networks
            are taken over with them.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: arithmetic of the forwards; ``auto`` is bf16 where the device has it.
        channels_last: memory layout of images and weights; None: the one that is faster on the device.
        products: on a CPU, compute convolutions over few positions as matrix products (`i2i.nn.convolution`).
        graph: record a step as a CUDA graph and play it; None: where the device and the method allow it.
        compile: let `torch.compile` make kernels of the networks; takes minutes before the first step.
        deterministic: use the device's repeatable kernels where there are any, which are slower; a CPU repeats itself.
        ema: decay of the generator's averaged weights; None: no average, as in the papers.
        log_every: steps between lines of scalars; None: about a hundred in a run, at most 50 steps apart.
        validate_every: steps between validations and sheets; None: twenty in a run, 50 to 1000 steps apart.
        metrics: what is measured on the validation images besides, by names that `i2i list metrics` shows; scalars
            ``metric/NAME``.
        best: the validation scalar by which the best checkpoint is kept, such as ``val/psnr`` or ``metric/lpips``;
            None: the method's own.
        sheet_rows: validation images on a sheet.
        checkpoint_minutes: minutes between checkpoints.
        checkpoint_every: steps between checkpoints, beside the minutes; None: by minutes alone.
        keep: how many of the newest checkpoints stay.
        keep_every: checkpoints at multiples of this many steps stay for good; None: none do.
    """

    epochs: PositiveFloat | None = None
    steps: PositiveInt | None = None
    init_from: str | None = None
    device: str = "auto"
    precision: PrecisionName = "auto"
    channels_last: bool | None = None
    products: bool = True
    graph: bool | None = None
    compile: bool = False
    deterministic: bool = False
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    log_every: PositiveInt | None = None
    validate_every: PositiveInt | None = None
    metrics: Annotated[tuple[str, ...], OneOrMore] = ()
    best: str | None = None
    sheet_rows: PositiveInt = 8
    checkpoint_minutes: PositiveFloat = 10.0
    checkpoint_every: PositiveInt | None = None
    keep: PositiveInt = 3
    keep_every: PositiveInt | None = None

    @field_validator("metrics")
    @classmethod
    def _metrics_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in METRICS:
                raise ValueError(f"there is no metric '{name}'{did_you_mean(name, METRICS)} (see: i2i list metrics)")
        return names

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps are both given; keep one and set the other to null")
        return self

    def total_steps(self, count: int, batch_size: int) -> int:
        """Return the number of steps over `count` images; 200 epochs where nothing was said, as in the papers.

        Args:
            count: training images.
            batch_size: images that a step takes.
        """
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

    @property
    def images_per_step(self) -> int:
        """Images that a step of training takes."""
        return self.data.batch_size * self.method.batches_per_step

    def completed(self, data: DataConfig) -> RunConfig:
        """Return the configuration with nothing left None that the data or other options decide."""
        sizes = {"image_size": data.image_size, "batch_size": data.batch_size}
        if isinstance(self.method, TranslationConfig):
            sizes["scale"] = getattr(data.derive, "scale", 1)
        method = self.method.completed(**sizes)
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
    named = _last_named((base, *flags), "data", "source")
    source = find_source(data or named or "", recipe_alone=recipe_alone)
    own = Layer("the run", {"preset": preset, "data": {"source": source.given}})
    layers = [base, *source.layers, _task_of(base)]
    init_from = _last_named((base, *flags), "train", "init_from")
    if init_from is None:
        return resolve(RunConfig, [*layers, *flags, own]), source
    model = open_model(init_from)
    recorded = Layer("the run", {"train": {"init_from": str(model.path.resolve())}})
    config = resolve(RunConfig, [*layers, _taken_over(model), *flags, own, recorded])
    _refuse_other_networks(model, config)
    return _with_channels_of(model, config), source


def _task_of(preset: Layer) -> Layer:
    """Return what a preset says of what is made of what, which goes over how a data set is read by itself."""
    data = preset.options.get("data", {})
    return Layer(preset.origin, {"data": {key: data[key] for key in TASK if key in data}})


def _last_named(layers: Sequence[Layer], section: str, key: str) -> str | None:
    """Return what the layers say of an option that must be known before they can be laid on top of each other."""
    named = None
    for layer in layers:
        options = layer.options.get(section, {})
        if not isinstance(options, dict):
            raise UserError(
                f"{layer.origin}: option '{section}' must hold options such as `{key}: NAME`, not '{options}'"
            )
        value = options.get(key) or None
        if not isinstance(value, str | None):
            raise UserError(f"{layer.origin}: option '{section}.{key}' must be a name or a path, not '{value}'")
        named = value or named
    return named


def part_of(network: TrainedNetwork) -> str:
    """Return what a method's options call a network of that kind."""
    return "generator" if network.kind in ("generator", "noise_generator") else "discriminator"


def _taken_over(model: TrainedModel) -> Layer:
    """Return the options that build the networks of a trained model again."""
    parts: dict[str, Any] = {}
    for network in model.networks.values():
        # Whoever fine-tunes code of his own names it himself: a file's word is not enough to run it.
        if not isinstance(network.config, Imported):
            parts[part_of(network)] = network.config.model_dump(mode="json")
    told = {} if model.foreign else {"direction": model.data.direction}
    return Layer(f"--init-from {model.path}", {"method": parts, "data": told})


def _refuse_other_networks(model: TrainedModel, config: RunConfig) -> None:
    """Refuse options by which a trained generator would not fit; a discriminator that does not begins anew."""
    for name, network in model.networks.items():
        if part_of(network) == "discriminator":
            continue
        ours = getattr(config.method, part_of(network)).model_dump(mode="json")
        if wrong := network.differing(ours):
            key = "name" if "name" in wrong else wrong[0]
            option, theirs = f"method.{part_of(network)}.{key}", getattr(network.config, key, None)
            raise UserError(
                f"--init-from {model.path}: its {name} has {key} {theirs}, and {option} is {ours.get(key)}; "
                f"leave that option out, or write {option}={theirs}"
            )


def _with_channels_of(model: TrainedModel, config: RunConfig) -> RunConfig:
    """Let images become what the trained networks take."""
    wanted = METHODS[config.method.name].generators
    role = next((name for name in wanted if name in model.networks), None)
    if role is None:
        hint = f"train it with: i2i train {model.method}"
        if model.foreign and "G_AB" in wanted:
            hint = "name the file latest_net_G_A.pth if it turns A into B, latest_net_G_B.pth if B into A"
        raise UserError(
            f"--init-from {model.path}: holds {', '.join(model.networks)}, and the generators of {config.method.name} "
            f"are {', '.join(wanted)}; {hint}"
        )
    network = model.networks[role]
    if network.kind != "generator":
        return config
    a, b = network.measures["in_channels"], network.measures["out_channels"]
    if (role == "G_BA") != (config.data.direction == "BtoA"):
        a, b = b, a
    channels = {"channels_a": a, "channels_b": b}
    for key, count in channels.items():
        if getattr(config.data, key) not in (None, count):
            raise UserError(
                f"--init-from {model.path}: its {role} wants data.{key}={count}, not {getattr(config.data, key)}; "
                "leave that option out"
            )
    return config.model_copy(update={"data": config.data.model_copy(update=channels)})
