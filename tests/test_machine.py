"""Cores are those that a process may use, shared out among those of the machine."""

from __future__ import annotations

import os

import pytest

from i2i.machine import count_cores


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8, 9, 11}, raising=False)
    assert [count_cores(), count_cores(2), count_cores(8)] == [5, 2, 1]
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_cores() == 1
