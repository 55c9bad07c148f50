"""`i2i serve` as a user types it: mistakes in one line before the port is open, an end on Ctrl-C that loses nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from i2i.engine.fit import Outcome
from i2i.serve.server import bind
from tests.cli.test_cli import Capture, error_of
from tests.serve.conftest import pixels_of, png

ROOT = Path(__file__).parents[2]


def test_the_extra_is_named_where_it_is_missing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "uvicorn is not installed, which serving takes: pip install 'i2i[serve]'" in error_of(capsys, "serve")


def test_a_port_that_is_taken_is_said_before_models_are_loaded(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = error_of(capsys, "serve", "no-such-run", "--port", str(port))
    assert f"--port {port}: is taken, perhaps by another i2i serve; say --port {port + 1}" in line


def test_what_cannot_be_served_is_said_before_the_port_is_open(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert "no run with a checkpoint" in error_of(capsys, "serve", "--port", str(port))
    assert "no-such-run: does not exist" in error_of(capsys, "serve", "no-such-run", "--port", str(port))
    with socket.create_server(("127.0.0.1", port)):
        pass  # it was given back
    for host in ("nowhere.invalid", "192.168..1"):
        assert f"--host {host}: there is no such address" in error_of(capsys, "serve", "--host", host)


def test_who_calls_while_models_are_loaded_waits(capsys: Capture) -> None:
    with bind("127.0.0.1", 0) as bound, socket.create_connection(bound.getsockname(), timeout=5):
        line = error_of(capsys, "serve", "--port", str(bound.getsockname()[1]))
    assert "is taken" in line


def test_the_newest_run_is_served_until_ctrl_c_and_a_running_request_is_finished(
    tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    tiny("runs/mine", "train.steps=1")
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", "serve", "--port", "0", "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := re.match(r"serving: (http://127\.0\.0\.1:\d+) ", line):
                break
        else:
            pytest.fail(f"it did not begin: {said} {process.communicate()[1]}")
        assert said[0] == "run: runs/mine (the newest run)\n"
        assert said[1].startswith("model: runs/mine/checkpoints/step_00000001 (pix2pix")
        image = np.full((800, 800, 1), 255, np.uint8)
        with ThreadPoolExecutor(1) as clients:
            running = clients.submit(httpx.post, f"{found[1]}/api/translate", content=png(image), timeout=60)
            while httpx.get(f"{found[1]}/healthz").json()["running"] == 0 and not running.done():
                pass
            process.send_signal(signal.SIGINT)
            assert pixels_of(running.result().content).shape == (800, 800, 3)
        assert process.wait(20) == 130
        assert process.communicate()[1] == ""  # no traceback, no complaint
    finally:
        process.kill()
