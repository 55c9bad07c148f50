"""Training is the same wherever its images lie, and they lie on the device where they can."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from i2i.config import parse_setting
from i2i.data import DataConfig, find_source, open_data
from i2i.data.images import ImageSet
from i2i.engine.config import RunConfig, compose
from i2i.engine.feeding import Feed, choose_workers, keeps, to_device
from i2i.engine.fit import Outcome
from i2i.engine.runs import go_on, start
from i2i.engine.validation import Judgement
from i2i.errors import UserError
from i2i.inference.runs import read_tensors
from i2i.optim import Precision

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
PRESET = """
method:
  name: pix2pix
  generator: {name: unet, depth: 4, ngf: 4}
  discriminator: {name: patchgan, layers: 1, ndf: 4}
data: {image_size: 16, workers: 0, batch_size: 2, layout: side-by-side}
train: {steps: 6, device: cpu, precision: fp32, validate_every: 3, log_every: 1}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs" / "train"
    folder.mkdir(parents=True)
    for index in range(7):
        image = np.random.default_rng(index).integers(0, 256, (20, 40, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder.parent


@pytest.fixture
def composed(tmp_path: Path, root: Path) -> Callable[..., tuple[RunConfig, Any]]:
    preset = tmp_path / "preset.yaml"
    preset.write_text(PRESET)
    return lambda *settings: compose(str(preset), str(root), [parse_setting(text) for text in settings])


def trained(run: tuple[RunConfig, Any], folder: Path) -> tuple[Outcome, str]:
    heard = io.StringIO()
    return start(*run, Console(file=heard, width=200), folder), heard.getvalue()


def test_a_run_may_be_kept_and_read_by_turns(composed: Callable[..., tuple[RunConfig, Any]], tmp_path: Path) -> None:
    loaded, said = trained(composed(), tmp_path / "loaded")
    assert "data: read by the training process itself" in said
    kept, said = trained(composed("data.keep=device", "train.checkpoint_every=3"), tmp_path / "kept")
    assert "data: 12 images kept on cpu, 0.0 MB" in said
    turns = go_on(
        kept.checkpoint.parent / "step_00000003",
        [parse_setting("data.keep=off"), parse_setting("data.workers=1")],
        Console(file=io.StringIO()),
    )
    for outcome in (kept, turns):
        for name in ("G.safetensors", "D.safetensors", "train.safetensors"):
            one, other = read_tensors(loaded.checkpoint / name), read_tensors(outcome.checkpoint / name)
            assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_batches_are_laid_out_alike(
    composed: Callable[..., tuple[RunConfig, Any]],
    channels: int,
    memory_format: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kernels are chosen by strides: equal values in another layout would not train alike. Nor do blocks matter."""
    batches = []
    for keep, steps in (("off", 1), ("off", 4), ("device", 1), ("device", 4)):
        last = f"train.channels_last={memory_format == torch.channels_last}"
        config, source = composed(f"data.channels_a={channels}", f"data.keep={keep}", last)
        data = open_data(config.data, source, config.seed, lambda line: None)
        monkeypatch.setattr(Feed, "_steps_at_once", lambda self, steps=steps: steps)
        feed = Feed(config.completed(data.config), data.splits["train"], Precision(), Console(file=io.StringIO()))
        batches.append(list(feed.batches(2, 12)))
    for one, *others in zip(*batches, strict=True):
        assert one["a"].is_contiguous(memory_format=memory_format)
        for other in others:
            assert other.keys() == one.keys()
            for name, values in one.items():
                assert torch.equal(values, other[name])
                assert values.stride() == other[name].stride()


def opened(root: Path, **options: Any) -> ImageSet:
    config = DataConfig.model_validate({"image_size": 16, **options})
    return open_data(config, find_source(str(root)), 0, lambda line: None).splits["train"]


def test_auto_keeps_on_a_gpu_what_it_can(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six pairs of 18x18 pixels in three channels are 11,664 bytes."""
    free = 4 * 11_664
    monkeypatch.setattr("i2i.engine.feeding.free_bytes", lambda device: free)
    assert keeps(opened(root), GPU)
    assert not keeps(opened(root), CPU)
    assert not keeps(opened(root, keep="off"), GPU)
    assert not keeps(opened(root, augment=[{"transform": "GaussNoise"}]), GPU)
    assert not keeps(opened(root, aspect="crop"), GPU)
    assert keeps(opened(root, keep="device"), CPU)
    free -= 1
    assert not keeps(opened(root), GPU)
    with pytest.raises(
        UserError,
        match=r"^data.keep=device: 12 images of 18x18 pixels take 0.0 MB, more than a quarter of the 0.0 MB that are "
        r"free on cpu; say --set data.keep=auto$",
    ):
        keeps(opened(root, keep="device"), CPU)


def test_what_cannot_be_kept_is_refused_before_there_is_a_run(
    composed: Callable[..., tuple[RunConfig, Any]], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"data.keep=device: with data.aspect=keep images differ in size; say"):
        trained(composed("data.keep=device", "data.aspect=keep"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_gone_is_named_before_there_is_a_run(
    composed: Callable[..., tuple[RunConfig, Any]], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, blank = open_data, np.zeros((1, 1, 3), np.uint8)

    def opened_and_lost(*args: Any) -> Any:
        data = original(*args)
        for path in root.rglob("*.png"):
            path.unlink()
        return data

    monkeypatch.setattr("i2i.engine.runs.open_data", opened_and_lost)
    monkeypatch.setattr("i2i.engine.validation.Validator.judge", lambda self, rows, limit: Judgement({}, blank))
    with pytest.raises(
        UserError, match=r"\d.png: there is no such file \(it could be read a moment ago\); put it back"
    ):
        trained(composed("data.keep=device"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_blocks_are_as_long_as_their_bytes_allow(
    composed: Callable[..., tuple[RunConfig, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of two pairs of 16x16 pixels in three channels is 3072 bytes; two workers make two blocks each ahead."""
    config, source = composed()
    data = open_data(config.data, source, config.seed, lambda line: None)
    feed = Feed(config.completed(data.config), data.splits["train"], Precision(), Console(file=io.StringIO()))
    assert feed._steps_at_once() == 1
    feed.device, feed.workers = torch.device("meta"), 2
    for limit, steps in ((3071, 1), (4 * 3072 * 5, 5), (1 << 30, 32)):
        monkeypatch.setattr("i2i.engine.feeding.SHARED_BYTES", limit)
        assert feed._steps_at_once() == steps
    monkeypatch.setattr("i2i.engine.feeding.SHARED_BYTES", 4 * 3072 * 6)
    monkeypatch.setattr("i2i.world.local_size", lambda: 3)  # processes that share it
    assert feed._steps_at_once() == 2


def test_steps_wait_for_a_copy_beside_them_and_its_memory_for_the_steps(
    composed: Callable[..., tuple[RunConfig, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which order a GPU would be told; there need be none."""
    told: list[str] = []

    @contextmanager
    def beside(stream: str) -> Iterator[None]:
        told.append(f"on {stream}")
        yield
        told.append("done")

    class Steps:
        def wait_stream(self, stream: str) -> None:
            told.append(f"steps wait for {stream}")

    class OfGpu(torch.Tensor):
        is_cuda = True

        def record_stream(self, stream: Any) -> None:
            assert isinstance(stream, Steps)
            told.append("recorded")

    monkeypatch.setattr("torch.cuda.stream", beside)
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: Steps())
    monkeypatch.setattr("i2i.engine.feeding.to_device", lambda *_: {"a": torch.zeros(4, 3).as_subclass(OfGpu)})
    config, source = composed()
    data = open_data(config.data, source, config.seed, lambda line: None)
    feed = Feed(config.completed(data.config), data.splits["train"], Precision(), Console(file=io.StringIO()))
    monkeypatch.setattr(feed, "_copies", "copies")
    assert feed._on_device({})["a"].shape == (4, 3)
    assert told == ["on copies", "done", "steps wait for copies", "recorded"]


def test_labels_and_indices_come_along() -> None:
    batch = {"image": torch.full((2, 1, 4, 4), 255, dtype=torch.uint8), "label": torch.tensor([1, 0])}
    moved = to_device({**batch, "index": torch.tensor([5, 3])}, CPU, torch.contiguous_format)
    assert torch.equal(moved["image"], torch.ones(2, 1, 4, 4))
    assert (moved["label"].tolist(), moved["index"].tolist()) == ([1, 0], [5, 3])


def test_workers_leave_a_core_for_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, wanted in ((1, 1), (4, 3), (16, 15), (64, 16)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: range(cores), raising=False)
        assert choose_workers(GPU) == wanted
    monkeypatch.setattr("i2i.world.local_size", lambda: 4)  # of 64 cores
    assert choose_workers(GPU) == 15
