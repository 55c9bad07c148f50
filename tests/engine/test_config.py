from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from i2i.config import Layer, parse_setting, resolve
from i2i.data import DataConfig
from i2i.data.derive import Edges
from i2i.engine.config import RunConfig, TrainConfig, compose
from i2i.errors import UserError
from i2i.methods import CycleGANConfig, Pix2PixConfig
from i2i.nn import PatchGANConfig, ResNetConfig, SRResNetConfig, UNetConfig
from i2i.optim import OptimConfig
from i2i.optim.schedule import Linear, Step


def composed(preset: str | Path, *settings: str, data: str | None = "edges2cats") -> RunConfig:
    return compose(str(preset), data, [parse_setting(setting) for setting in settings])[0]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A preset of the user's own, in the folder that the test works in."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "method:\n  generator: {name: unet, ngf: 8}\n"
        "data: {source: edges2cats, batch_size: 4}\n"
        "optim: {lr: 1e-3, schedule: {name: step, every: 0.5}}\n"
        "train: {epochs: 7, log_every: null}\n"
    )
    return path


def test_the_pix2pix_preset_is_the_paper() -> None:
    """Isola et al. 2017, sections 3.3 and 6.2."""
    config = composed("pix2pix")
    assert config.method == Pix2PixConfig(gan_loss="nonsaturating", lambda_gan=1, lambda_l1=100)
    optim = OptimConfig(name="adam", lr=2e-4, betas=(0.5, 0.999), schedule=Linear(hold=0.5))
    assert config.optim == optim
    assert (config.data.batch_size, config.data.image_size, config.data.resolved_load_size) == (1, 256, 286)
    assert config.train.total_steps(400, 1) == 200 * 400
    assert config.train.ema is None


def test_flags_lie_on_the_recipe_and_the_recipe_on_the_preset(own: Path) -> None:
    own.write_text(own.read_text().replace("data: {", "data: {layout: null, derive: {name: edges, low: 0.02}, "))
    config, source = compose(
        str(own), None, [parse_setting("data.batch_size=2"), Layer("--lr", {"optim": {"lr": 0.5}})]
    )
    assert source.given == "edges2cats"
    assert config.preset == str(own)
    assert (config.data.source, config.data.layout) == ("edges2cats", "photos")
    assert isinstance(config.data.derive, Edges)
    assert config.data.derive.low == 0.02
    assert config.data.batch_size == 2
    assert config.optim == OptimConfig(lr=0.5, schedule=Step(every=0.5))
    assert config.train == TrainConfig(epochs=7)
    assert config.method.generator == UNetConfig(ngf=8)


def test_parts_are_changed_and_exchanged(own: Path) -> None:
    assert composed(own, "method.generator.norm=instance").method.generator == UNetConfig(ngf=8, norm="instance")
    assert composed(own, "method.generator=resnet").method.generator == ResNetConfig()
    assert composed(own, "method.generator=unet").method.generator == UNetConfig(ngf=8)
    assert composed(own, "method=pix2pix").method.generator == UNetConfig(ngf=8)
    assert composed(own, "optim.schedule=linear", "optim.schedule.hold=0").optim.schedule == Linear(hold=0)
    assert composed(own, "optim=rmsprop").optim == OptimConfig(name="rmsprop", lr=1e-3, schedule=Step(every=0.5))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr=1", "there is no option 'lr'; it stands at: optim.lr"),
        ("optim.scheduel=step", "there is no option 'optim.scheduel'; did you mean 'optim.schedule'?"),
        ("optim.schedule.gamma=1", "there is no option 'optim.schedule.gamma'; it needs optim.schedule.name=step or"),
        ("method.generator.blocks=6", "there is no option 'method.generator.blocks'; it needs method.generator.name=r"),
        ("method.generator=unett", "option 'method.generator.name': 'unett' is not known; did you mean 'unet'?"),
        ("data.direction=AtB", "option 'data.direction': 'AtB' is not known; did you mean 'AtoB'?"),
        ("data.load_size=100", "option 'data': load_size 100 is smaller than image_size 256"),
        ("train.ema=1", "option 'train.ema' must be less than 1, not '1'"),
        ("train.steps=5", "option 'train': epochs and steps are both given; keep one and set the other to null"),
        ("data=edges2cats", "option 'data' must be a set of options"),
    ],
)
def test_mistakes_name_the_setting_and_the_mend(setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(RunConfig, [Layer("preset", {"train": {"epochs": "200"}}), parse_setting(setting)])
    assert str(caught.value).startswith(f"--set {setting}: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("optim: {lrr: 1}", r"own\.yaml: there is no option 'optim\.lrr'; did you mean 'optim\.lr'\?"),
        ("method: {gan_loss: lsgam}", r"there is no GAN loss 'lsgam'; did you mean 'lsgan'\?"),
        ("data: edges2cats", r"own\.yaml: option 'data' must hold options such as `source: NAME`, not 'edges2cats'"),
        ("data:", r"own\.yaml: option 'data' must hold options"),
        ("data: {}", r"no data was named; add --data NAME"),
        ("data: {source: [edges2cats]}", r"own\.yaml: option 'data\.source' must be a name or a path"),
        ("optim: {lr: 1", r"own\.yaml line \d: is no valid YAML"),
    ],
)
def test_mistakes_in_a_preset_name_its_file(own: Path, content: str, message: str) -> None:
    own.write_text(content + "\n")
    with pytest.raises(UserError, match=message):
        composed(own, data=None if content.startswith("data") else "edges2cats")


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(UserError, match=r"there is no preset 'pix2pxi'; did you mean 'pix2pix'\?"):
        composed("pix2pxi")


