"""How processes that were started together end, by whatever ends one of them.

They are shells here, which start at once; what networks do in them is tested in ``test_several_processes.py``.
"""

from __future__ import annotations

import sys
import time

import pytest

from i2i.cli import main, run
from i2i.engine.launch import launch

# The first process stands for one that waits for the others in code that no signal interrupts.
WAITS = "[ $RANK = 1 ] || { trap '' INT TERM; exec sleep 30; }; "


def ended(script: str) -> int:
    """The exit code of two shells; that of one that was left to sleep to its end would be 0, and half a minute gone."""
    begun = time.monotonic()
    code = launch(2, ["sh", "-c", script])
    assert time.monotonic() - begun < 20
    return code


@pytest.mark.parametrize("code", [0, 130, 143])
def test_nobody_waits_for_one_that_has_stopped(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2i.engine.launch.GRACE", 0.2)
    assert ended(f"{WAITS} exit {code}") == code


def test_the_third_signal_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2i.engine.launch.GRACE", 60)
    signals = "trap '' INT; for _ in 1 2 3; do sleep 0.2; kill -INT $PPID; done; exec sleep 30"
    assert ended(WAITS + signals) == 130


LOST = """
import sys
from unittest import mock
from i2i.cli import main
from i2i.errors import ProcessLost
with mock.patch("i2i.world.joined", side_effect=ProcessLost("no way to the others: duplicate GPU")):
    sys.exit(main(["train", "pix2pix"]))
"""


def test_why_all_lost_each_other_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(2, [sys.executable, "-c", LOST]) == 1
    assert capfd.readouterr().err == "error: no way to the others: duplicate GPU\n"


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ({"WORLD_SIZE": "4"}, "RANK, LOCAL_RANK, LOCAL_WORLD_SIZE"),
        ({"WORLD_SIZE": "4", "RANK": "1"}, "LOCAL_RANK, LOCAL_WORLD_SIZE"),
        ({"WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "$LOCALID", "LOCAL_WORLD_SIZE": "4"}, "LOCAL_RANK"),
        ({"WORLD_SIZE": "$NTASKS", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, "WORLD_SIZE"),
    ],
)
def test_a_launcher_that_tells_half_is_refused(
    told: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["i2i", "train", "pix2pix"])
    with pytest.raises(SystemExit, match="2"):
        run()
    said = capsys.readouterr().err
    assert (said.count("\n"), f"no numbers: {missing}; start processes by torchrun" in said) == (1, True)
    assert main(["list", "losses"]) == 0  # which needs no others
