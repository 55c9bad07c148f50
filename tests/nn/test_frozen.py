from __future__ import annotations

from contextlib import suppress

import torch
from torch import nn

from i2i.nn import frozen


def test_gradients_pass_through_and_flags_come_back() -> None:
    shared = nn.Linear(2, 2)
    one, other = nn.Sequential(shared, nn.Linear(2, 1)), nn.Sequential(shared, nn.Linear(2, 1))
    shared.bias.requires_grad_(False)
    parameters = [*one.parameters(), *other.parameters()]
    before = [parameter.requires_grad for parameter in parameters]
    x = torch.randn(3, 2, requires_grad=True)

    with suppress(ZeroDivisionError), frozen(one, other):
        assert not any(parameter.requires_grad for parameter in parameters)
        (one(x) + other(x)).sum().backward()
        raise ZeroDivisionError

    assert x.grad is not None
    assert x.grad.any()
    assert all(parameter.grad is None for parameter in parameters)
    assert [parameter.requires_grad for parameter in parameters] == before
