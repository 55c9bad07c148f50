from __future__ import annotations

from i2i.errors import did_you_mean


def test_the_nearest_choice_is_named_alone() -> None:
    assert did_you_mean("lsgam", ["wgan", "lsgan", "hinge"]) == "; did you mean 'lsgan'?"


def test_all_choices_are_listed_in_order_where_none_is_near() -> None:
    assert did_you_mean("xyz", iter(["hinge", "lsgan", "began"])) == "; choose one of: began, hinge, lsgan"


def test_without_choices_there_is_nothing_to_say() -> None:
    assert did_you_mean("xyz", []) == ""
