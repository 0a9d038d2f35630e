from __future__ import annotations

import pytest

from measure.loadtest import LoadTestError
from measure.loadtest.slo import Slo, parse, ranks, requests_for


def test_bounds_are_read_in_seconds_and_shares() -> None:
    assert parse("p99=2s,errors=0.1%") == Slo({0.99: 2.0}, 0.001)
    assert parse("p50=250ms, p99.9=1.5s") == Slo({0.5: 0.25, 0.999: 1.5})


def test_a_slo_reads_back_as_it_was_written() -> None:
    assert str(parse("p50=0.25s,p99=2s,errors=0.1%")) == "p50=0.25s,p99=2s,errors=0.1%"


@pytest.mark.parametrize(
    "text", ["p99", "p99=2", "p100=2s", "p99=0s", "errors=1", "errors=101%", "mean=1s", "p99<2s"]
)
def test_what_is_no_bound_is_named(text: str) -> None:
    with pytest.raises(LoadTestError, match=r'write it as SLO="p99=2s,errors=0\.1%"') as refused:
        parse(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["", ","])
def test_an_empty_slo_bounds_nothing(text: str) -> None:
    with pytest.raises(LoadTestError, match="bounds nothing"):
        parse(text)


def test_a_percentile_needs_enough_requests_for_an_upper_end() -> None:
    # 1 - 0.99^368 = 0.9752 and 1 - 0.99^367 = 0.9750-: the slowest of 368 is above p99 with 97.5 %
    assert requests_for(0.99) == 368
    assert requests_for(0.95) == 72
    assert ranks(0.99, 368)[1] == 368
    assert ranks(0.99, 367)[1] == 368  # one more than there are: no upper end


def test_the_median_of_ten_lies_between_the_second_and_the_ninth() -> None:
    # P(Bin(10, ½) ≤ 1) = 11/1024 = 1.1 %, ≤ 2 = 56/1024 = 5.5 %: the classical 97.9 % interval
    assert ranks(0.5, 10) == (2, 9)
