"""What the gateway's configuration gets where spans go to a collector, and where they do not."""

from __future__ import annotations

import pytest
import yaml

from bundle import BundleError
from serving.gateway.tracing import fragments


def test_without_a_collector_nothing_is_traced() -> None:
    assert fragments(None) == {"tracing": "", "tracing_cluster": ""}


@pytest.mark.parametrize("otlp", ["127.0.0.1:4318", "collector.tracing:4318", "otel-collector:55681"])
def test_a_collectors_host_and_port_are_a_cluster(otlp: str) -> None:
    host, port = otlp.split(":")
    found = fragments(otlp)
    (cluster,) = yaml.safe_load(found["tracing_cluster"])
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address = endpoint["endpoint"]["address"]["socket_address"]
    assert (str(address["address"]), address["port_value"]) == (host, int(port))
    assert f'"http://{otlp}/v1/traces"' in found["tracing"]


@pytest.mark.parametrize(
    "otlp", ["collector", "http://collector:4318", ":4318", "a b:1", "x:{y}", "x:", "x:0", "x:65536"]
)
def test_what_is_no_address_is_named(otlp: str) -> None:
    with pytest.raises(BundleError, match=r"OTLP=.* is no address: write it as OTLP=127\.0\.0\.1:4318"):
        fragments(otlp)
