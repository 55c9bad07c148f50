"""What a forward needs, against sums by hand; what is free, against files of Linux as they are found in the wild."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from i2i.inference import memory
from i2i.inference.memory import crop_side, free_bytes, largest_tile, peak_bytes
from i2i.nn import (
    InferencePolicy,
    Output,
    ResNet,
    ResNetConfig,
    SRResNetConfig,
    UNet,
    apply_policy,
    build_generator,
)

CPU = torch.device("cpu")


def test_a_convolution_needs_its_input_and_its_output() -> None:
    assert peak_bytes(nn.Conv2d(3, 8, 3, padding=1), 3, 10, 20) == 200 * (3 + 8) * 4


def test_tensors_that_are_let_go_count_no_longer() -> None:
    class Chain(nn.Module):
        def __init__(self, keeps: bool) -> None:
            super().__init__()
            self.keeps = keeps
            self.widen, self.same, self.narrow = nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 1)

        def forward(self, image: Tensor) -> Tensor:
            skip = x = self.widen(image)
            if not self.keeps:
                skip = skip[:, :0].clone()
            x = self.same(x)
            x = self.same(x)
            x = x.relu_().view(1, 8, -1).view_as(x)  # no new memory
            return torch.cat([self.narrow(x), skip], dim=1)

    plane = 10 * 20 * 4
    # The image, and at two convolutions one behind the other what goes in and what comes out.
    assert peak_bytes(Chain(keeps=False), 1, 10, 20) == plane * (1 + 8 + 8)
    # The skip lives on, and at the end there are the image, the skip, x, what narrow made of it, and the result.
    assert peak_bytes(Chain(keeps=True), 1, 10, 20) == plane * (1 + 8 + 8 + 1 + 9)


def test_the_need_grows_with_the_pixels() -> None:
    need = [peak_bytes(ResNet(3, 3, ngf=4), 3, side, side) for side in (256, 512, 1 << 16)]
    assert need[0] is not None
    assert need == [need[0], pytest.approx(4 * need[0], rel=0.01), pytest.approx(65536 * need[0], rel=0.01)]


@pytest.mark.parametrize("output", ["residual", "lab", "fill"])
def test_heads_are_counted(output: Output) -> None:
    """More than the body alone, and linear in pixels; crops are those of the body."""
    channels, out = {"residual": (3, 3), "lab": (1, 3), "fill": (4, 3)}[output]
    network = build_generator(ResNetConfig(blocks=1, ngf=4, output=output), channels, out)
    body = network.get_submodule("body")
    need = [peak_bytes(network, channels, side, side) for side in (256, 512)]
    alone = peak_bytes(body, channels, 256, 256)
    assert need[0] is not None
    assert alone is not None
    assert alone <= need[0] < 2 * alone
    assert need[1] == pytest.approx(4 * need[0], rel=0.01)
    assert crop_side(network, channels, 256) == crop_side(body, channels, 256) == 64


def test_an_enlarging_network_is_known() -> None:
    network = build_generator(SRResNetConfig(scale=4, blocks=1, ngf=4, output="residual"), 3, 3)
    assert (peak_bytes(network, 3, 64, 64) or 0) > 3 * 256 * 256 * 4
    assert crop_side(network, 3, 256) == 64


def test_the_network_is_not_touched() -> None:
    network = UNet(3, 3, depth=3, ngf=4)
    apply_policy(network, InferencePolicy(statistics="image", dropout="sample"))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    random = torch.get_rng_state()
    assert peak_bytes(network, 3, 64, 64)
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert [module.training for module in network.modules()] == modes
    assert all(weight.device == CPU and weight.requires_grad for weight in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)


class LooksAtValues(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image if image.mean().item() > 0 else -image


def test_a_network_that_needs_values_is_not_known() -> None:
    assert peak_bytes(LooksAtValues(), 3, 8, 8) is None
    assert largest_tile(LooksAtValues(), 3, 4096, 4096, 1) is None
    assert peak_bytes(nn.Conv2d(4, 1, 1), 3, 8, 8) is None


def test_the_largest_tile_fits_and_the_next_does_not() -> None:
    network = ResNet(3, 3, blocks=1, ngf=8)

    def need(height: int, width: int) -> float:
        return (peak_bytes(network, 3, height, width) or 0) * memory.OVERHEAD

    for height, width, side in [(2000, 3000, 1024), (600, 5000, 1024), (1100, 900, 896)]:
        free = int(2 * need(min(side, height), min(side, width))) + 1
        assert largest_tile(network, 3, height, width, free) == side
        assert largest_tile(network, 3, height, width, int(2 * need(height, width)) + 1) is None
    assert largest_tile(network, 3, 2000, 3000, int(4 * need(1024, 1024)) + 1, share=0.25) == 1024
    assert largest_tile(network, 3, 2000, 3000, None) is None
    assert largest_tile(network, 3, 2000, 3000, 0) == memory.SMALLEST_TILE


def test_crops_are_as_small_as_the_networks_deepest_map_allows() -> None:
    shallow, deeper, deep = ResNet(3, 3, blocks=1, ngf=2), UNet(3, 3, depth=3, ngf=2), UNet(3, 3, depth=8, ngf=2)
    assert [crop_side(network, 3, 256) for network in (shallow, deeper, deep)] == [64, 128, 256]
    assert [crop_side(network, 3, 1024) for network in (shallow, deeper, deep)] == [256, 256, 1024]
    assert crop_side(LooksAtValues(), 3, 256) == 256
    assert not shallow.encoder._forward_hooks


def linux(root: Path, files: dict[str, str | int]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


MEMINFO = "MemTotal:       24683656 kB\nMemFree:        1000 kB\nMemAvailable:   20000 kB\nHugePages_Total:       0"
UNLIMITED_V1 = 9223372036854771712


def test_a_machine_gives_what_is_available(tmp_path: Path) -> None:
    assert free_bytes(CPU, tmp_path) is None
    assert free_bytes(CPU, linux(tmp_path, {"proc/meminfo": MEMINFO})) == 20000 * 1024


@pytest.mark.parametrize("path", ["/", "/user.slice/job", "/../unseen"])
def test_a_container_gives_what_its_limit_leaves(tmp_path: Path, path: str) -> None:
    files: dict[str, str | int] = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": f"0::{path}",
        "sys/fs/cgroup/memory.max": 9_000_000,
        "sys/fs/cgroup/memory.current": 5_000_000,
        "sys/fs/cgroup/memory.stat": "anon 4000000\ninactive_file 600000\nactive_file 100000",
    }
    assert free_bytes(CPU, linux(tmp_path, files)) == 4_600_000


def test_the_tightest_group_decides(tmp_path: Path) -> None:
    files: dict[str, str | int] = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/user.slice/job",
        "sys/fs/cgroup/user.slice/memory.max": 3_000_000,
        "sys/fs/cgroup/user.slice/memory.current": 2_500_000,
        "sys/fs/cgroup/user.slice/job/memory.max": "max",
        "sys/fs/cgroup/user.slice/job/memory.current": 2_000_000,
    }
    assert free_bytes(CPU, linux(tmp_path, files)) == 500_000
    linux(tmp_path, {"sys/fs/cgroup/user.slice/memory.current": 3_100_000})
    assert free_bytes(CPU, tmp_path) == 0


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    memory_group = "sys/fs/cgroup/memory"
    files: dict[str, str | int] = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "5:cpu,cpuacct:/job\n4:memory:/job\n0::/",
        f"{memory_group}/memory.limit_in_bytes": UNLIMITED_V1,
        f"{memory_group}/memory.usage_in_bytes": 7_000_000,
        f"{memory_group}/job/memory.limit_in_bytes": 8_000_000,
        f"{memory_group}/job/memory.usage_in_bytes": 7_000_000,
        f"{memory_group}/job/memory.stat": "inactive_file 1\ntotal_inactive_file 2000000",
    }
    assert free_bytes(CPU, linux(tmp_path, files)) == 3_000_000
    linux(tmp_path, {f"{memory_group}/job/memory.limit_in_bytes": UNLIMITED_V1})
    assert free_bytes(CPU, tmp_path) == 20000 * 1024


def test_a_gpu_gives_what_is_free_and_what_torch_holds_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 300)
    assert free_bytes(torch.device("cuda:0")) == 1400


def test_other_devices() -> None:
    assert free_bytes(torch.device("meta")) is None