def test_the_length_of_a_run() -> None:
    assert TrainConfig().total_steps(10, 4) == 500  # 200 epochs
    assert TrainConfig(epochs=1.5).total_steps(10, 4) == 4  # 3.75
    assert TrainConfig(epochs=0.001).total_steps(10, 4) == 1
    assert TrainConfig(steps=7).total_steps(10, 4) == 7
    with pytest.raises(ValidationError, match="epochs and steps are both given"):
        TrainConfig(epochs=1, steps=1)


@pytest.mark.parametrize(
    ("total", "log", "validate"), [(10, 1, 50), (1_200, 12, 60), (4_000, 40, 200), (80_000, 50, 1_000)]
)
def test_reports_are_spread_over_the_run(total: int, log: int, validate: int) -> None:
    assert TrainConfig().log_interval(total) == log
    assert TrainConfig().validation_interval(total) == validate
    assert TrainConfig(log_every=7, validate_every=9).log_interval(total) == 7
    assert TrainConfig(log_every=7, validate_every=9).validation_interval(total) == 9


@pytest.mark.parametrize(
    ("size", "batch", "depth", "statistics"), [(256, 1, 8, "image"), (512, 1, 8, "image"), (128, 4, 7, "running")]
)
def test_completion_leaves_nothing_to_chance(size: int, batch: int, depth: int, statistics: str) -> None:
    data = DataConfig(source="x", image_size=size, batch_size=batch)
    config = RunConfig().completed(data)
    assert config.data == data
    assert isinstance(config.method.generator, UNetConfig)
    assert config.method.generator.depth == depth
    assert config.method.inference is not None
    assert config.method.inference.statistics == statistics
    assert resolve(RunConfig, [Layer("saved", config.model_dump(mode="json"))]) == config
    assert config.completed(data) == config


def test_completion_hands_the_datas_scale_to_the_generator() -> None:
    """A derivation that leaves inputs smaller says how many times."""
    data = DataConfig(source="x").model_copy(update={"derive": SimpleNamespace(scale=4)})
    config = RunConfig(method=Pix2PixConfig(generator=SRResNetConfig())).completed(data)
    assert config.method.generator == SRResNetConfig(scale=4)
    with pytest.raises(UserError, match="makes inputs 4 times smaller, and unet does not enlarge"):
        RunConfig().completed(data)
    with pytest.raises(UserError, match=r"method\.generator\.scale=4: inputs are as large as outputs"):
        RunConfig(method=CycleGANConfig(generator=SRResNetConfig(scale=4))).completed(DataConfig(source="x"))


def test_options_of_a_methods_default_parts_need_no_names() -> None:
    settings = ["method.name=cyclegan", "method.generator.ngf=8", "method.discriminator.ndf=8"]
    config = resolve(RunConfig, [parse_setting(text) for text in settings])
    assert isinstance(config.method, CycleGANConfig)
    assert config.method.generator == ResNetConfig(ngf=8)
    assert config.method.discriminator == PatchGANConfig(ndf=8, norm="instance")  # CycleGAN's own default stays
