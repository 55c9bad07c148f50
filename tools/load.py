"""Many clients at once against a running `i2i serve`: errors, requests per second, latencies, the server's memory.

    i2i serve runs/my_run &
    python tools/load.py --pid $! --clients 32 --requests 2000 --into tools/results/serve-load.json
    python tools/load.py --pid $! --strokes 20 --into tools/results/serve-load.json

Every client sends an image of its own, of the size of training, waits for the answer, and sends the next; of a model of
noise it asks for one seed after the other. With --strokes it is one client, as the page is while somebody draws. Memory
is the resident set of the server's process and processor time that of all its threads, from /proc (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

EARLY = 200  # requests after which memory should have settled
Ask = Callable[[int, int], Awaitable[httpx.Response]]
"""Sends a request of a client, by its number and the request's."""


def resident(pid: int | None) -> int | None:
    """Return a process's memory in MiB."""
    if pid is None:
        return None
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


def processor_seconds(pid: int | None) -> float | None:
    """Return the processor time that a process has taken so far."""
    if pid is None:
        return None
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def image_of(client: int, channels: int, side: int) -> bytes:
    """Return a PNG of strokes on paper, other ones for each client."""
    rng = np.random.default_rng(client)
    image = np.full((side, side, channels), 255, np.uint8)
    for _ in range(12):
        points = rng.integers(0, side, (4, 2)).astype(np.int32)
        cv2.polylines(image, [points], False, rng.integers(0, 128, channels).tolist(), 1)
    return cv2.imencode(".png", image)[1].tobytes()


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send the requests and return what came of them."""
    limits = httpx.Limits(max_connections=arguments.clients, max_keepalive_connections=arguments.clients)
    async with httpx.AsyncClient(base_url=arguments.url, timeout=300, limits=limits, trust_env=False) as session:
        models = (await session.get("/api/models")).raise_for_status().json()["models"]
        model = next(m for m in models if arguments.model in (None, m["name"]))
        named = {"model": model["name"]}

        async def ask(client: int, number: int) -> httpx.Response:
            if model["kind"] == "sample":
                label = {"label": model["classes"][0]} if model["classes"] else {}
                return await session.get("/api/sample", params={**named, **label, "seeds": number})
            way = model["ways"][0]
            image = image_of(client, 1 if way["channels"][0] == 1 else 3, arguments.size or way["size"])
            return await session.post("/api/translate", params=named, content=image)

        label = {"model": (model["ways"][0] if "ways" in model else model)["label"]}
        if arguments.strokes:
            return {"strokes": label | await one_by_one(ask, arguments.strokes, arguments.pid)}
        came = await at_once(ask, arguments.clients, arguments.requests, arguments.pid)
        return label | came | {"health at the end": (await session.get("/healthz")).json()}


async def at_once(ask: Ask, clients: int, requests: int, pid: int | None) -> dict[str, Any]:
    """Let many clients send requests side by side."""
    times: list[float] = []
    failures: Counter[str] = Counter()
    memory = {"start": resident(pid)}
    todo = iter(range(requests))

    async def work(client: int) -> None:
        for number in todo:
            began = time.perf_counter()
            try:
                answer = await ask(client, number)
                if answer.status_code != 200:
                    failures[f"{answer.status_code} {answer.text}"] += 1
            except httpx.HTTPError as error:
                failures[type(error).__name__] += 1
            times.append(time.perf_counter() - began)
            if len(times) == EARLY:
                memory[f"after {EARLY}"] = resident(pid)

    began, before = time.perf_counter(), processor_seconds(pid)
    await asyncio.gather(*map(work, range(clients)))
    seconds, after = time.perf_counter() - began, processor_seconds(pid)
    memory["end"] = resident(pid)
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "clients": clients,
        "requests": len(times),
        "errors": dict(failures),
        "requests per second": round(len(times) / seconds, 1),
        "p50 ms": round(1000 * p50),
        "p99 ms": round(1000 * p99),
        "server processor seconds": None if before is None or after is None else round(after - before, 1),
        "memory MiB": memory,
    }


async def one_by_one(ask: Ask, count: int, pid: int | None) -> dict[str, Any]:
    """Send a drawing, wait for the answer, and send the next."""
    times: list[float] = []
    (await ask(0, 0)).raise_for_status()  # the first opens the connection
    before = processor_seconds(pid)
    for number in range(count):
        began = time.perf_counter()
        (await ask(number, number)).raise_for_status()
        times.append(time.perf_counter() - began)
    after = processor_seconds(pid)
    return {
        "count": count,
        "best ms": round(1000 * min(times)),
        "median ms": round(1000 * float(np.median(times))),
        "worst ms": round(1000 * max(times)),
        "server processor ms each": None if before is None or after is None else round(1000 * (after - before) / count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", help="its name; the first of the menu if left out")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--size", type=int, help="side of the images; that of training if left out")
    parser.add_argument("--strokes", type=int, help="requests of one client, one by one, instead of many clients'")
    parser.add_argument("--pid", type=int, help="the server's process, whose memory and processor time are read")
    parser.add_argument("--into", type=Path, help="a JSON file that keeps what it holds and gets the results too")
    arguments = parser.parse_args()
    results = asyncio.run(run(arguments))
    print(json.dumps(results, indent=1))
    if arguments.into:
        kept = json.loads(arguments.into.read_text()) if arguments.into.exists() else {}
        arguments.into.write_text(json.dumps(kept | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
