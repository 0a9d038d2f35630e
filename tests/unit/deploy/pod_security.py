"""Kubernetes' Pod Security Standards: https://kubernetes.io/docs/concepts/security/pod-security-standards/"""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.deploy.kustomized import Document

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "image",
}
SECCOMP = {"RuntimeDefault", "Localhost"}


def restricted(spec: Document) -> Iterator[str]:
    """Why a namespace that enforces `restricted` would refuse a pod."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{key} is set"
    for volume in spec.get("volumes", ()):
        if unknown := set(volume) - {"name"} - RESTRICTED_VOLUMES:
            yield f"volume {volume['name']} is of type {', '.join(unknown)}"
    whole = spec.get("securityContext", {})
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        for fault in container_restricted(container, whole):
            yield f"container {container['name']}: {fault}"


def container_restricted(container: Document, whole: Document) -> Iterator[str]:
    """As `restricted`, for one container; what it does not set, the pod's securityContext does."""
    own = container.get("securityContext", {})
    either = whole | own
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if "ALL" not in own.get("capabilities", {}).get("drop", ()):
        yield "capabilities.drop is without ALL"
    if set(own.get("capabilities", {}).get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add has more than NET_BIND_SERVICE"
    if either.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if either.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if either.get("seccompProfile", {}).get("type") not in SECCOMP:
        yield "seccompProfile is not set"
    if own.get("procMount", "Default") != "Default":
        yield "procMount is set"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort is set"
