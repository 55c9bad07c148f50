"""Which images of two folders belong together, and what is refused before the first is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from i2i.data import files
from i2i.errors import UserError
from i2i.inference.couples import Couple, find_couples, match, measure, unmatched
from i2i.inference.evaluation import Evaluation, Protocol


def make(root: Path, *names: str, size: tuple[int, int] = (12, 16), level: int = 0) -> Path:
    """Write flat images."""
    for name in names:
        files.write(root / name, np.full((*size, 3), level, np.uint8))
    return root


def found(outputs: Path, targets: Path | None, *metrics: str, modcrop: int = 1) -> tuple[list[Couple], list[str]]:
    said: list[str] = []
    return find_couples(outputs, targets, metrics, Protocol(modcrop=modcrop), said.append), said


def test_names_match_without_their_suffix(tmp_path: Path) -> None:
    out = make(tmp_path / "out", "10.png", "2.png", "sub/a.png", "extra.png")
    target = make(tmp_path / "target", "10.jpg", "2.png", "sub/a.webp", "missed.bmp")
    couples, said = found(out, target, "psnr", "fid")
    assert [couple.name for couple in couples] == ["2", "10", "extra", "missed", "sub/a"]
    assert couples[1] == Couple("10", out / "10.png", target / "10.jpg")
    assert unmatched(couples) == ([out / "extra.png"], [target / "missed.bmp"])
    assert said == [f"without a partner: {out / 'extra.png'}", f"without a partner: {target / 'missed.bmp'}"]


def test_many_without_a_partner_are_counted(tmp_path: Path) -> None:
    out = make(tmp_path / "out", *(f"{n}.png" for n in range(15)))
    _, said = found(out, make(tmp_path / "target", "3.png"), "psnr")
    assert len(said) == 11
    assert said[-1] == f"without a partner: 4 more in {out}"


def test_sets_need_no_names(tmp_path: Path) -> None:
    out, target = make(tmp_path / "out", "a.png", "a.jpg"), make(tmp_path / "target", "b.png", size=(5, 5))
    couples, said = found(out, target, "fid", "is")
    assert {(couple.output, couple.target) for couple in couples} == {
        (out / "a.png", None),
        (out / "a.jpg", None),
        (None, target / "b.png"),
    }
    assert said == []
    couples, _ = found(out, None, "is")
    assert len(couples) == 2


def test_two_files_are_a_pair(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    assert match(tmp_path / "a.png", tmp_path / "b.png") == [Couple("a", tmp_path / "a.png", tmp_path / "b.png")]


def test_what_is_refused(tmp_path: Path) -> None:
    out, target = make(tmp_path / "out", "a.png"), make(tmp_path / "target", "b.png")
    twice = make(tmp_path / "twice", "a.png", "a.jpg")
    for outputs, targets, reason in (
        (out, target, rf"no image of {out} has the name of one of {target} \(a, b\)"),
        (out, twice, "has the same name as a.jpg; remove or rename one"),
        (out, out, "is the folder of the outputs itself"),
        (out, tmp_path / "targte", "there is no such folder; did you mean 'target'"),
        (out / "a.png", target, "is a file, not a folder"),
        (out, None, f"TARGETS is missing, which psnr needs: i2i evaluate {out} TARGETS"),
    ):
        with pytest.raises(UserError, match=reason):
            found(outputs, targets, "psnr", "is")


def test_other_sizes_are_refused_by_their_headers(tmp_path: Path) -> None:
    out = make(make(tmp_path / "out", "a.png", "d.png"), "b.png", "c.png", size=(12, 15))
    target = make(tmp_path / "target", "a.png", "b.png", "c.png", "d.png")
    (target / "d.png").write_bytes(b"")
    with pytest.raises(UserError) as refusal:
        found(out, target, "psnr")
    assert str(refusal.value).startswith(
        f"{out / 'b.png'}: is 15x12, and its target {target / 'b.png'} 16x12 (2 such);"
    )
    found(out, target, "psnr", modcrop=3)


def test_what_cannot_be_read_is_named_and_the_rest_measured(tmp_path: Path) -> None:
    out = make(tmp_path / "out", *(f"{n}.png" for n in range(12)), level=51)
    target = make(tmp_path / "target", *(f"{n}.png" for n in range(12)))
    (out / "3.png").write_bytes((out / "3.png").read_bytes()[:-30])
    (target / "5.png").write_bytes(b"")
    told: list[tuple[int, int]] = []
    measured = measure(Evaluation(["l1"]), match(out, target), lambda done, total: told.append((done, total)))
    assert [line.partition(":")[0] for line in measured.failures] == [str(out / "3.png"), str(target / "5.png")]
    assert [*measured.result.images] == [str(n) for n in range(12) if n not in (3, 5)]
    assert measured.result.scores["l1"].value == pytest.approx(0.2)
    assert told == [(n, 12) for n in range(1, 13)]
