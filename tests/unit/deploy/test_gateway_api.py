"""deploy/kubernetes/components/gateway-api: routes that let through what our gateway lets through, and as long."""

from __future__ import annotations

import pytest
import yaml

from bundle import shipped
from bundle.spec import TorchServeSettings, answer_seconds
from serving.metrics import access_log
from serving.torchserve import process as torchserve
from serving.torchserve.ports import Ports
from serving.triton import upstream as triton
from tests.unit.deploy.kustomized import KUBERNETES, Document, combined

FOLDER = KUBERNETES / "components" / "gateway-api"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return combined(tmp_path_factory.mktemp("cpu"), KUBERNETES / "overlays" / "cpu", [FOLDER])


def one(rendered: list[Document], kind: str, name: str = "speaker-id") -> Document:
    (found,) = [each for each in rendered if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def rule(rendered: list[Document], kind: str) -> Document:
    spec = one(rendered, kind)["spec"]
    assert set(spec) == {"parentRefs", "hostnames", "rules"}
    (only,) = spec["rules"]
    assert isinstance(only, dict)
    return only


def test_the_route_waits_longer_than_our_gateway_does(rendered: list[Document]) -> None:
    made = rule(rendered, "HTTPRoute")
    assert set(made) == {"backendRefs", "timeouts"}
    longest = answer_seconds(TorchServeSettings.model_fields["responseTimeout"].default)
    assert set(made["timeouts"]) == {"request", "backendRequest"}
    for each in made["timeouts"].values():
        assert longest < int(each.removesuffix("s")) < longest + 60


def test_grpc_is_routed_to_the_services_that_either_server_has(rendered: list[Document]) -> None:
    made = rule(rendered, "GRPCRoute")
    assert set(made) == {"matches", "backendRefs"}
    servers = torchserve.upstream(Ports(1, 2, 3, 4)), triton.upstream(1, 2)
    health = access_log.GRPC_HEALTH.split("/")[1]
    services = [match["method"]["service"] for match in made["matches"]]
    assert services == [*(each.service for each in servers), health]


def test_grpc_reaches_the_pods_as_http_2(rendered: list[Document]) -> None:
    (backend,) = rule(rendered, "GRPCRoute")["backendRefs"]
    grpc, plain = one(rendered, "Service", backend["name"])["spec"], one(rendered, "Service")["spec"]
    assert grpc["ports"][0]["appProtocol"] == "kubernetes.io/h2c"
    assert (grpc["selector"], grpc["ports"][0]["targetPort"]) == (
        plain["selector"],
        plain["ports"][0]["targetPort"],
    )


def test_no_host_is_that_of_both_routes(rendered: list[Document]) -> None:
    http, grpc = (one(rendered, kind)["spec"]["hostnames"] for kind in ("HTTPRoute", "GRPCRoute"))
    assert not set(http) & set(grpc)  # the younger route would be refused


def test_nginx_takes_bodies_as_large_as_ours_on_either_route(rendered: list[Document]) -> None:
    policies = list(yaml.safe_load_all((FOLDER / "nginx-body.yaml").read_text()))
    specs = [each["spec"] for each in policies]
    routes = [(each["targetRef"]["kind"], each["targetRef"]["name"]) for each in specs]
    assert [one(rendered, *route)["kind"] for route in routes] == ["HTTPRoute", "GRPCRoute"]
    assert len({each["metadata"]["name"] for each in policies}) == len(policies)
    for each in specs:
        assert int(each["body"]["maxSize"].removesuffix("m")) * 2**20 == shipped.shipped("max_request_size")
