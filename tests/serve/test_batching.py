"""What waits together runs together; no request sees another's fault; nothing is lost at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from i2i.serve.batching import Batcher
from i2i.serve.refusal import Refusal


class Network:
    """Doubles numbers, notes its batches, and waits at a gate for the first of them."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.gate = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.set()
        self.gate.wait(10)
        if 13 in items:
            raise ValueError("thirteen")
        return [2 * item for item in items]


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.gate.set()


def test_what_waits_together_goes_through_in_one_batch_and_others_keep_their_order(network: Network) -> None:
    batcher = Batcher(most_together=3)
    first = batcher.submit("a", network, 1)
    network.begun.wait(10)  # from here on, all wait
    waiting = [batcher.submit(key, network, item) for item, key in enumerate("abaaab", start=2)]
    network.gate.set()
    assert [future.result(10) for future in (first, *waiting)] == [2, 4, 6, 8, 10, 12, 14]
    assert network.batches == [[1], [2, 4, 5], [3, 7], [6]]
    batcher.close()


def test_a_fault_is_its_request_s_alone(network: Network) -> None:
    batcher = Batcher()
    batcher.submit("a", network, 1)
    network.begun.wait(10)
    futures = [batcher.submit("a", network, item) for item in (12, 13, 14)]
    network.gate.set()
    assert futures[0].result(10) == 24
    assert futures[2].result(10) == 28
    with pytest.raises(ValueError, match="thirteen"):
        futures[1].result(10)
    batcher.close()


def test_what_was_given_up_is_not_run(network: Network) -> None:
    batcher = Batcher()
    batcher.submit("a", network, 1)
    network.begun.wait(10)
    given_up, kept = (batcher.submit("a", network, item) for item in (2, 3))
    assert given_up.cancel()
    assert len(batcher) == 1  # nor kept
    network.gate.set()
    assert kept.result(10) == 6
    assert network.batches == [[1], [3]]
    batcher.close()


def test_closing_finishes_what_waits_and_takes_nothing_more(network: Network) -> None:
    batcher = Batcher()
    batcher.submit("a", network, 1)
    network.begun.wait(10)
    waiting = [batcher.submit("a", network, item) for item in (2, 3)]
    network.gate.set()
    batcher.close()
    assert [future.result(0) for future in waiting] == [4, 6]
    with pytest.raises(Refusal) as refused:
        batcher.submit("a", network, 5)
    assert refused.value.status == 503
