"""Training in several processes of this machine: started, looked after, and ended together."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from i2i import world
from i2i.errors import UserError
from i2i.machine import count_cores

LOST = 75  # exit code of a process that could not go on because of another one (EX_TEMPFAIL)
GRACE = 5.0  # seconds that the others have to end by themselves when one has ended
ENOUGH = 3  # signals to stop, after which they are ended at once
PARENT, WORD = "I2I_PARENT", "I2I_WORD"  # in the environment of processes that were started here


def launch(count: int, command: Sequence[str]) -> int:
    """Run `command` in `count` processes that train together, and return their exit code.

    A signal to stop is passed on to all of them, and they save and stop; a third one ends them. When one ends
    otherwise, the rest are ended within seconds, and what it was and how to go on is printed.

    Raises:
        UserError: this process is one of several already.
    """
    if world.planned().size > 1:
        raise UserError(f"torchrun has started {world.planned().size} processes already; leave --devices out")
    with TemporaryDirectory(prefix="i2i-") as word:
        shared = _environment(count, word)
        processes: list[subprocess.Popen[bytes]] = []
        with _passing_on(processes) as passed_on:
            try:
                for rank in range(count):
                    own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                    # Each in a session of its own: Ctrl-C comes to this process alone, which passes it on once.
                    processes.append(subprocess.Popen(command, env={**shared, **own}, start_new_session=True))
                culprit = _first_failure(processes, passed_on)
            finally:
                _end(processes)
        codes = [process.returncode for process in processes]
        if passed_on and (culprit is None or codes[culprit] < 0 or codes[culprit] == LOST):
            return 128 + passed_on[0] if any(codes) else 0
        return _verdict(codes, culprit, Path(word))


def _environment(count: int, word: str) -> dict[str, str]:
    """Return what all processes are told, in the variables that torchrun has for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    told |= {PARENT: str(os.getpid()), WORD: word}
    local = {"OMP_NUM_THREADS": str(count_cores(count)), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    if loopback := next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None):
        local["GLOO_SOCKET_IFNAME"] = loopback  # nothing here is for other machines
    return {**local, **os.environ, **told}


@contextmanager
def _passing_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass Ctrl-C and SIGTERM on to the processes within the block; give out those that came."""
    came: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        came.append(number)
        for process in processes:
            process.send_signal(number)  # which does nothing to those that have ended

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_failure(processes: Sequence[subprocess.Popen[bytes]], passed_on: Sequence[int]) -> int | None:
    """Wait until all have ended, or had time to after the first, or were asked too often; return which one failed.

    All leave together: who still runs when another one has ended waits for it, maybe where no signal reaches it.
    """
    deadline = math.inf
    while True:
        codes = [process.poll() for process in processes]
        if any(code is not None for code in codes):
            deadline = min(deadline, time.monotonic() + GRACE)
        if None not in codes or time.monotonic() > deadline or len(passed_on) >= ENOUGH:
            failed = [rank for rank, code in enumerate(codes) if code not in (None, 0, 130, 143)]
            # those that failed because another one did may be seen before it
            return next((rank for rank in failed if codes[rank] != LOST), failed[0] if failed else None)
        time.sleep(0.05)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes that still run, with their loaders, and wait for them."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    for process in processes:
        process.wait()


def _verdict(codes: Sequence[int], culprit: int | None, word: Path) -> int:
    """Return the exit code of all, and say what became of the process that failed, if it could not say so itself."""
    if culprit is None:
        return max(codes)
    code = codes[culprit]
    if code == 2:
        return 2
    advice, reason = word / "advice", word / "reason"
    if code == LOST and reason.exists():
        print(f"error: {reason.read_text(encoding='utf-8')}", file=sys.stderr)
        return 1
    if code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        how = f"was ended by {signal.Signals(-code).name}{hint}"
    else:
        how = f"ended with exit code {code}"
    further = f"; {advice.read_text(encoding='utf-8')}" if advice.exists() else ""
    print(f"error: process {culprit} of {len(codes)} {how}, and so all were ended{further}", file=sys.stderr)
    return 1


def advise(advice: str) -> None:
    """Leave word for `launch` how to go on, should a process end before its time."""
    if is_supervised():
        Path(os.environ[WORD], "advice").write_text(advice, encoding="utf-8")


def say_why(reason: str) -> None:
    """Leave word for `launch` why this process cannot go on with the others; that of the first one counts."""
    with suppress(FileExistsError), Path(os.environ[WORD], "reason").open("x", encoding="utf-8") as file:
        file.write(reason)


def resuming(run: Path) -> str:
    """Return what to type to go on with a run, in as many processes as now."""
    from i2i.engine.writers import typed  # which the process that only looks after others does not need

    here = f"train --resume {run}"
    if is_supervised():
        return f"{typed('i2i')} {here} --devices {world.size()}"
    if world.size() > 1:
        return f"torchrun ... -m i2i {here}"
    return f"{typed('i2i')} {here}"


def is_supervised() -> bool:
    """Say whether `launch` looks after this process."""
    return PARENT in os.environ


def end_with_parent() -> None:
    """Let this process save and stop when the one that started it has gone; it does nothing in others."""
    if not is_supervised():
        return
    parent = int(os.environ[PARENT])

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()
