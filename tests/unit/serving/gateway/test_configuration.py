"""Envoy's configuration for every combination of options: YAML, and each option changes its own part alone."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.gateway import scripts
from serving.gateway.configuration import FOLDER, TEMPLATE, Configuration, Splitting
from serving.gateway.options import GatewayOptions, Limits
from serving.gateway.tls import Certificate
from serving.gateway.tokens import Tokens
from serving.gateway.tracing import Collector
from serving.model_server import Upstream
from serving.triton.upstream import upstream as triton_upstream
from tests.unit.serving.gateway.configured import (
    ADMIN,
    ROUTE_SECONDS,
    RUN,
    UPSTREAM,
    connection_manager,
    filter_chain,
    listener,
    rendered,
)

CHOICES: dict[str, tuple[Any, ...]] = {
    "certificate": (None, Certificate(Path("/cert, é"), "127.0.0.1", None)),
    "tokens": (None, Tokens(Path("/tokens"), ("0123456789abcdef",))),
    "origins": ((), ("https://a.example", "http://b.example:8443")),
    "collector": (None, Collector("collector.tracing", 4318)),
    "limits": (Limits(), Limits(*range(1, 8))),
}
COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]


def name_of(given: dict[str, Any]) -> str:
    return "-".join(name for name, value in given.items() if value != CHOICES[name][0]) or "plain"


@pytest.mark.parametrize("given", COMBINATIONS, ids=name_of)
def test_every_combination_has_exactly_the_parts_that_are_asked_for(given: dict[str, Any]) -> None:
    config = rendered(GatewayOptions(8080, **given))
    manager = connection_manager(config)
    assert ("transport_socket" in filter_chain(config)) == bool(given["certificate"])
    assert ("tracing" in manager) == bool(given["collector"])
    names = [each["name"] for each in manager["http_filters"]]
    assert ("tokens" in names) == bool(given["tokens"])
    unread = [each for each in manager["local_reply_config"]["mappers"] if adds_any_origin(each)]
    assert len(unread) == (2 if given["origins"] else 0)
    clusters = [each["name"] for each in config["static_resources"]["clusters"]]
    traced = ["otlp"] if given["collector"] else []
    assert clusters == ["grpc_health", *traced, "nobody", "exporter", "model_server", "model_server_grpc"]
    assert filter_chain(config)["transport_socket_connect_timeout"] == (
        f"{given['limits'].handshake_seconds}s"
    )


def adds_any_origin(mapper: Any) -> bool:
    added = (each["header"] for each in mapper.get("headers_to_add", ()))
    return {"key": "access-control-allow-origin", "value": "*"} in added


def test_every_limit_is_used() -> None:
    template = (FOLDER / TEMPLATE).read_text("utf-8")
    assert set(re.findall(r"limits\.(\w+)", template)) == set(vars(Limits()))


def test_addresses_and_paths_arrive_as_they_are() -> None:
    collector = Collector("collector.tracing", 4318)
    options = GatewayOptions(
        8080, "0.0.0.0", collector=collector, metrics_port=9090, metrics_address="0.0.0.0"
    )
    config = rendered(options)
    assert config["admin"]["address"]["pipe"]["path"] == str(ADMIN)
    assert listener(config)["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 8080}
    found = {
        cluster["name"]: next(iter(endpoint["endpoint"]["address"].values()))
        for cluster in config["static_resources"]["clusters"]
        for group in cluster["load_assignment"].get("endpoints", ())
        for endpoint in group["lb_endpoints"]
    }
    assert {name: tuple(address.values()) for name, address in found.items()} == {
        "grpc_health": ("grpc_health",),
        "otlp": ("collector.tracing", 4318),
        "exporter": ("127.0.0.1", 9090),
        "model_server": ("127.0.0.1", UPSTREAM.http),
        "model_server_grpc": ("127.0.0.1", UPSTREAM.grpc),
    }


def test_recordings_that_are_being_uploaded_take_no_place_of_other_requests() -> None:
    split = Splitting(Path("/run/splitter"), Path("/run/inner"))
    text = Configuration(RUN, ADMIN, UPSTREAM, ROUTE_SECONDS, GatewayOptions(8080), splitting=split).render()
    config = yaml.safe_load(text)["static_resources"]
    (manager,) = config["listeners"][0]["filter_chains"][0]["filters"]
    (host,) = manager["typed_config"]["route_config"]["virtual_hosts"]
    unbuffered = {"envoy.filters.http.buffer"}
    found = {
        each["route"]["cluster"]: unbuffered <= each.get("typed_per_filter_config", {}).keys()
        for each in host["routes"]
        if any(header["name"] == "x-split" for header in each["match"].get("headers", ()))
    }
    assert found == {"recordings": True, "splitter": False}
    clusters = {
        each["name"]: each["circuit_breakers"] for each in config["clusters"] if each["name"] in found
    }
    assert clusters["recordings"] == clusters["splitter"]


def test_the_filters_run_in_the_order_in_which_they_depend_on_each_other() -> None:
    manager = connection_manager(rendered(GatewayOptions(8080, tokens=CHOICES["tokens"][1])))
    lua = {
        each["name"]: each["typed_config"]["default_source_code"]["filename"]
        for each in manager["http_filters"]
        if "default_source_code" in each["typed_config"]
    }
    # the last reads what the bridge makes requests of, and what becomes of them
    expected = (
        *(name for name in scripts.ALL if name not in (scripts.SPLIT, scripts.AGAIN, scripts.OUTPUTS)),
        scripts.TRANSLATE,
    )
    assert list(lua.values()) == [str(RUN / name) for name in expected]
    names = [each["name"] for each in manager["http_filters"]]
    assert names[0] == "envoy.filters.http.cors"
    last = [
        "buffer",
        "header_mutation",
        "named",
        "received",
        "translate",
        "grpc_http1_reverse_bridge",
        "translated",
        "router",
    ]
    assert [name.removeprefix("envoy.filters.http.") for name in names[-len(last) :]] == last


@pytest.mark.parametrize(("server", "marked"), [(UPSTREAM, False), (triton_upstream(1, 2), True)])
def test_the_answers_of_a_server_whose_queue_does_not_wait_for_a_worker_are_marked_before_the_router_has_them(
    server: Upstream, marked: bool
) -> None:
    config = rendered(GatewayOptions(8080), server)
    (host,) = connection_manager(config)["route_config"]["virtual_hosts"]
    policies = [
        route["retry_policy"] for each in host["routes"] if "retry_policy" in (route := each.get("route", {}))
    ]
    assert len(policies) == 3 + len(server.methods) + len(server.translated)
    for policy in policies:
        assert policy["retry_on"] == ("retriable-headers" if marked else "retriable-status-codes")
        # their number must not end the attempts before the timeout does: the longest pause between two is 1 s
        assert policy["num_retries"] == (4 * ROUTE_SECONDS if marked else 1)
    for cluster in config["static_resources"]["clusters"]:
        if cluster["name"].startswith("model_server"):
            (options,) = cluster.get("typed_extension_protocol_options", {"": {}}).values()
            names = [each["name"] for each in options.get("http_filters", ())]
            assert names == (["again", "envoy.filters.http.upstream_codec"] if marked else [])


def test_a_stream_may_be_idle_for_longer_than_a_request_may_take() -> None:
    manager = connection_manager(rendered(GatewayOptions(8080)))
    assert manager["stream_idle_timeout"] == f"{ROUTE_SECONDS + 30}s"


def test_the_model_server_is_not_told_of_a_calls_deadline_which_the_gateway_keeps() -> None:
    """TorchServe ended one call of six first, with a reset: UNAVAILABLE where it should be DEADLINE_EXCEEDED."""
    (host,) = connection_manager(rendered(GatewayOptions(8080)))["route_config"]["virtual_hosts"]
    calls = [each for each in host["routes"] if each.get("route", {}).get("cluster") == "model_server_grpc"]
    assert len(calls) == len(UPSTREAM.methods)
    for each in calls:
        assert each["route"]["max_stream_duration"] == {"grpc_timeout_header_max": f"{ROUTE_SECONDS}s"}
        assert each["request_headers_to_remove"] == ["grpc-timeout"]
