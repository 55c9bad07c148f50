"""The stream of batches: every image once an epoch, the same for any number of workers and from any step on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from i2i.data.config import DataConfig
from i2i.data.layouts import read_folder
from i2i.data.loader import Stream, batches_in_order, in_blocks, training_loader
from i2i.data.pairs import PairedImages


def test_each_epoch_shows_every_image_once_in_a_new_order() -> None:
    places = [place for batch in Stream(10, 4, seed=1, start=0, stop=5) for place in batch]
    assert [epoch for _, epoch in places] == [0] * 10 + [1] * 10
    first, second = ([index for index, epoch in places if epoch == wanted] for wanted in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != [index for batch in Stream(10, 4, seed=2, start=0, stop=5) for index, _ in batch][:10]


@pytest.mark.parametrize(("count", "batch_size"), [(7, 3), (2, 5), (1, 1)])
def test_a_later_start_continues_the_same_stream(count: int, batch_size: int) -> None:
    whole = list(Stream(count, batch_size, seed=0, start=0, stop=9))
    assert list(Stream(count, batch_size, seed=0, start=4, stop=9)) == whole[4:]
    assert {len(batch) for batch in whole} == {batch_size}


def test_blocks_hold_the_steps_in_their_order() -> None:
    steps = list(Stream(5, 2, seed=0, start=3, stop=10))
    blocks = list(in_blocks(steps, 3))
    assert [len(block) for block in blocks] == [6, 6, 2]
    assert [place for block in blocks for place in block] == [place for step in steps for place in step]


def test_any_step_of_a_long_run_is_found_at_once() -> None:
    count, step = 100_000, 10**12
    batch = next(iter(Stream(count, 3, seed=0, start=step, stop=step + 1)))
    assert [epoch for _, epoch in batch] == [(3 * step + place) // count for place in range(3)]
    assert len(set(batch)) == 3


def edges(folder: Path, *, train: bool = True) -> PairedImages:
    options = {"aspect": "keep", "channels_b": 3, "derive": {"name": "edges"}, "image_size": 32}
    noise = [{"transform": "GaussNoise", "on": "a", "options": {"p": 1.0}}]
    config = DataConfig.model_validate({**options, "augment": noise})
    return PairedImages(read_folder(folder, layout="photos").splits["train"], config, 5, train=train)


def test_workers_change_nothing(photos: Callable[..., Path]) -> None:
    folder = photos(6)
    streams = [
        list(training_loader(edges(folder), Stream(5, 2, seed=5, start=0, stop=6), workers=workers, pin=False))
        for workers in (0, 1, 2)
    ]
    for alone, one, two in zip(*streams, strict=True):
        for name in ("a", "b", "index"):
            assert torch.equal(alone[name], one[name])
            assert torch.equal(alone[name], two[name])


def test_validation_comes_in_order_and_limited(photos: Callable[..., Path]) -> None:
    data = edges(photos(6), train=False)  # five are left to train on
    batches = list(batches_in_order(data, batch_size=2, limit=3))
    assert [batch["index"].tolist() for batch in batches] == [[0, 1], [2]]
