from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from i2i.optim import Schedule
from i2i.optim.schedule import Constant, Cosine, Linear, Plateau, Step


@pytest.mark.parametrize(
    ("policy", "points"),
    [
        (Constant(), {0: 1, 0.5: 1, 1: 1}),
        (Linear(), {0: 1, 0.5: 1, 0.75: 0.5, 0.9: 0.2, 1: 0}),
        (Linear(hold=0), {0: 1, 0.25: 0.75, 1: 0}),
        (Step(), {0: 1, 0.2499: 1, 0.25: 0.1, 0.5: 0.01, 0.99: 0.001}),
        (Step(every=0.1, gamma=0.5), {0.3: 0.125, 0.6: 1 / 64, 0.7: 1 / 128}),  # 0.3 / 0.1 and 0.7 / 0.1 fall short
        (Cosine(), {0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        (Plateau(), {0: 1, 1: 1}),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_factors_by_hand(policy: Constant | Linear | Step | Cosine | Plateau, points: dict[float, float]) -> None:
    schedule = Schedule(policy)
    schedule.observe({"val/l1": 1.0})
    for progress, factor in points.items():
        assert schedule.factor(progress) == pytest.approx(factor, abs=1e-12)


def test_the_papers_200_epochs_are_100_flat_and_100_falling() -> None:
    schedule = Schedule(Linear())
    factors = [schedule.factor(epoch / 200) for epoch in range(200)]
    assert factors[:101] == [1.0] * 101
    assert factors[150] == pytest.approx(0.5)
    assert factors[199] == pytest.approx(0.01)


def test_plateau_falls_after_more_than_patience_validations_without_progress() -> None:
    schedule = Schedule(Plateau(gamma=0.5, patience=2, threshold=0.1))
    # 0.95 is within the threshold of 1; the third wait makes it fall, and the count starts anew; 0.8 is progress
    seen = {1.0: 1, 0.95: 1, 1.2: 1, 0.91: 0.5, 0.92: 0.5, 0.93: 0.5, 0.8: 0.5, 0.79: 0.5, 0.78: 0.5, 0.77: 0.25}
    for value, factor in seen.items():
        schedule.observe({"val/l1": value, "other": 0})
        assert schedule.factor(0.5) == factor
    schedule.observe({"val/l1": math.nan})  # not progress
    assert schedule.state() == {"falls": 2, "best": 0.8, "waited": 1}


def test_plateau_goes_on_from_a_saved_state() -> None:
    values = [3.0, 2.0, 2.5, 2.5, 1.9, 1.9, 1.9, 1.9, 1.0, 5.0]
    for cut in range(len(values)):
        whole, first, second = (Schedule(Plateau(patience=1, watch="x")) for _ in range(3))
        for value in values:
            whole.observe({"x": value})
        for value in values[:cut]:
            first.observe({"x": value})
        second.load_state(json.loads(json.dumps(first.state(), allow_nan=False)))
        for value in values[cut:]:
            second.observe({"x": value})
        assert second.state() == whole.state() == {"falls": 2, "best": 1.0, "waited": 1}


@pytest.mark.parametrize(("policy", "options"), [(Linear, {"hold": 1}), (Step, {"every": 0}), (Step, {"gamma": 2})])
def test_shares_lie_in_their_range(policy: type[Linear | Step], options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        policy.model_validate(options)
