"""Whatever a rendered object names: does it exist, in that namespace?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.unit.deploy.kustomized import Document
from tests.unit.deploy.pod_security import restricted
from tests.unit.deploy.workloads import IMAGE, MODELCAR, PVC, Workload, named, workloads

CLUSTER_SCOPED = {"Namespace", "ClusterStorageContainer"}
ENFORCE = "pod-security.kubernetes.io/enforce"
# where a pod names another object of its namespace: the key of what names it, the key of the name, the kind
BY_NAME = [
    ("secret", "secretName", "Secret"),
    ("secretRef", "name", "Secret"),
    ("secretKeyRef", "name", "Secret"),
    ("configMap", "name", "ConfigMap"),
    ("configMapRef", "name", "ConfigMap"),
    ("configMapKeyRef", "name", "ConfigMap"),
    ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"),
]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping within a value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from walk(each)


def faults(documents: Sequence[Document], made_first: set[tuple[str, str]]) -> list[str]:
    """What is wrong between the objects of one kustomization.

    Args:
        documents: all of them.
        made_first: kind and name of what a user makes before, in the same namespace.
    """
    found = [*namespaces(documents)]
    pods = list(workloads(documents))
    for document in documents:
        where = f"{document['kind']} {document['metadata']['name']}"
        checks = [*targets(document, pods), *selectors(document, pods), *queries(document, pods)]
        checks += [*kserve(document, documents), *backends(document, documents)]
        found += [f"{where}: {fault}" for fault in checks]
    for each in pods:
        checks = [*within(each), *security(each, documents), *ways_out(each, documents)]
        names = [*objects(each)]
        checks += [
            f"no {kind} {name}"
            for kind, name in names
            if (kind, name) not in made_first and not named(documents, kind, name, each.namespace)
        ]
        found += [f"pods of {each.name}: {fault}" for fault in checks]
    return found


def namespaces(documents: Sequence[Document]) -> Iterator[str]:
    """Every namespaced object is in the one namespace that is made here; others have none."""
    (made,) = [document["metadata"]["name"] for document in documents if document["kind"] == "Namespace"]
    for document in documents:
        wanted = None if document["kind"] in CLUSTER_SCOPED else made
        if (actual := document["metadata"].get("namespace")) != wanted:
            yield f"{document['kind']} {document['metadata']['name']} is in namespace {actual}, not {wanted}"


def targets(document: Document, pods: Sequence[Workload]) -> Iterator[str]:
    """scaleTargetRef leads to a workload of the object's namespace."""
    if target := document.get("spec", {}).get("scaleTargetRef"):
        asked = (target.get("apiVersion", "apps/v1"), target.get("kind", "Deployment"), target["name"])
        if asked not in {(each.api, each.kind, each.name) for each in beside(document, pods)}:
            yield f"no scale target {asked}"


def selectors(document: Document, pods: Sequence[Workload]) -> Iterator[str]:
    """A selector selects pods of the object's namespace, and ports that are named are those pods'."""
    spec = document.get("spec", {})
    chosen = spec.get("podSelector", spec.get("selector"))
    if chosen is None:
        return
    labels = chosen if document["kind"] == "Service" else chosen.get("matchLabels", {})
    selected = [each for each in beside(document, pods) if labels.items() <= each.labels.items()]
    if not labels or not selected:
        yield f"selects no pods by {labels}"
    known = {port[key] for each in selected for port in each.ports for key in ("name", "containerPort")}
    asked = [port["targetPort"] for port in spec.get("ports", ())]
    asked += [end["port"] for end in spec.get("podMetricsEndpoints", ())]
    asked += [port["port"] for rule in spec.get("ingress", ()) for port in rule.get("ports", ())]
    yield from (f"the pods have no port {port}" for port in asked if port not in known)


def backends(document: Document, documents: Sequence[Document]) -> Iterator[str]:
    """A route's Services exist in its namespace, and have the port."""
    for each in walk(document):
        for backend in each.get("backendRefs", ()):
            service = named(documents, "Service", backend["name"], document["metadata"].get("namespace"))
            ports = [port["port"] for port in service["spec"]["ports"]] if service else []
            if backend["port"] not in ports:
                yield f"no Service {backend['name']} with port {backend['port']}"


def queries(document: Document, pods: Sequence[Workload]) -> Iterator[str]:
    """PromQL asks for the object's namespace, and for pods of what is scaled."""
    target = document.get("spec", {}).get("scaleTargetRef", {}).get("name")
    for query in [each["query"] for each in walk(document) if isinstance(each.get("query"), str)]:
        spaces = re.findall(r'namespace="([^"]*)"', query)
        if spaces != [document["metadata"].get("namespace")]:
            yield f"{query} asks for namespaces {spaces}"
        for pattern in re.findall(r'pod=~"([^"]*)"', query):
            if not re.fullmatch(pattern, f"{target}-5d4f8c7b9-x2x7k"):
                yield f"{query} leaves out pods of {target}"


