"""deploy/kubernetes: the autoscalers, and what the optional components change."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bundle import shipped
from bundle.spec import TorchServeSettings
from measure.autoscale.manifests import quantity
from serving.gateway import tracing
from serving.host.scratch import SHARED_MEMORY
from serving.metrics.catalogue import CATALOGUE
from tests.unit.deploy.kustomized import (
    KSERVE,
    KUBERNETES,
    OVERLAYS,
    by_kind,
    combined,
    option,
    overlay,
    pod,
    render,
    server,
    with_components,
)


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    assert not any("replicas" in overlay(name)["Deployment"]["spec"] for name in OVERLAYS)


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
    scaled = [overlay("cpu-keda"), by_kind(render(KSERVE / "stored"))]
    triggers = [trigger for each in scaled for trigger in each["ScaledObject"]["spec"]["triggers"]]
    rules = yaml.safe_load((KUBERNETES / "components/hpa/adapter.yaml").read_text())["rules"]["custom"]
    queries = [trigger["metadata"]["query"] for trigger in triggers] + [rule["seriesQuery"] for rule in rules]
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


def test_to_zero_there_are_pods_in_office_hours_and_none_at_night(tmp_path: Path) -> None:
    spec = with_components(tmp_path, "cpu-keda", ["keda-to-zero"])["ScaledObject"]["spec"]
    assert spec["minReplicaCount"] == 0
    assert [trigger["type"] for trigger in spec["triggers"]] == ["prometheus", "prometheus", "cron"]
    assert int(spec["triggers"][2]["metadata"]["desiredReplicas"]) >= 1


@pytest.mark.parametrize("components", [[], ["keda-to-zero"]])
def test_a_lost_metric_is_an_error_and_not_a_zero(components: list[str], tmp_path: Path) -> None:
    spec = with_components(tmp_path, "cpu-keda", components)["ScaledObject"]["spec"]
    asked = [trigger["metadata"] for trigger in spec["triggers"] if trigger["type"] == "prometheus"]
    # by default KEDA reads an empty answer as 0, and scales in
    assert [metadata["ignoreNullValues"] for metadata in asked] == ["false", "false"]
    assert "fallback" not in spec  # at an error: so many pods, however many there were


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


def test_a_shared_gpu_is_asked_for_by_the_name_that_the_device_plugin_gives_it(tmp_path: Path) -> None:
    resources = server(with_components(tmp_path, "gpu", ["gpu-shared"]))["resources"]
    assert "nvidia.com/gpu" not in resources["limits"] | resources["requests"]
    for file, way in (("time-slicing.yaml", "timeSlicing"), ("mps.yaml", "mps")):
        config = yaml.safe_load((KUBERNETES / "components/gpu-shared" / file).read_text())
        sharing = config["sharing"][way]
        assert sharing["renameByDefault"] is True
        (offered,) = [f"{each['name']}.shared" for each in sharing["resources"]]
        assert resources["limits"][offered] == resources["requests"][offered] == 1


def test_the_runtime_class_and_the_pull_secret_are_the_pod_s(tmp_path: Path) -> None:
    spec = pod(with_components(tmp_path, "cpu", ["runtime-class", "pull-secret"]))["spec"]
    assert spec["runtimeClassName"] == "nvidia"
    assert spec["imagePullSecrets"] == [{"name": "speaker-id-registry"}]


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_go_to_nodes_of_the_image_s_architecture(name: str) -> None:
    assert pod(overlay(name))["spec"]["nodeSelector"]["kubernetes.io/arch"] == "amd64"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_triton_is_another_image_and_shared_memory_and_nothing_else(name: str, tmp_path: Path) -> None:
    documents = with_components(tmp_path, name, ["triton"])
    container, spec = server(documents), pod(documents)["spec"]
    assert container["image"] == "registry.example.com/speaker-id:1.0-triton"
    assert container["volumeMounts"].pop() == {"name": "shm", "mountPath": str(SHARED_MEMORY)}
    volume = spec["volumes"].pop()
    assert (volume["name"], volume["emptyDir"]["medium"]) == ("shm", "Memory")
    container["image"] = server(overlay(name))["image"]
    assert documents == overlay(name)


def test_a_full_batch_of_the_largest_bodies_fits_into_the_shared_memory(tmp_path: Path) -> None:
    documents = with_components(tmp_path, "gpu", ["triton"])
    (size,) = [
        int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
        for volume in pod(documents)["spec"]["volumes"]
        if volume["name"] == "shm"
    ]
    batch = TorchServeSettings.model_fields["batchSize"].default * shipped.shipped("max_request_size")
    assert size >= 2 * batch  # two workers, which docs/deploy-options.md advises for a GPU
    limit = server(documents)["resources"]["limits"]["memory"]
    assert size < int(limit.removesuffix("Gi")) * 2**30 / 2  # it counts against this


def test_spans_go_to_the_collector(tmp_path: Path) -> None:
    base = KUBERNETES / "overlays" / "cpu"
    documents = combined(tmp_path, base, [KUBERNETES / "components" / "tracing"])
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    # an address that the gateway accepts
    assert tracing.read(option(server({"Deployment": deployment}), "--otlp"))


@pytest.mark.parametrize("name", OVERLAYS)
def test_workers_have_as_many_threads_as_the_pod_has_cores(name: str) -> None:
    container = server(overlay(name))
    (threads,) = [each for each in container["env"] if each["name"] == "OMP_NUM_THREADS"]
    assert threads["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
    assert container["resources"]["requests"]["cpu"].isdecimal()
