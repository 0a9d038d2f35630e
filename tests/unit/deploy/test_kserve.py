"""deploy/kserve: KServe's fields, Kubernetes' own schemas for the pod, and the same pod as deploy/kubernetes.

The fields are those of the `kserve` package, which is too large to install here: kserve-fields.json beside this file.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.kustomized import KSERVE, ROOT, Document, overlay, pod, server

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
    "runtime.yaml": "V1alpha1ServingRuntime",
    "inferenceservice.yaml": "V1beta1InferenceService",
    "baked.yaml": "V1beta1InferenceService",
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
    document = manifest("inferenceservice.yaml")
    document["spec"]["predictor"] |= change
    assert faults(document, "V1beta1InferenceService") == [found]


@pytest.mark.skipif(not PYTHON.exists(), reason="no build/kserve: `make kserve-fields` installs the package")
def test_the_fields_are_the_package_s() -> None:
    script = KSERVE / "fields.py"
    made = subprocess.run([PYTHON, script], capture_output=True, text=True, timeout=120, check=True)
    assert made.stdout == FIELDS.read_text()


def test_the_fields_are_of_the_version_that_is_pinned() -> None:
    assert f"kserve=={json.loads(FIELDS.read_text())['kserve']}" in (KSERVE / "requirements.txt").read_text()


POD = ("containers", "volumes", "terminationGracePeriodSeconds", "automountServiceAccountToken")


@pytest.mark.parametrize(
    "spec",
    [manifest("runtime.yaml")["spec"], manifest("baked.yaml")["spec"]["predictor"]],
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
    for key in ("resources", "volumeMounts", "image"):
        assert container[key] == reference[key]
    assert container["args"][-len(reference["args"]) :] == reference["args"]


@pytest.mark.parametrize("name", ["inferenceservice.yaml", "baked.yaml"])
def test_the_service_drains_as_long_and_batches_no_more(name: str) -> None:
    predictor = manifest(name)["spec"]["predictor"]
    expected = pod(overlay("cpu"))["spec"]["terminationGracePeriodSeconds"]
    assert predictor["terminationGracePeriodSeconds"] == expected
    assert "batcher" not in predictor


def test_the_service_asks_for_our_runtime_by_name_and_format() -> None:
    runtime, model = manifest("runtime.yaml"), manifest("inferenceservice.yaml")["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == runtime["spec"]["supportedModelFormats"][0]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


def quantity(text: str) -> float:
    """`4` → 4.0, `500m` → 0.5."""
    return float(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)


def test_kserve_scales_as_keda_does() -> None:
    predictor = manifest("inferenceservice.yaml")["spec"]["predictor"]
    keda = overlay("cpu-keda")["ScaledObject"]["spec"]
    mine = 'namespace="speaker-id"'
    asked = {
        each["external"]["metric"]["query"].replace(f'{mine}, pod=~"demo-predictor-.+"', mine): quantity(
            each["external"]["target"]["value"]
        )
        for each in predictor["autoScaling"]["metrics"]
    }
    assert asked == {
        trigger["metadata"]["query"]: float(trigger["metadata"]["threshold"]) for trigger in keda["triggers"]
    }
    behavior = keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction, rules in predictor["autoScaling"]["behavior"].items():
        assert rules["stabilizationWindowSeconds"] == behavior[direction]["stabilizationWindowSeconds"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (
        keda["minReplicaCount"],
        keda["maxReplicaCount"],
    )
