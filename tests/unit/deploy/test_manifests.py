"""deploy/kubernetes: valid by Kubernetes' own schemas, and true about the server that it runs."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from pydantic import BaseModel

from bundle import dockerfile
from bundle.health import PATH as READY
from bundle.prometheus_rule import RULES, prometheus_rule
from bundle.serve import GRACE_SECONDS
from bundle.sources import TorchServeSettings
from bundle.torchserve import JVM_STOP_SECONDS
from tests.unit.deploy.kustomized import (
    KUBERNETES,
    ROOT,
    Document,
    option,
    overlay,
    pod,
    server,
    with_components,
)

OVERLAYS = ["cpu", "gpu", "cpu-keda", "gpu-keda"]
MODELS: dict[str, type[BaseModel]] = {
    "ScaledObject": ScaledObject,
    "PodMonitor": PodMonitor,
    "PrometheusRule": PrometheusRule,
}
OPTIONAL = [
    ("cpu", ["tls", "tokens"]),
    ("cpu-keda", ["keda-to-zero"]),
    ("gpu-keda", ["mig", "keda-to-zero", "tls", "tokens"]),
]


def assert_valid(document: Document) -> None:
    model = MODELS.get(document["kind"])
    if model is None:
        kubernetes_validate.validate(document, "1.37", strict=True)
        return
    # what the model does not know it leaves out
    read = model.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert read == document


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_is_valid_to_the_last_key(name: str) -> None:
    documents = overlay(name)
    autoscaler = "ScaledObject" if name.endswith("keda") else "HorizontalPodAutoscaler"
    assert set(documents) == {
        "Namespace",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "PodMonitor",
        autoscaler,
    }
    for document in documents.values():
        assert_valid(document)


@pytest.mark.parametrize(("name", "components"), OPTIONAL)
def test_every_optional_component_gives_valid_objects(
    name: str, components: list[str], tmp_path: Path
) -> None:
    for document in with_components(tmp_path, name, components).values():
        assert_valid(document)


@pytest.mark.parametrize("kind", ["Deployment", "HorizontalPodAutoscaler", "PodMonitor"])
def test_a_misspelt_key_would_be_found(kind: str) -> None:
    document = overlay("cpu")[kind]
    with pytest.raises((kubernetes_validate.ValidationError, AssertionError)):
        assert_valid(document | {"spec": document["spec"] | {"replica": 2}})


def test_every_component_is_in_an_overlay_or_tried_here() -> None:
    used = {component for _, components in OPTIONAL for component in components}
    for name in OVERLAYS:
        content = yaml.safe_load((KUBERNETES / "overlays" / name / "kustomization.yaml").read_text())
        used |= {Path(component).name for component in content["components"]}
    assert used == {path.name for path in (KUBERNETES / "components").iterdir()}


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_pod_is_as_restricted_as_its_namespace_demands(name: str) -> None:
    documents = overlay(name)
    assert documents["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    spec, container = pod(documents)["spec"], server(documents)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    user = dockerfile.read(ROOT / "deploy/docker/Dockerfile", {})[-1].last("USER")
    given = pod(overlay("cpu"))["spec"]["securityContext"]
    assert f"{given['runAsUser']}:{given['runAsGroup']}" == user


def test_everything_that_is_written_goes_to_the_one_volume() -> None:
    stage = dockerfile.read(ROOT / "deploy/docker/Dockerfile", {})[-1]
    environment = dockerfile.variables(stage.last("ENV") or "", {})
    entrypoint = stage.exec_form("ENTRYPOINT")
    (mount,) = server(overlay("cpu"))["volumeMounts"]
    written = [environment["TMPDIR"], environment["HOME"], entrypoint[entrypoint.index("--run") + 1]]
    assert all(Path(place).is_relative_to(mount["mountPath"]) for place in written)


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_probes_ask_for_readiness_and_for_life(name: str) -> None:
    container = server(overlay(name))
    asked = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert asked == {"startupProbe": READY, "readinessProbe": READY, "livenessProbe": "/v2/health/live"}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert str(ports["http"]) == option(container, "--port")
    image = dockerfile.read(ROOT / "deploy/docker/Dockerfile", {})[-1]
    entrypoint = image.exec_form("ENTRYPOINT")
    assert str(ports["metrics"]) == entrypoint[entrypoint.index("--metrics-port") + 1]
    assert {str(port) for port in ports.values()} == set((image.last("EXPOSE") or "").split())
    assert {container[probe]["httpGet"]["port"] for probe in asked} == {"http"}


def test_a_pod_may_take_as_long_to_start_as_the_server_waits_for_its_model() -> None:
    probe = server(overlay("cpu"))["startupProbe"]
    patience = probe["failureThreshold"] * probe["periodSeconds"]
    longest = TorchServeSettings.model_fields["startupTimeout"].default
    assert patience >= longest + 30
    assert overlay("cpu")["Deployment"]["spec"]["progressDeadlineSeconds"] > patience


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_was_accepted_is_answered_before_the_kubelet_kills(name: str) -> None:
    container = server(overlay(name))
    delay, grace = (float(option(container, each)) for each in ("--stop-delay", "--grace"))
    assert grace == GRACE_SECONDS
    assert pod(overlay(name))["spec"]["terminationGracePeriodSeconds"] > delay + grace + JVM_STOP_SECONDS + 5


def test_the_pod_is_out_of_the_service_before_it_refuses_connections() -> None:
    container = server(overlay("cpu"))
    probe = container["readinessProbe"]
    # without a single probe the endpoint goes at SIGTERM already; this is for balancers that go by the probes
    assert float(option(container, "--stop-delay")) >= probe["periodSeconds"] * probe["failureThreshold"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_selector_selects_the_pods(name: str) -> None:
    documents = overlay(name)
    labels = pod(documents)["metadata"]["labels"].items()
    selectors = [
        documents["Deployment"]["spec"]["selector"]["matchLabels"],
        documents["Service"]["spec"]["selector"],
        documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        documents["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        documents["PodMonitor"]["spec"]["selector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in pod(documents)["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert len(selectors) == 7
    for selector in selectors:
        assert selector
        assert selector.items() <= labels
    assert {document["metadata"].get("namespace", "speaker-id") for document in documents.values()} == {
        "speaker-id"
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_ports_are_called_by_names_that_the_container_has(name: str) -> None:
    documents = overlay(name)
    named = {port["name"] for port in server(documents)["ports"]}
    asked = {port["targetPort"] for port in documents["Service"]["spec"]["ports"]}
    asked |= {end["port"] for end in documents["PodMonitor"]["spec"]["podMetricsEndpoints"]}
    asked |= {
        port["port"] for rule in documents["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]
    }
    assert asked == named == {"http", "metrics"}


def test_nothing_gets_out_and_metrics_only_to_monitoring() -> None:
    policy = overlay("cpu")["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy.get("egress", []) == []
    (metrics,) = [rule for rule in policy["ingress"] if rule["ports"][0]["port"] == "metrics"]
    assert metrics["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_image_is_called_latest_or_nothing(name: str) -> None:
    image = server(overlay(name))["image"]
    assert image.rpartition(":")[2] not in ("", "latest", image)


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_node_can_always_be_drained(name: str) -> None:
    budget = overlay(name)["PodDisruptionBudget"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


def test_the_alerts_are_valid_as_the_operator_s_object() -> None:
    document = prometheus_rule()
    assert_valid(document)
    written = [line for line in RULES.read_text().splitlines() if line.strip().startswith("- alert:")]
    alerts = [rule for group in document["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) == len(written) > 0
    assert document["metadata"]["namespace"] == overlay("cpu")["Deployment"]["metadata"]["namespace"]