def kserve(document: Document, documents: Sequence[Document]) -> Iterator[str]:
    """An InferenceService's runtime and storage container exist, and take what it hands them."""
    if document["kind"] != "InferenceService":
        return
    given = document["spec"]["predictor"]
    model = given.get("model", {})
    space = document["metadata"].get("namespace")
    if model:
        yield from runtime(model, named(documents, "ServingRuntime", model["runtime"], space))
    if name := given.get("storageContainerName"):
        container = named(documents, "ClusterStorageContainer", name, namespace=None)
        formats = container["spec"]["supportedUriFormats"] if container else []
        if not any(model["storageUri"].startswith(each["prefix"]) for each in formats):
            yield f"ClusterStorageContainer {name} does not take {model['storageUri']}"
    if model and not model["storageUri"].startswith((PVC, IMAGE, MODELCAR)) and not name:
        yield "whichever ClusterStorageContainer matches first would download"


def runtime(model: Document, found: Document | None) -> Iterator[str]:
    """The runtime that a model names exists, and takes its format and protocol."""
    if found is None:
        yield f"no ServingRuntime {model['runtime']}"
        return
    spec, wanted = found["spec"], model["modelFormat"]["name"]
    if wanted not in {each["name"] for each in spec["supportedModelFormats"]}:
        yield f"ServingRuntime {model['runtime']} does not take the format {wanted}"
    if model["protocolVersion"] not in spec["protocolVersions"]:
        yield f"ServingRuntime {model['runtime']} does not speak {model['protocolVersion']}"


def within(workload: Workload) -> Iterator[str]:
    """What a pod's parts name of one another."""
    volumes = {volume["name"] for volume in workload.spec.get("volumes", ())}
    names = {container["name"] for container in workload.containers}
    for container in workload.containers:
        mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
        yield from (f"no volume {name}" for name in mounted - volumes)
        own = {port[key] for port in container.get("ports", ()) for key in ("name", "containerPort")}
        for probe in [value for key, value in container.items() if key.endswith("Probe")]:
            if (port := probe["httpGet"]["port"]) not in own:
                yield f"a probe asks port {port} of {container['name']}"
        for each in walk(container.get("env", [])):
            if "resourceFieldRef" in each and each["resourceFieldRef"]["containerName"] not in names:
                yield f"no container {each['resourceFieldRef']['containerName']}"
    for spread in workload.spec.get("topologySpreadConstraints", ()):
        if not spread["labelSelector"]["matchLabels"].items() <= workload.labels.items():
            yield "a topologySpreadConstraint counts other pods"


def objects(workload: Workload) -> Iterator[tuple[str, str]]:
    """Kind and name of every object that the pods cannot start without."""
    for each in walk(workload.spec):
        for key, name, kind in BY_NAME:
            if isinstance(each.get(key), dict) and name in each[key]:
                yield kind, each[key][name]
    yield from (("Secret", each["name"]) for each in workload.spec.get("imagePullSecrets", ()))
    if (account := workload.spec.get("serviceAccountName", "default")) != "default":
        yield "ServiceAccount", account


def security(workload: Workload, documents: Sequence[Document]) -> Iterator[str]:
    """The namespace's Pod Security level admits every container that will run."""
    space = named(documents, "Namespace", workload.namespace or "", namespace=None)
    if space is None:
        yield f"no Namespace {workload.namespace}"
    elif space["metadata"]["labels"].get(ENFORCE) != "restricted":
        yield "the namespace does not enforce `restricted`"
    yield from restricted(workload.spec)


def ways_out(workload: Workload, documents: Sequence[Document]) -> Iterator[str]:
    """The NetworkPolicies let out what the containers send, and Prometheus in where an autoscaler asks it."""
    policies = [
        document["spec"]
        for document in documents
        if document["kind"] == "NetworkPolicy"
        and document["metadata"].get("namespace") == workload.namespace
        and document["spec"]["podSelector"]["matchLabels"].items() <= workload.labels.items()
    ]
    for container in workload.containers:
        arguments = container.get("args", [])
        if "--otlp" in arguments:
            host, _, port = arguments[arguments.index("--otlp") + 1].rpartition(":")
            yield from closed(policies, "egress", int(port), host.split(".")[1])
            yield from closed(policies, "egress", 53, "kube-system")
        if container["name"] in ("storage-initializer", "model"):  # KServe's, and that of model-fetched
            yield from closed(policies, "egress", 443, None)
            yield from closed(policies, "egress", 53, "kube-system")
    for each in walk(list(documents)):
        if "serverAddress" in each:
            space = each["serverAddress"].partition("://")[2].split(".")[1]
            yield from closed(policies, "ingress", "metrics", space)


def closed(
    policies: Sequence[Document], direction: str, port: int | str, namespace: str | None
) -> Iterator[str]:
    """A fault, unless a policy opens a port to a namespace, or to everything where it is None."""
    for policy in policies:
        for rule in policy.get(direction, ()):
            peers = rule.get("from" if direction == "ingress" else "to")
            spaces = [peer["namespaceSelector"]["matchLabels"] for peer in peers or ()]
            there = peers is None or {"kubernetes.io/metadata.name": namespace} in spaces
            if there and any(each["port"] == port for each in rule["ports"]):
                return
    yield f"{direction} at port {port} is closed, for {namespace or 'everything'}"


def beside(document: Document, pods: Sequence[Workload]) -> list[Workload]:
    """The workloads of an object's namespace."""
    return [each for each in pods if each.namespace == document["metadata"].get("namespace")]
