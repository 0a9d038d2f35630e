"""The ways to deliver a model: what a pod mounts is what its server reads, and a download is pinned and restricted."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bundle import deliver
from tests.unit.deploy.kustomized import (
    DELIVERIES,
    KSERVE,
    KUBERNETES,
    ROOT,
    Document,
    by_kind,
    combined,
    option,
    overlay,
    pod,
    render,
    server,
)
from tests.unit.deploy.pod_security import restricted
from tests.unit.deploy.test_kserve import faults as kserve_faults

GUIDE, PAGE = ((ROOT / "docs" / name).read_text("utf-8") for name in ("deploy.md", "deploy-models.md"))
CPU, STORED = KUBERNETES / "overlays" / "cpu", KSERVE / "stored"
CLASSES = {
    "InferenceService": "V1beta1InferenceService",
    "ClusterStorageContainer": "V1alpha1ClusterStorageContainer",
}
# by which KServe's storage initializer tells it from a web server
AZURE = "https://(.+?).blob.core.windows.net/(.+)"
PODS, SERVICES = ([pytest.param(way, id=way.name) for way in DELIVERIES[base]] for base in (CPU, STORED))


@cache
def with_way(base: Path, way: Path) -> list[Document]:
    """An overlay with a way of delivery; rendered once, and not to be changed."""
    with tempfile.TemporaryDirectory() as folder:
        return combined(Path(folder), base, [way])


def delivered(way: Path) -> dict[str, Document]:
    """The overlay cpu with a way of delivery, of whose policies only that of the server is kept."""
    documents = with_way(CPU, way)
    return by_kind([each for each in documents if each["metadata"]["name"] != "speaker-id-downloads"])


@pytest.mark.parametrize("way", PODS)
def test_every_object_of_it_is_valid_to_the_last_key(way: Path) -> None:
    for document in with_way(CPU, way):
        kubernetes_validate.validate(document, "1.37", strict=True)


@pytest.mark.parametrize("way", PODS)
def test_the_server_reads_what_is_mounted_and_may_not_change_it(way: Path) -> None:
    documents = delivered(way)
    container = server(documents)
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "model"]
    assert option(container, "--weights") == mount["mountPath"]
    assert mount["readOnly"] is True
    assert "model" in [each["name"] for each in pod(documents)["spec"]["volumes"]]


def test_a_volume_is_filled_by_a_pod_that_the_namespace_admits_as_the_server_s_user() -> None:
    way = KUBERNETES / "components" / "model-from-volume"
    claim, filling = documents = list(yaml.safe_load_all((way / "claim.yaml").read_text("utf-8")))
    for document in documents:
        kubernetes_validate.validate(document, "1.37", strict=True)
        assert document["metadata"]["namespace"] == overlay("cpu")["Namespace"]["metadata"]["name"]
    assert list(restricted(filling["spec"])) == []
    there = pod(delivered(way))["spec"]
    for key in ("runAsUser", "runAsGroup"):
        assert filling["spec"]["securityContext"][key] == there["securityContext"][key]
    name = claim["metadata"]["name"]
    for volumes in (filling["spec"]["volumes"], there["volumes"]):
        (given,) = [each["persistentVolumeClaim"] for each in volumes if each["name"] == "model"]
        assert given["claimName"] == name
    predictor = by_kind(render(STORED))["InferenceService"]
    assert predictor["spec"]["predictor"]["model"]["storageUri"].startswith(f"pvc://{name}/")
    (mount,) = filling["spec"]["containers"][0]["volumeMounts"]
    assert f"{filling['metadata']['name']}:{mount['mountPath']}/NAME.mar" in PAGE


@pytest.mark.parametrize("way", PODS)
def test_nothing_else_of_the_server_is_changed(way: Path) -> None:
    container, plain = server(delivered(way)), server(overlay("cpu"))
    assert container["args"][: len(plain["args"])] == plain["args"]
    same = set(plain) - {"args", "volumeMounts"}
    assert {key: container[key] for key in same} == {key: plain[key] for key in same}


@pytest.mark.parametrize("name", ["model-from-storage", "model-from-hub"])
def test_the_init_container_is_the_server_s_image_under_the_same_restrictions(name: str) -> None:
    documents = delivered(KUBERNETES / "components" / name)
    (fetching,) = pod(documents)["spec"]["initContainers"]
    container = server(documents)
    for key in ("image", "securityContext"):
        assert fetching[key] == container[key]
    # what both ask for counts as one: the pod fits wherever it fits without
    assert fetching["resources"]["limits"]["memory"] == container["resources"]["limits"]["memory"]
    assert fetching["resources"]["requests"]["cpu"] <= container["resources"]["requests"]["cpu"]
    mounts = {each["name"]: each for each in fetching["volumeMounts"]}
    assert "readOnly" not in mounts["model"]
    assert fetching["command"][:3] == ["/app/.venv/bin/python", "-m", "bundle.deliver"]
    assert fetching["command"][-1] == mounts["model"]["mountPath"] == option(container, "--weights")


@pytest.mark.parametrize("file", ["Dockerfile", "Dockerfile.triton"])
def test_it_is_started_with_the_python_of_either_image(file: str) -> None:
    (fetching,) = pod(delivered(KUBERNETES / "components" / "model-from-hub"))["spec"]["initContainers"]
    text = (ROOT / "deploy" / "docker" / file).read_text("utf-8")
    assert f'ENTRYPOINT ["{fetching["command"][0]}", "-m", ' in text


@pytest.mark.parametrize("name", ["model-from-storage", "model-from-hub"])
def test_its_command_line_is_one_that_the_command_takes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fetching,) = pod(delivered(KUBERNETES / "components" / name))["spec"]["initContainers"]
    words = [*fetching["command"][3:], *fetching["args"]]
    words[words.index("--to") + 1] = str(tmp_path)
    assert deliver.main(words) == 1
    # neither the address nor the folder is there: every word before that is right
    said = capsys.readouterr().err
    assert "no scheme:// cannot be downloaded" in said or "MODEL=/etc/models/" in said


def test_the_address_of_an_archive_is_in_the_secret_alone() -> None:
    documents = delivered(KUBERNETES / "components" / "model-from-storage")
    (fetching,) = pod(documents)["spec"]["initContainers"]
    (variable,) = fetching["env"]
    assert "value" not in variable
    assert option(fetching, "--archive") == f"$({variable['name']})"


def test_the_lock_is_mounted_as_the_folder_of_the_model() -> None:
    (fetching,) = pod(delivered(KUBERNETES / "components" / "model-from-hub"))["spec"]["initContainers"]
    (pinned,) = [each for each in fetching["volumeMounts"] if each["name"] == "pinned"]
    assert option(fetching, "--model") == pinned["mountPath"]


@pytest.mark.parametrize("way", SERVICES)
def test_kserve_knows_every_field_and_downloads_only_from_there(way: Path) -> None:
    documents = with_way(STORED, way)
    for document in documents:
        assert kserve_faults(document, CLASSES.get(document["kind"], "")) == []
    (service,) = [each for each in documents if each["kind"] == "InferenceService"]
    address = service["spec"]["predictor"]["model"]["storageUri"]
    if way.name == "from-azure":
        assert re.search(AZURE, address)
    else:
        assert address.partition("://")[0].removesuffix("+native") == way.name.removeprefix("from-")
    containers = [each["spec"] for each in documents if each["kind"] == "ClusterStorageContainer"]
    prefixes = [each["prefix"] for spec in containers for each in spec["supportedUriFormats"]]
    assert len(prefixes) == (0 if way.name == "from-oci" else 1)
    assert all(address.startswith(prefix) and len(prefix) > len("https://") for prefix in prefixes)


def test_a_checkpoint_is_served_as_the_inference_service_is_called() -> None:
    documents = with_way(STORED, KSERVE / "from-hf")
    (runtime,) = [each for each in documents if each["kind"] == "ServingRuntime"]
    assert option(runtime["spec"]["containers"][0], "--name") == "{{.Name}}"  # KServe's placeholder


@pytest.mark.parametrize("way", PODS)
def test_the_guide_says_when_to_take_it(way: Path) -> None:
    assert f"| [`{way.name}`](deploy-models.md#" in GUIDE


@pytest.mark.parametrize("way", SERVICES)
def test_the_page_says_what_pod_security_says_of_it(way: Path) -> None:
    assert f"`{way.name}`" in PAGE.partition("## KServe")[2]
