"""Every overlay with its options, alone, in pairs and together: what one object names of another is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.kustomized import (
    DELIVERIES,
    EXCLUDED,
    KSERVE,
    KUBERNETES,
    OPTIONS,
    ROOT,
    SINGLE,
    Document,
    choices,
    combined,
    render,
)
from tests.unit.deploy.references import faults

PAGES = ("deploy.md", "deploy-options.md", "deploy-models.md", "kserve.md")
GUIDE = "".join((ROOT / "docs" / page).read_text("utf-8") for page in PAGES)
# what the guide has its reader make first
MADE_FIRST = {("Secret", name) for name in re.findall(r"create secret [\w-]+ ([\w-]+)", GUIDE)} | {
    ("PersistentVolumeClaim", name) for name in re.findall(r"PersistentVolumeClaim `([\w-]+)`", GUIDE)
}
MADE_FIRST |= {("ConfigMap", name) for name in re.findall(r"create configmap ([\w-]+)", GUIDE)}
OVERLAYS = KUBERNETES / "overlays"
BASES = [pytest.param(base, id=base.name) for base in OPTIONS]
WITH_OTHERS = [
    pytest.param(base, option, id=option.name)
    for some in (DELIVERIES, SINGLE)
    for base, options in some.items()
    for option in options
]


@pytest.mark.parametrize("base", BASES)
def test_whatever_is_named_exists_in_its_namespace(base: Path, tmp_path: Path) -> None:
    for number, chosen in enumerate(choices(base)):
        (folder := tmp_path / str(number)).mkdir()
        assert faults(combined(folder, base, chosen), MADE_FIRST) == [], [each.name for each in chosen]


@pytest.mark.parametrize(("base", "option"), WITH_OTHERS)
def test_whatever_an_option_names_exists_beside_the_others(base: Path, option: Path, tmp_path: Path) -> None:
    out = {*DELIVERIES.get(base, ()), *(option.with_name(name) for name in EXCLUDED.get(option.name, ()))}
    others = [each for each in OPTIONS[base] if each not in out]
    documents = combined(tmp_path, base, [*others, option], namespace="elsewhere")
    assert faults(documents, MADE_FIRST) == []


def test_a_pod_whose_model_kserve_adds_as_a_container_would_be_refused(tmp_path: Path) -> None:
    documents = combined(tmp_path, STORED, [KSERVE / "from-oci"])
    (service,) = [document for document in documents if document["kind"] == "InferenceService"]
    put(service, "spec/predictor/model/storageUri", "oci://registry.example.com/speaker-id-model:1.0")
    found = faults(documents, MADE_FIRST)
    assert any("container modelcar: runAsNonRoot is not true" in fault for fault in found), found


@pytest.mark.parametrize("base", BASES)
def test_another_namespace_is_one_line(base: Path, tmp_path: Path) -> None:
    documents = combined(tmp_path, base, OPTIONS[base], namespace="elsewhere")
    assert faults(documents, MADE_FIRST) == []
    assert [document["metadata"]["name"] for document in documents if document["kind"] == "Namespace"] == [
        "elsewhere"
    ]


def test_every_component_is_an_option_or_in_an_overlay() -> None:
    offered = {path for some in (OPTIONS, DELIVERIES, SINGLE) for paths in some.values() for path in paths}
    for base in {*OPTIONS, *offered}:
        offered |= components(base)
    files = [*KUBERNETES.rglob("kustomization.yaml"), *KSERVE.rglob("kustomization.yaml")]
    assert offered == {path.parent for path in files if "\nkind: Component\n" in path.read_text()}


def components(folder: Path) -> set[Path]:
    """Those that a kustomization has, and those that they have."""
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    direct = {(folder / each).resolve() for each in content.get("components", ())}
    below = {(folder / each).resolve() for each in content.get("resources", ()) if not each.endswith(".yaml")}
    return direct.union(*(components(each) for each in direct | below)) if direct | below else set()


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_without_the_prometheus_operator_nothing_is_refused(name: str) -> None:
    groups = {document["apiVersion"].rpartition("/")[0] for document in render(OVERLAYS / name)}
    assert groups == {
        "",
        "apps",
        "autoscaling",
        "networking.k8s.io",
        "policy",
    }  # Kubernetes' own, all of them


CONTAINER = "spec/template/spec/containers/0"
CPU, GPU, KEDA = (OVERLAYS / name for name in ("cpu", "gpu", "cpu-keda"))
STORED, BAKED = KSERVE / "stored", KSERVE / "baked"
OTHER = {"matchLabels": {"app": "x"}}
HPA, INFERENCE, STORAGE = "HorizontalPodAutoscaler", "InferenceService", "ClusterStorageContainer"
# one relation each: where, what of which kind of object becomes what (None: it goes), and what is said
BROKEN: list[tuple[Path, str, str, object, str]] = [
    (CPU, HPA, "metadata/namespace", None, "HorizontalPodAutoscaler speaker-id is in namespace None"),
    (
        KEDA,
        "ScaledObject",
        "metadata/namespace",
        "default",
        "ScaledObject speaker-id is in namespace default",
    ),
    (CPU, "PodMonitor", "metadata/namespace", None, "PodMonitor speaker-id is in namespace None"),
    (STORED, STORAGE, "metadata/namespace", "speaker-id", "in namespace speaker-id, not None"),
    (CPU, HPA, "spec/scaleTargetRef/kind", "StatefulSet", "no scale target"),
    (CPU, HPA, "spec/scaleTargetRef/apiVersion", "apps/v2", "no scale target"),
    (KEDA, "ScaledObject", "spec/scaleTargetRef/name", "server", "no scale target"),
    (BAKED, "ScaledObject", "spec/scaleTargetRef/name", "demo", "no scale target"),
    (KEDA, "ScaledObject", "spec/triggers/0/metadata/query", 'x{namespace="y"}', "asks for namespaces ['y']"),
    (KEDA, "ScaledObject", "spec/triggers/1/metadata/query", "sum(x)", "asks for namespaces []"),
    (
        STORED,
        "ScaledObject",
        "spec/triggers/1/metadata/query",
        'x{pod=~"speaker-id-.+"}',
        "leaves out pods of demo",
    ),
    (GPU, "Deployment", "spec/selector", OTHER, "Deployment speaker-id: selects no pods"),
    (GPU, "Service", "spec/selector", {"app": "x"}, "Service speaker-id: selects no pods"),
    (GPU, "PodDisruptionBudget", "spec/selector", OTHER, "PodDisruptionBudget speaker-id: selects no pods"),
    (GPU, "PodMonitor", "spec/selector", OTHER, "PodMonitor speaker-id: selects no pods"),
    (GPU, "NetworkPolicy", "spec/podSelector", OTHER, "NetworkPolicy speaker-id-traces: selects no pods"),
    (BAKED, INFERENCE, "metadata/labels", {}, "NetworkPolicy speaker-id: selects no pods"),
    (CPU, "PodMonitor", "spec/podMetricsEndpoints/0/port", "web", "the pods have no port web"),
    (CPU, "Service", "spec/ports/0/targetPort", "web", "the pods have no port web"),
    (
        CPU,
        "Deployment",
        f"{CONTAINER}/ports/1/name",
        "web",
        "NetworkPolicy speaker-id: the pods have no port metrics",
    ),
    (
        STORED,
        "ServingRuntime",
        "spec/containers/0/ports/1/name",
        "web",
        "PodMonitor speaker-id: the pods have no port",
    ),
    (CPU, "Deployment", f"{CONTAINER}/livenessProbe/httpGet/port", "web", "a probe asks port web"),
    (CPU, "Deployment", f"{CONTAINER}/env/0/valueFrom/resourceFieldRef/containerName", "x", "no container x"),
    (CPU, "Deployment", f"{CONTAINER}/volumeMounts/0/name", "x", "no volume x"),
    (
        *(CPU, "Deployment", "spec/template/spec/topologySpreadConstraints/0/labelSelector"),
        *(OTHER, "a topologySpreadConstraint counts other pods"),
    ),
    (CPU, "Deployment", "spec/template/spec/volumes/1/secret/secretName", "keys", "no Secret keys"),
    (CPU, "Deployment", f"{CONTAINER}/envFrom", [{"configMapRef": {"name": "x"}}], "no ConfigMap x"),
    (CPU, "Deployment", "spec/template/spec/imagePullSecrets", [{"name": "x"}], "no Secret x"),
    (CPU, "Deployment", "spec/template/spec/serviceAccountName", "x", "no ServiceAccount x"),
    (STORED, INFERENCE, "spec/predictor/model/runtime", "x", "no ServingRuntime x"),
    (
        STORED,
        INFERENCE,
        "spec/predictor/model/modelFormat/name",
        "x",
        "speaker-id does not take the format x",
    ),
    (STORED, INFERENCE, "spec/predictor/model/protocolVersion", "v3", "speaker-id does not speak v3"),
    (STORED, INFERENCE, "spec/predictor/model/storageUri", "pvc://x/y", "no PersistentVolumeClaim x"),
    (STORED, INFERENCE, "spec/predictor/model/storageUri", "gs://x", "speaker-id does not take gs://x"),
    (
        STORED,
        INFERENCE,
        "spec/predictor/storageContainerName",
        None,
        "whichever ClusterStorageContainer matches",
    ),
    (
        STORED,
        STORAGE,
        "spec/container/securityContext/seccompProfile",
        None,
        "initializer: seccompProfile is not set",
    ),
    (
        STORED,
        STORAGE,
        "spec/container/securityContext",
        None,
        "initializer: allowPrivilegeEscalation is not false",
    ),
    (
        STORED,
        "ServingRuntime",
        "spec/containers/0/securityContext/capabilities",
        None,
        "capabilities.drop is without",
    ),
    (
        GPU,
        "Deployment",
        "spec/template/spec/securityContext",
        None,
        "container server: runAsNonRoot is not true",
    ),
    (
        GPU,
        "Deployment",
        "spec/template/spec/volumes/0",
        {"name": "tmp", "hostPath": {}},
        "tmp is of type hostPath",
    ),
    (GPU, "Deployment", "spec/template/spec/hostNetwork", True, "hostNetwork is set"),
    (GPU, "Namespace", "metadata/labels", {}, "the namespace does not enforce"),
    (GPU, "Namespace", "metadata/name", "x", "in namespace speaker-id, not x"),
    (
        CPU,
        "Deployment",
        f"{CONTAINER}/args",
        ["--otlp", "c.other.svc:4318"],
        "egress at port 4318 is closed, for other",
    ),
    (STORED, "NetworkPolicy", "spec/egress", [], "egress at port 443 is closed"),
    (CPU, "PrometheusRule", "metadata/namespace", None, "PrometheusRule speaker-id is in namespace None"),
    (KEDA, "NetworkPolicy", "spec/ingress", [], "ingress at port metrics is closed, for monitoring"),
]


def put(document: Document, path: str, value: object) -> None:
    """Replace, or with None remove, what is at a path."""
    within: Any = document
    *parents, last = path.split("/")
    for step in parents:
        within = within[int(step) if isinstance(within, list) else step]
    if value is None:
        del within[last]
    else:
        within[int(last) if isinstance(within, list) else last] = value


@pytest.mark.parametrize(("base", "kind", "path", "value", "said"), BROKEN)
def test_a_broken_relation_would_be_found(
    base: Path, kind: str, path: str, value: object, said: str, whole: Callable[[Path], list[Document]]
) -> None:
    documents = deepcopy(whole(base))
    changed = [document for document in documents if document["kind"] == kind]
    assert changed
    for document in changed:
        put(document, path, value)
    found = faults(documents, MADE_FIRST)
    assert any(said in fault for fault in found), found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], list[Document]]:
    """A base with all of its options."""
    known: dict[Path, list[Document]] = {}

    def made(base: Path) -> list[Document]:
        if base not in known:
            known[base] = combined(tmp_path_factory.mktemp(base.name), base, OPTIONS[base])
        return known[base]

    return made
