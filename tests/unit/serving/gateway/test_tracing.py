"""OTLP=: the collector that the gateway's spans go to."""

from __future__ import annotations

import pytest

from bundle import BundleError
from serving.gateway import tracing
from serving.gateway.tracing import Collector


def test_without_an_address_there_is_no_collector() -> None:
    assert tracing.read("") is None


@pytest.mark.parametrize("given", ["127.0.0.1:4318", "collector.tracing:4318", "otel-collector:55681"])
def test_an_address_is_a_host_and_a_port(given: str) -> None:
    host, port = given.split(":")
    found = tracing.read(given)
    assert found == Collector(host, int(port))
    assert str(found) == given


@pytest.mark.parametrize(
    "given", ["collector", "http://collector:4318", ":4318", "a b:1", "x:{y}", "x:", "x:0", "x:65536"]
)
def test_anything_else_is_rejected_with_what_to_write(given: str) -> None:
    with pytest.raises(BundleError, match=r"OTLP=.* is not an address: write it as OTLP=127\.0\.0\.1:4318"):
        tracing.read(given)
