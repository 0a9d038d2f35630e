"""deploy/kserve: KServe's fields, Kubernetes' own schemas for the pod, and the same pod as deploy/kubernetes.

The fields are those of the `kserve` package, which is too large to install here: kserve-fields.json beside this file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.kustomized import (
    DELIVERIES,
    KSERVE,
    KUBERNETES,
    ROOT,
    Document,
    by_kind,
    combined,
    overlay,
    pod,
    render,
    server,
    with_components,
)

FIELDS = Path(__file__).with_name("kserve-fields.json")
CLASSES: dict[str, dict[str, str]] = json.loads(FIELDS.read_text())["classes"]
PLAIN: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "V1beta1MetricQuantity": str,
}
MANIFESTS = {
    "stored/runtime.yaml": "V1alpha1ServingRuntime",
    "stored/inferenceservice.yaml": "V1beta1InferenceService",
    "baked/inferenceservice.yaml": "V1beta1InferenceService",
    "download/storagecontainer.yaml": "V1alpha1ClusterStorageContainer",
}
PYTHON = ROOT / "build" / "kserve" / "bin" / "python"


def manifest(name: str) -> Document:
    document: Document = yaml.safe_load((KSERVE / name).read_text())
    return document


def faults(value: Any, kind: str, where: str = "") -> list[str]:
    """Where a value is not of KServe's type; Kubernetes' own types are left to `kubernetes_validate`."""
    if several := re.fullmatch(r"list\[(\w+)\]", kind):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [fault for each in value for fault in faults(each, several[1], f"{where}[]")]
    if kind in PLAIN:
        right = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if right else [f"{where}: {value!r} is no {kind}"]
    if kind in CLASSES:
        known = CLASSES[kind]
        unknown = [f"{where}.{key}: unknown" for key in value if key not in known]
        return unknown + [
            fault
            for key, each in value.items()
            if key in known
            for fault in faults(each, known[key], f"{where}.{key}")
        ]
    return []


@pytest.mark.parametrize(("name", "kind"), MANIFESTS.items())
def test_every_field_is_one_that_kserve_has(name: str, kind: str) -> None:
    assert faults(manifest(name), kind) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"minReplica": 1}, ".spec.predictor.minReplica: unknown"),
        ({"minReplicas": "1"}, ".spec.predictor.minReplicas: '1' is no int"),
        ({"model": {"storageURI": "pvc://x"}}, ".spec.predictor.model.storageURI: unknown"),
        (
            {"autoScaling": {"metrics": [{"kind": "External"}]}},
            ".spec.predictor.autoScaling.metrics[].kind: unknown",
        ),
    ],
)
def test_a_wrong_field_would_be_found(change: Document, found: str) -> None:
    document = manifest("stored/inferenceservice.yaml")
    document["spec"]["predictor"] |= change
    assert faults(document, "V1beta1InferenceService") == [found]


@pytest.mark.skipif(not PYTHON.exists(), reason="no build/kserve: `make kserve-fields` installs the package")
def test_the_fields_are_the_package_s() -> None:
    script = KSERVE / "fields.py"
    made = subprocess.run([PYTHON, script], capture_output=True, text=True, timeout=600, check=True)
    assert made.stdout == FIELDS.read_text()


def test_the_fields_are_of_the_version_that_is_pinned() -> None:
    assert f"kserve=={json.loads(FIELDS.read_text())['kserve']}" in (KSERVE / "requirements.txt").read_text()


POD = (
    "containers",
    "volumes",
    "terminationGracePeriodSeconds",
    "automountServiceAccountToken",
    "nodeSelector",
)


@pytest.mark.parametrize(
    "spec",
    [manifest("stored/runtime.yaml")["spec"], manifest("baked/inferenceservice.yaml")["spec"]["predictor"]],
    ids=["runtime", "baked"],
)
def test_the_pod_is_valid_and_as_deploy_kubernetes_has_it(spec: Document) -> None:
    whole = {"apiVersion": "v1", "kind": "Pod", "spec": {key: spec[key] for key in POD if key in spec}}
    kubernetes_validate.validate(whole | {"metadata": {"name": "x"}}, "1.37", strict=True)
    (container,), reference = spec["containers"], server(overlay("cpu"))
    assert container["name"] == "kserve-container"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        here, there = dict(container[probe]), dict(reference[probe])
        assert here.pop("httpGet")["path"] == there.pop("httpGet")["path"]
        assert here == there
    within = pod(overlay("cpu"))["spec"]["securityContext"]
    for key, value in reference["securityContext"].items():
        assert container["securityContext"][key] == value
    for key in ("runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"):
        assert container["securityContext"][key] == within[key]
    for key in ("resources", "volumeMounts"):
        assert container[key] == reference[key]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        port["name"]: port["containerPort"] for port in reference["ports"]
    }
    assert spec["nodeSelector"] == pod(overlay("cpu"))["spec"]["nodeSelector"]
    assert container["args"][-len(reference["args"]) :] == reference["args"]


@pytest.mark.parametrize("name", ["stored/inferenceservice.yaml", "baked/inferenceservice.yaml"])
def test_the_service_drains_as_long_and_batches_no_more(name: str) -> None:
    predictor = manifest(name)["spec"]["predictor"]
    expected = pod(overlay("cpu"))["spec"]["terminationGracePeriodSeconds"]
    assert predictor["terminationGracePeriodSeconds"] == expected
    assert "batcher" not in predictor


def test_the_service_asks_for_our_runtime_by_name_and_format() -> None:
    runtime, model = (
        manifest("stored/runtime.yaml"),
        manifest("stored/inferenceservice.yaml")["spec"]["predictor"]["model"],
    )
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == runtime["spec"]["supportedModelFormats"][0]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


@pytest.mark.parametrize(
    ("components", "protocol", "port"), [([], "v2", "http"), (["grpc"], "grpc-v2", "h2c")]
)
def test_with_triton_kserve_has_its_format_and_either_protocol(
    components: list[str], protocol: str, port: str, tmp_path: Path
) -> None:
    paths = [KSERVE / each for each in ("triton", *components)]
    documents = by_kind(combined(tmp_path, KSERVE / "stored", paths))
    runtime, service = documents["ServingRuntime"], documents["InferenceService"]
    for document, kind in ((runtime, "V1alpha1ServingRuntime"), (service, "V1beta1InferenceService")):
        assert faults(document, kind) == []
    model = service["spec"]["predictor"]["model"]
    assert (model["modelFormat"], model["protocolVersion"]) == ({"name": "triton"}, protocol)
    (container,), here = runtime["spec"]["containers"], server(with_triton(tmp_path / "cpu"))
    assert container["image"] == here["image"]
    assert container["volumeMounts"] == here["volumeMounts"]
    assert container["ports"][0]["name"] == port  # the first is the one that KServe's Service has as port 80
    assert runtime["spec"]["volumes"] == pod(with_triton(tmp_path / "cpu"))["spec"]["volumes"]
    # never chosen for another's Triton repository, which has no archive of ours
    assert [each["autoSelect"] for each in runtime["spec"]["supportedModelFormats"]] == [False]


def with_triton(folder: Path) -> dict[str, Document]:
    """The pods of deploy/kubernetes with Triton."""
    folder.mkdir(exist_ok=True)
    return with_components(folder, "cpu", ["triton"])


@pytest.mark.parametrize(
    "names",
    [[way.name] for way in DELIVERIES[KSERVE / "stored"]] + [["triton", "grpc"]],
    ids=lambda names: names[0],
)
def test_a_component_changes_the_service_of_another_name_too(names: list[str], tmp_path: Path) -> None:
    (here := tmp_path / "demo").mkdir()
    demo = combined(here, KSERVE / "stored", [KSERVE / name for name in names])
    shutil.copytree(here, there := tmp_path / "voices")
    file = there / "inferenceservice.yaml"
    file.write_text(file.read_text().replace("name: demo", "name: voices"))
    # kustomize says nothing of a patch whose target is not there
    (before,), (after,) = (
        [each for each in documents if each["kind"] == "InferenceService"]
        for documents in (demo, render(there))
    )
    assert after == before | {"metadata": before["metadata"] | {"name": "voices"}}


@pytest.mark.parametrize("name", ["stored", "baked"])
def test_kserve_scales_as_keda_does(name: str) -> None:
    here, there = (
        json.dumps(by_kind(documents)["ScaledObject"]["spec"])
        for documents in (render(KSERVE / name), render(KUBERNETES / "overlays" / "cpu-keda"))
    )
    assert here == there.replace('pod=~\\"speaker-id-', 'pod=~\\"demo-predictor-').replace(
        '{"name": "speaker-id"}', '{"name": "demo-predictor"}'
    )
    service = by_kind(render(KSERVE / name))["InferenceService"]
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
