"""One thread that runs the networks: what waits together for the same one goes through it in one batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from i2i.serve.refusal import Refusal

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_TOGETHER = 8


@dataclass(frozen=True)
class _Job:
    key: Hashable
    run: Callable[[Sequence[Any]], Sequence[Any]]
    item: Any
    future: Future[Any]


class Batcher:
    """Runs what is submitted, in order of arrival, in one thread: networks side by side would only slow each other.

    Args:
        most_together: items in one batch.

    Attributes:
        running: how many items are run now.
    """

    def __init__(self, most_together: int = MOST_TOGETHER) -> None:
        self.most_together = most_together
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.running = 0
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def submit(self, key: Hashable, run: Callable[[Sequence[Item]], Sequence[Result]], item: Item) -> Future[Result]:
        """Return what will be the item's result.

        Args:
            key: items of one key may share a batch.
            run: from the items of a batch to their results, in their order; of one key, always the same function.
            item: what is run.

        Raises:
            Refusal: it is closed (503).
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise Refusal(503, "the server is closing")
            self._waiting.append(_Job(key, run, item, future))
            self._changed.notify()
        future.add_done_callback(self._forget)
        return future

    def close(self) -> None:
        """Run what is waiting, take nothing more, and return when it is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _forget(self, future: Future[Any]) -> None:
        """Let go of what was given up, so that it takes no memory until its turn."""
        if future.cancelled():
            with self._changed:
                self._waiting = deque(job for job in self._waiting if job.future is not future)

    def _work(self) -> None:
        while batch := self._next():
            self.running = len(batch)
            _settle(batch)
            self.running = 0

    def _next(self) -> list[_Job]:
        """Wait for a job and return it with those that may go along; nothing once all is done and closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return []
            key = self._waiting[0].key
            batch = [job for job in self._waiting if job.key == key][: self.most_together]
            taken = set(map(id, batch))
            self._waiting = deque(job for job in self._waiting if id(job) not in taken)
        return [job for job in batch if job.future.set_running_or_notify_cancel()] or self._next()


def _settle(batch: Sequence[_Job]) -> None:
    """Run a batch; where it fails its items one by one, so that one request's fault is not another's."""
    try:
        results = batch[0].run([job.item for job in batch])
    except Exception as error:
        if len(batch) == 1:
            batch[0].future.set_exception(error)
            return
        for job in batch:
            _settle([job])
        return
    for job, result in zip(batch, results, strict=True):
        job.future.set_result(result)
