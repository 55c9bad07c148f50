from __future__ import annotations

import torch

from i2i.seeding import derive, numpy_generator, torch_generator, torch_seeded


def test_draws_never_change_between_versions() -> None:
    # A resumed run draws what the interrupted one would have drawn: these values are part of the checkpoints' format.
    assert derive(0) == 7896617691693857887
    assert derive(0, "init") == 7290039654019473914
    assert derive(7, "crop", 3, 11) == 8192391698115294954
    assert derive(2**40, "x") == 2824445976993292573
    assert numpy_generator(7, "crop", 3, 11).integers(0, 2**31, 3).tolist() == [372036589, 2009475631, 687569144]
    drawn = torch.randint(2**31, (2,), generator=torch_generator(7, "crop", 3, 11))
    assert drawn.tolist() == [905605979, 537689084]


def test_every_place_has_a_seed_of_its_own() -> None:
    places = [(seed, tag, step) for seed in range(8) for tag in ("crop", "flip", "step") for step in range(64)]
    seeds = [derive(*place) for place in places]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_draws_depend_on_the_place_and_not_on_the_order() -> None:
    forward = {step: numpy_generator(1, "flip", step).random() for step in range(10)}
    torch.manual_seed(99)
    backward = {step: numpy_generator(1, "flip", step).random() for step in reversed(range(10))}
    assert forward == backward


def test_the_global_generator_is_seeded_inside_and_restored_after() -> None:
    torch.manual_seed(5)
    undisturbed = torch.rand(4)
    torch.manual_seed(5)
    inside = []
    for _ in range(2):
        with torch_seeded(3, "init"):
            inside.append(torch.rand(4))
    with torch_seeded(3, "other"):
        inside.append(torch.rand(4))
    assert torch.equal(torch.rand(4), undisturbed)
    assert torch.equal(inside[0], inside[1])
    assert not torch.equal(inside[0], inside[2])
    assert torch.equal(inside[0], torch.rand(4, generator=torch_generator(3, "init")))
