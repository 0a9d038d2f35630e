"""deploy/kubernetes: valid by Kubernetes' own schemas, and true about the server that it runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel

from bundle.spec import TorchServeSettings
from deploy.prometheus.operator_rule import OBJECT, RULES, prometheus_rule
from serving.health import PATH as READY
from serving.state import GRACE_SECONDS
from serving.torchserve.process import JVM_STOP_SECONDS
from tests.unit.deploy import dockerfile
from tests.unit.deploy.kustomized import (
    KSERVE,
    OPTIONS,
    OVERLAYS,
    ROOT,
    Document,
    combined,
    option,
    overlay,
    pod,
    server,
    with_components,
)


@cache
def models() -> dict[str, type[BaseModel]]:
    """The kinds that Kubernetes has no schema of; imported here, since it takes every worker of the suite seconds."""
    from cloudcoil.models.keda.v1alpha1 import ScaledObject
    from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule

    return {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor, "PrometheusRule": PrometheusRule}


def assert_valid(document: Document) -> None:
    model = models().get(document["kind"])
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
        autoscaler,
    }
    for document in documents.values():
        assert_valid(document)


@pytest.mark.parametrize(
    "base", [base for base in OPTIONS if KSERVE not in base.parents], ids=lambda it: it.name
)
def test_with_every_option_objects_are_valid_too(base: Path, tmp_path: Path) -> None:
    for document in combined(tmp_path, base, OPTIONS[base]):
        assert_valid(document)


@pytest.mark.parametrize("kind", ["Deployment", "HorizontalPodAutoscaler", "PodMonitor"])
def test_a_misspelt_key_would_be_found(kind: str, tmp_path: Path) -> None:
    document = with_components(tmp_path, "cpu", ["monitoring"])[kind]
    with pytest.raises((kubernetes_validate.ValidationError, AssertionError)):
        assert_valid(document | {"spec": document["spec"] | {"replica": 2}})


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_pod_is_more_restricted_than_its_namespace_demands(name: str) -> None:
    documents = overlay(name)
    assert pod(documents)["spec"]["automountServiceAccountToken"] is False
    assert server(documents)["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    user = dockerfile.server().last("USER")
    given = pod(overlay("cpu"))["spec"]["securityContext"]
    assert f"{given['runAsUser']}:{given['runAsGroup']}" == user


def test_everything_that_is_written_goes_to_the_one_volume() -> None:
    stage = dockerfile.server()
    environment = dockerfile.environment(stage)
    entrypoint = stage.words("ENTRYPOINT")
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
    image = dockerfile.server()
    entrypoint = image.words("ENTRYPOINT")
    assert str(ports["metrics"]) == entrypoint[entrypoint.index("--metrics-port") + 1]
    assert {str(port) for port in ports.values()} == set(image.last("EXPOSE").split())
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


def test_the_operator_has_the_alerts_and_recorded_series_of_the_rule_file(tmp_path: Path) -> None:
    assert OBJECT.read_text() == prometheus_rule(), "run python -m deploy.prometheus.operator_rule"
    documents = with_components(tmp_path, "cpu", ["monitoring"])
    assert documents["PrometheusRule"]["spec"] == yaml.safe_load(RULES.read_text())


def test_one_label_selects_the_monitor_and_the_rules(tmp_path: Path) -> None:
    documents = with_components(tmp_path, "cpu", ["monitoring"])
    monitor, rules = (documents[kind]["metadata"]["labels"] for kind in ("PodMonitor", "PrometheusRule"))
    assert monitor == rules == {"release": "kube-prometheus-stack"}


def test_grafana_s_sidecar_finds_the_dashboard(tmp_path: Path) -> None:
    made = with_components(tmp_path, "cpu", ["monitoring"])["ConfigMap"]
    assert made["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert made["data"] == {"speaker-id.json": (ROOT / "deploy/grafana/dashboard.json").read_text("utf-8")}
