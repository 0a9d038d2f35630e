"""The pods that rendered objects lead to: a Deployment's, and those that KServe makes of an InferenceService.

KServe's part after github.com/kserve/kserve v0.20.0: labels as in
`pkg/controller/v1beta1/inferenceservice/components/predictor.go`, storage as in
`pkg/webhook/admission/pod/storage_initializer_injector.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.unit.deploy.kustomized import Document

# what KServe adds by itself: no securityContext
INITIALIZER: Document = {"name": "storage-initializer", "image": "kserve/storage-initializer"}
PVC = "pvc://"
IMAGE, MODELCAR = "oci+native://", "oci://"


@dataclass(frozen=True)
class Workload:
    """Something with pods.

    Attributes:
        api, kind, name, namespace: of the object that an autoscaler would name.
        labels: of its pods.
        spec: of its pods.
    """

    api: str
    kind: str
    name: str
    namespace: str | None
    labels: dict[str, str]
    spec: Document

    @property
    def containers(self) -> list[Document]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> list[Document]:
        return [port for container in self.containers for port in container.get("ports", ())]


def workloads(documents: Sequence[Document]) -> Iterator[Workload]:
    """Every Deployment, rendered or made by KServe."""
    for document in documents:
        metadata = document["metadata"]
        if document["kind"] == "Deployment":
            template = document["spec"]["template"]
            labels = template["metadata"]["labels"]
            yield Workload(
                document["apiVersion"],
                "Deployment",
                metadata["name"],
                metadata.get("namespace"),
                labels,
                template["spec"],
            )
        if document["kind"] == "InferenceService":
            name = f"{metadata['name']}-predictor"
            made = {"serving.kserve.io/inferenceservice": metadata["name"], "app": f"isvc.{name}"}
            labels = metadata.get("labels", {}) | document["spec"]["predictor"].get("labels", {}) | made
            spec = predictor(document, documents)
            yield Workload("apps/v1", "Deployment", name, metadata.get("namespace"), labels, spec)


def named(documents: Sequence[Document], kind: str, name: str, namespace: str | None) -> Document | None:
    """The object that a reference leads to."""
    for document in documents:
        metadata = document["metadata"]
        if (document["kind"], metadata["name"], metadata.get("namespace")) == (kind, name, namespace):
            return document
    return None


def predictor(service: Document, documents: Sequence[Document]) -> Document:
    """The spec of an InferenceService's pods."""
    given = service["spec"]["predictor"]
    model: dict[str, Any] = given.get("model", {})
    runtime = named(
        documents, "ServingRuntime", model.get("runtime", ""), service["metadata"].get("namespace")
    )
    spec: Document = {"containers": []} | (runtime["spec"] if runtime else {}) | given
    spec = {key: list(value) if isinstance(value, list) else value for key, value in spec.items()}
    address = model.get("storageUri", "")
    if address.startswith(PVC):
        claim = {"claimName": address.removeprefix(PVC).partition("/")[0]}
        spec["volumes"] = [
            *spec.get("volumes", ()),
            {"name": "kserve-pvc-source", "persistentVolumeClaim": claim},
        ]
    elif address.startswith(IMAGE):
        reference = {"reference": address.removeprefix(IMAGE), "pullPolicy": "IfNotPresent"}
        spec["volumes"] = [*spec.get("volumes", ()), {"name": "mnt-models", "image": reference}]
    elif address.startswith(MODELCAR):  # a container for the model's files, in the processes of ours
        beside = {"name": "modelcar", "image": address.removeprefix(MODELCAR)}
        spec |= {"containers": [*spec["containers"], beside], "shareProcessNamespace": True}
    elif address:
        container = named(
            documents, "ClusterStorageContainer", given.get("storageContainerName", ""), namespace=None
        )
        merged = INITIALIZER | (container["spec"]["container"] if container else {})
        spec["initContainers"] = [*spec.get("initContainers", ()), merged]
    return spec
