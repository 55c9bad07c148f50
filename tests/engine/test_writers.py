"""Progress, notes and files of scalars."""

from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path

import pytest
from rich.console import Console

from i2i.engine.writers import MetricsFile, Ticker, as_time, progress


def test_times() -> None:
    assert [as_time(seconds) for seconds in (0, 61, 3599.6, 7325)] == ["0:00", "1:01", "1:00:00", "2:02:05"]


def test_plain_lines_now_and_then_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=200)
    with Ticker(console, total=120, done=20, unit="step") as ticker:
        for done in range(21, 121):
            clock[0] += 1
            ticker.update(done, "G 3")
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 10
    assert lines[0] == "step 30/120 (25%), ETA 1:30  G 3"  # 10 steps in 10 s, 90 are left
    assert lines[-1] == "step 120/120 (100%), ETA 0:00  G 3"


def test_the_time_left_follows_from_what_was_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=200)
    with progress(console, "checking") as tell:
        tell(900, 1000)  # of which nothing had to be done
        clock[0] += 10
        tell(920, 1000)
    assert console.file.getvalue() == "checking 920/1000 (92%), ETA 0:40\n"  # type: ignore[attr-defined]


def test_a_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with progress(console, "image") as tell:
        tell(1, 2)
        tell(2, 2)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "2/2" in printed
    assert "ETA" in printed


def test_metrics_are_json_even_where_they_are_not_finite(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, 0)
    file.scalars(1, {"a": 0.5, "b": math.inf})
    file.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "a": 0.5, "b": None}


def test_a_line_cut_off_by_a_crash_is_dropped_on_resume(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    MetricsFile(tmp_path, 2).close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'
