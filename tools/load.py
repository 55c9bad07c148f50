"""Many clients at once against a running `i2i serve`: errors, requests per second, latencies, the server's memory.

    i2i serve runs/my_run &
    python tools/load.py --pid $! --clients 32 --requests 2000

Every client sends an image of its own, of the size of training, waits for the answer, and sends the next; of a model of
noise it asks for one seed after the other. Memory is the resident set of the server's process, from /proc (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

EARLY = 200  # requests after which memory should have settled


def resident(pid: int | None) -> int | None:
    """Return a process's memory in MiB."""
    if pid is None:
        return None
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


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
    times: list[float] = []
    failures: Counter[str] = Counter()
    memory = {"start": resident(arguments.pid)}
    todo = iter(range(arguments.requests))
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
                    memory[f"after {EARLY}"] = resident(arguments.pid)

        began = time.perf_counter()
        await asyncio.gather(*map(work, range(arguments.clients)))
        seconds = time.perf_counter() - began
        health = (await session.get("/healthz")).json()
    memory["end"] = resident(arguments.pid)
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "model": (model["ways"][0] if "ways" in model else model)["label"],
        "clients": arguments.clients,
        "requests": len(times),
        "errors": dict(failures),
        "requests per second": round(len(times) / seconds, 1),
        "p50 ms": round(1000 * p50),
        "p99 ms": round(1000 * p99),
        "memory MiB": memory,
        "health at the end": health,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", help="its name; the first of the menu if left out")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--size", type=int, help="side of the images; that of training if left out")
    parser.add_argument("--pid", type=int, help="the server's process, whose memory is read")
    print(json.dumps(asyncio.run(run(parser.parse_args())), indent=1))


if __name__ == "__main__":
    main()
