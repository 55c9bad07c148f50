from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from i2i.errors import UserError
from i2i.weights import Weights, read_tensors


def test_a_file_is_found_where_torch_keeps_it_or_where_it_is_said_to_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    weights = Weights("net-1234.pth", "https://example.org/net.pth", hashlib.sha256(b"tensors").hexdigest())
    cached, given = tmp_path / "hub/checkpoints/net-1234.pth", tmp_path / "net-1234.pth"
    with pytest.raises(UserError) as missing:
        weights.find("LPIPS")
    assert str(missing.value) == (
        f"{cached}: is missing, and LPIPS takes it: fetch it from https://example.org/net.pth (i2i evaluate "
        "finds it in other folders too: --weights)"
    )
    with pytest.raises(UserError, match=rf"{given}: is missing, .* fetch it from https://example.org/net.pth$"):
        weights.find("LPIPS", tmp_path)
    for path in (cached, given):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"tensors")
    assert weights.find("LPIPS") == cached
    assert weights.find("LPIPS", tmp_path) == given
    given.write_bytes(b"tensorz")
    begins = hashlib.sha256(b"tensorz").hexdigest()[:12]
    with pytest.raises(UserError, match=f"damaged or another file: its sha256 begins with {begins}"):
        weights.find("LPIPS", tmp_path)


class Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, ("harm",)


@pytest.mark.parametrize("held", [{"a": Harm()}, {"a": 3}, {1: torch.zeros(1)}, [torch.zeros(1)], None])
def test_nothing_but_tensors_is_read_and_nothing_run(held: object, tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    if held is None:
        file.write_bytes(b"no weights")
    else:
        torch.save(held, file)
    with pytest.raises(UserError, match=r"w\.pth: is no file of weights alone"):
        read_tensors(file)
    assert not Path("harm").exists()


def test_tensors_are_read(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3)}, tmp_path / "w.pth")
    assert read_tensors(tmp_path / "w.pth")["a"].tolist() == [0, 1, 2]
