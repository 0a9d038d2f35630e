"""The gateway's configuration of a server that does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from serving.gateway.configuration import Configuration
from serving.gateway.options import GatewayOptions
from serving.model_server import Upstream
from serving.torchserve.ports import Ports
from serving.torchserve.process import upstream

RUN, ADMIN = Path("/run, é/8080"), Path('/tmp/"é"/admin')
PORTS = Ports(inference=1001, metrics=1002, grpc_inference=1003, grpc_management=1004)
UPSTREAM = upstream(PORTS)
ROUTE_SECONDS = 120


def rendered(options: GatewayOptions, upstream: Upstream = UPSTREAM) -> Any:
    """The configuration as YAML is read."""
    return yaml.safe_load(Configuration(RUN, ADMIN, upstream, ROUTE_SECONDS, options).render())


def listener(config: Any) -> Any:
    """The public one; the other is reached by Envoy alone."""
    public, internal = config["static_resources"]["listeners"]
    assert (public["name"], internal["internal_listener"]) == ("public", {})
    return public


def filter_chain(config: Any) -> Any:
    (chain,) = listener(config)["filter_chains"]
    return chain


def connection_manager(config: Any) -> Any:
    (manager,) = filter_chain(config)["filters"]
    return manager["typed_config"]
