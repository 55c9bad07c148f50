from __future__ import annotations

from typing import Any

import pytest
import torch

from i2i import world
from i2i.errors import UserError
from i2i.optim import Precision, PrecisionName, choose_device


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with two GPUs, as far as it is asked."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


@pytest.mark.parametrize(("has_bf16", "name"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_cpu(has_bf16: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, question, lambda: has_bf16)
    assert Precision("auto", "cpu").name == name


@pytest.mark.parametrize(("has_bf16", "name"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_gpus_does_not_count_emulation(has_bf16: bool, name: str, gpus: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return has_bf16 or including_emulation

    gpus.setattr(torch.cuda, "is_bf16_supported", supported)
    assert Precision("auto", "cuda:1").name == name


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_forwards_run_in_the_dtype_and_fp16_alone_is_scaled(name: PrecisionName, dtype: torch.dtype) -> None:
    precision, x = Precision(name), torch.ones(2, 2)
    with precision.autocast():
        assert (x @ x).dtype == dtype
    assert (x @ x).dtype == torch.float32
    assert (precision.scaler() is not None) == (name == "fp16")


def test_devices_are_chosen_and_counted(gpus: pytest.MonkeyPatch) -> None:
    current: list[str] = []
    gpus.setattr(torch.cuda, "set_device", current.append)
    chosen: dict[str, Any] = {name: str(choose_device(name)) for name in ("auto", "cuda", "cuda:1", "cpu")}
    assert chosen == {"auto": "cuda:0", "cuda": "cuda:0", "cuda:1": "cuda:1", "cpu": "cpu"}
    assert current == ["cuda:0", "cuda:1"]  # so that whatever asks for the current GPU gets the chosen one
    with pytest.raises(UserError, match="no device 'cuda:2' on this machine; choose one of: auto, cuda:0, cuda:1, cpu"):
        choose_device("cuda:2")


def test_a_machine_without_gpu(gpus: pytest.MonkeyPatch) -> None:
    gpus.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    for name in ("cuda", "mps", "gpu"):
        with pytest.raises(UserError, match=rf"no device '{name}' on this machine; choose one of: auto, cpu$"):
            choose_device(name)


def test_the_memory_layout_follows_device_and_arithmetic() -> None:
    assert Precision("fp32", "cpu").memory_format() == torch.contiguous_format
    assert Precision("bf16", "cpu").memory_format() == torch.contiguous_format
    assert Precision("fp32", "cpu").memory_format(channels_last=True) == torch.channels_last
    assert Precision("bf16", "cpu").memory_format(channels_last=False) == torch.contiguous_format


def test_fp16_is_refused_where_it_has_no_scaler() -> None:
    with pytest.raises(UserError, match="fp16: is not offered on mps"):
        Precision("fp16", "mps")


def test_each_of_several_processes_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_place", world.Place(rank=5, size=8, local_rank=1, local_size=4))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda name: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [str(choose_device(name)) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(UserError, match="cuda:1: is one device, and 4 processes train here"):
        choose_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(UserError, match="this machine has 3; start 3, such as by --devices 3"):
        choose_device("auto")
