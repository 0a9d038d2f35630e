"""Waiting: for a condition, never for so long."""

from __future__ import annotations

import pytest

from serving.host.polling import wait_until


def test_what_holds_already_is_not_waited_for() -> None:
    assert wait_until(lambda: True, 0)


def test_it_is_looked_at_again_and_again_until_it_holds() -> None:
    looks = iter([False, False, True])
    assert wait_until(lambda: next(looks), 600, poll=0)
    assert list(looks) == []


def test_it_ends_once_the_time_is_over() -> None:
    looks: list[None] = []
    assert not wait_until(lambda: looks.append(None), 0)
    assert looks == [None]


def test_what_the_condition_raises_ends_it() -> None:
    def broken() -> bool:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # of the condition
        wait_until(broken, 600)
