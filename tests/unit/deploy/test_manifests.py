"""deploy/kubernetes: valid by Kubernetes' own schemas, and true about the server that it runs."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from pydantic import BaseModel

from autoscale.manifests import quantity
from bundle import dockerfile
from bundle.health import PATH as READY
from bundle.metrics.catalogue import CATALOGUE
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


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    for name in OVERLAYS:
        documents = overlay(name)
        assert "replicas" not in documents["Deployment"]["spec"]
        scaler = documents.get("HorizontalPodAutoscaler") or documents["ScaledObject"]
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] == documents["Deployment"]["metadata"]["name"]


def test_both_autoscalers_scale_alike() -> None:
    plain, keda = (
        overlay("cpu")["HorizontalPodAutoscaler"]["spec"],
        overlay("cpu-keda")["ScaledObject"]["spec"],
    )
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == plain["behavior"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (plain["minReplicas"], plain["maxReplicas"])
    for metric, trigger in zip(plain["metrics"], keda["triggers"], strict=True):
        wanted = quantity(metric["pods"]["target"]["averageValue"])
        assert quantity(trigger["metadata"]["threshold"]) == wanted


def scaled_on() -> list[str]:
    """Every metric's name that KEDA, KServe or the adapter asks Prometheus for."""
    triggers = overlay("cpu-keda")["ScaledObject"]["spec"]["triggers"]
    rules = yaml.safe_load((KUBERNETES / "components/hpa/adapter.yaml").read_text())["rules"]["custom"]
    kserve = yaml.safe_load((ROOT / "deploy/kserve/inferenceservice.yaml").read_text())
    external = kserve["spec"]["predictor"]["autoScaling"]["metrics"]
    queries = [trigger["metadata"]["query"] for trigger in triggers] + [rule["seriesQuery"] for rule in rules]
    queries += [each["external"]["metric"]["query"] for each in external]
    return [query.removeprefix("sum(").partition("{")[0] for query in queries]


def test_the_autoscalers_ask_for_a_gauge_and_a_rate_that_the_server_has() -> None:
    kinds = {metric.name: metric.kind for metric in CATALOGUE}
    assert set(scaled_on()) == {"speaker_id_queue_depth", "rate(speaker_id_batch_seconds_sum"} | {
        "speaker_id_batch_seconds_sum"  # the adapter's, whose metricsQuery takes the rate
    }
    assert kinds["speaker_id_queue_depth"] == "gauge"  # a counter would never scale down
    assert kinds["speaker_id_batch_seconds"] == "histogram"
    rules = yaml.safe_load((KUBERNETES / "components/hpa/adapter.yaml").read_text())["rules"]["custom"]
    assert all(
        ("rate(" in rule["metricsQuery"]) == rule["seriesQuery"].partition("{")[0].endswith("_sum")
        for rule in rules
    )


def test_the_hpa_reads_what_the_adapter_offers() -> None:
    rules = yaml.safe_load((KUBERNETES / "components/hpa/adapter.yaml").read_text())["rules"]["custom"]
    offered = {rule.get("name", {}).get("as", rule["seriesQuery"].partition("{")[0]) for rule in rules}
    metrics = overlay("cpu")["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert {metric["pods"]["metric"]["name"] for metric in metrics} == offered


def test_the_alerts_are_valid_as_the_operator_s_object() -> None:
    document = prometheus_rule()
    assert_valid(document)
    written = [line for line in RULES.read_text().splitlines() if line.strip().startswith("- alert:")]
    alerts = [rule for group in document["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) == len(written) > 0
    assert document["metadata"]["namespace"] == overlay("cpu")["Deployment"]["metadata"]["namespace"]


def test_to_zero_there_are_pods_in_office_hours_and_none_at_night(tmp_path: Path) -> None:
    spec = with_components(tmp_path, "cpu-keda", ["keda-to-zero"])["ScaledObject"]["spec"]
    assert spec["minReplicaCount"] == 0
    assert [trigger["type"] for trigger in spec["triggers"]] == ["prometheus", "prometheus", "cron"]
    assert int(spec["triggers"][2]["metadata"]["desiredReplicas"]) >= 1


def test_with_tls_probes_and_service_speak_it_too(tmp_path: Path) -> None:
    documents = with_components(tmp_path, "cpu", ["tls"])
    container = server(documents)
    schemes = {container[probe]["httpGet"]["scheme"] for probe in container if probe.endswith("Probe")}
    assert schemes == {"HTTPS"}
    assert documents["Service"]["spec"]["ports"][0]["port"] == 443
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert option(container, "--tls") == mounts["tls"]


def test_tokens_are_mounted_as_a_folder_so_that_they_can_be_rotated(tmp_path: Path) -> None:
    container = server(with_components(tmp_path, "cpu", ["tokens"]))
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "tokens"]
    assert "subPath" not in mount
    assert Path(option(container, "--tokens")).parent == Path(mount["mountPath"])


@pytest.mark.parametrize("name", ["tls", "tokens"])
def test_secrets_are_mounted_so_that_the_server_takes_them(name: str, tmp_path: Path) -> None:
    spec = pod(with_components(tmp_path, "cpu", [name]))["spec"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == name]
    assert volume["secret"]["defaultMode"] & 0o077 == 0  # Kubernetes' default is 0644
    assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]


def test_a_gpu_pod_has_one_and_a_mig_pod_a_slice(tmp_path: Path) -> None:
    whole = server(overlay("gpu"))["resources"]
    assert whole["limits"]["nvidia.com/gpu"] == whole["requests"]["nvidia.com/gpu"] == 1
    slice_ = server(with_components(tmp_path, "gpu", ["mig"]))["resources"]
    assert "nvidia.com/gpu" not in slice_["limits"] | slice_["requests"]
    assert slice_["limits"]["nvidia.com/mig-1g.10gb"] == slice_["requests"]["nvidia.com/mig-1g.10gb"] == 1


@pytest.mark.parametrize("name", OVERLAYS)
def test_workers_have_as_many_threads_as_the_pod_has_cores(name: str) -> None:
    container = server(overlay(name))
    (threads,) = [each for each in container["env"] if each["name"] == "OMP_NUM_THREADS"]
    assert threads["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
    assert container["resources"]["requests"]["cpu"].isdecimal()
