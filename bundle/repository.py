"""Archive → Triton's model repository: the same archive that TorchServe loads, unpacked as Triton wants it.

NAME/config.pbtxt           from the archive's model-config.yaml
NAME/labels.txt             in the logits' order, for Triton's classification extension; one a head of several
NAME/NUMBER/model.py        handler/triton_model.py; beside it all else that is in the archive
NAME.http/, NAME.http.VERSION/  the gateway's way in: handler/triton_model.py says how
"""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode

from filelock import FileLock
from speaker_id import label_names
from speaker_id.manifest import CheckpointError, Manifest
from speaker_id.protocol.tensors import outputs_of

from bundle import BundleError, archived, exchange, shipped, store
from bundle.spec import ModelSpec, answer_seconds
from bundle.terminal import say

LOCK, STAGING = ".triton.lock", ".triton-"  # in the store
FOLDER = "triton"  # in the model store: the repositories of `make archive SERVER=triton`
MODEL_FILE, CONFIG = "model.py", "config.pbtxt"
LABELS = "labels.txt"
HTTP = ".http"
PRIORITIES = 3  # 1 is the most urgent
POLICY = re.compile(r"^version_policy .*$", re.MULTILINE)
DATATYPES = {"label": "TYPE_STRING", "score": "TYPE_FP32", "scores": "TYPE_FP32", "embedding": "TYPE_FP32"}


def number(version: str) -> int:
    """Triton's number of a version: its first, since Triton knows whole numbers only.

    Raises:
        BundleError: it has other numbers behind the first than 0.
    """
    first, *rest = map(int, version.split("."))
    if any(rest) or not first:
        raise BundleError(
            f"version {version} cannot be served by Triton, whose versions are whole numbers from 1: choose one such "
            f"as {first + 1}.0, as `version` in model.yaml or by VERSION= of a roll-out"
        )
    return first


def write(mar: Path, repository: Path, gpus: int = 0) -> str:
    """Unpack an archive into a repository, beside the versions of the model that are there.

    Args:
        mar: built by `bundle.archive`.
        repository: the folder, created if it does not exist.
        gpus: that will be there; 0 if there are none, or if that is not known.

    Returns:
        The version.

    Raises:
        BundleError: it is no archive of ours, or cannot be served by Triton.
    """
    spec = archived.read_any(mar)
    version = number(spec.version)
    with _changed(repository, spec.name, without=version) as folder:
        with zipfile.ZipFile(mar) as content:
            content.extractall(folder / str(version))
        adapter = folder / str(version) / store.TRITON_FILE
        if not adapter.is_file():
            raise BundleError(
                f"{mar} has no {store.TRITON_FILE}: build it again, with this version of the bundle"
            )
        adapter.rename(folder / str(version) / MODEL_FILE)
        # a worker that writes bytecode changes the folder: a Triton that polls would load the version a second time
        compileall.compile_dir(
            folder / str(version), quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
        )
        for file, lines in labels(folder / str(version) / store.CHECKPOINT_FOLDER, spec).items():
            (folder / file).write_text("\n".join(lines) + "\n", "utf-8")
        (folder / CONFIG).write_text(config(spec, versions(folder), gpus), "utf-8")
    point(repository, spec.name, version, f"{spec.name}{HTTP}.{spec.version}")
    return spec.version


def remove(repository: Path, name: str, version: str) -> None:
    """Remove a version, and its entrance first."""
    shutil.rmtree(repository / f"{name}{HTTP}.{version}", ignore_errors=True)
    with _changed(repository, name, without=number(version)) as folder:
        text = (folder / CONFIG).read_text("utf-8")
        (folder / CONFIG).write_text(POLICY.sub(policy(versions(folder)), text), "utf-8")


@contextmanager
def _changed(repository: Path, name: str, without: int) -> Iterator[Path]:
    """A copy of a model's folder, without a version, which takes its place at the end.

    Triton may look at any time, and loads all versions again for each change that it sees: it sees one.
    """
    repository.mkdir(parents=True, exist_ok=True)
    former = repository / name
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=repository.parent) as temporary:
        made = Path(temporary) / name
        made.mkdir()
        for each in former.iterdir() if former.is_dir() else ():
            if each.is_dir() and each.name != str(without):
                shutil.copytree(each, made / each.name, copy_function=os.link)  # files are never written to
            elif each.is_file():
                shutil.copy(each, made)
        yield made
        exchange.replace(made, former)


def export(mar: Path) -> Path:
    """Write an archive's repository beside it in the store, for a Triton that is not started by `make serve`.

    Returns:
        The repository, of all models that were exported; this one has replaced its former version at once.

    Raises:
        BundleError: as `write`.
    """
    shared = mar.parent / FOLDER
    shared.mkdir(exist_ok=True)
    with (
        FileLock(mar.parent / LOCK),
        tempfile.TemporaryDirectory(prefix=STAGING, dir=mar.parent) as temporary,
    ):
        made = Path(temporary) / "made"
        version = write(mar, made)
        name = archived.read(mar).name
        point(made, name, number(version), f"{name}{HTTP}")
        for folder in made.iterdir():
            exchange.replace(folder, shared / folder.name)
        for old in shared.glob(f"{name}{HTTP}.*"):
            if old.name != f"{name}{HTTP}.{version}":
                shutil.rmtree(old)
    say(f"{name}: wrote {shared / name} for tritonserver --model-repository={shared}")
    return shared


def point(repository: Path, name: str, version: int, entrance: str) -> None:
    """Make an entrance of the gateway's lead to a version."""
    folder = repository / entrance
    (folder / "1").mkdir(parents=True, exist_ok=True)
    replace(folder / CONFIG, entrance_config(name, version))


def replace(file: Path, text: str) -> None:
    """Write a file that Triton may read at any time."""
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, "utf-8")
    draft.replace(file)


def policy(loaded: Sequence[int]) -> str:
    return f"version_policy {{specific {{versions: {json.dumps(list(loaded))}}}}}"


def versions(folder: Path) -> list[int]:
    """Triton's numbers of a model's versions that are in the repository."""
    return sorted(int(each.name) for each in folder.iterdir() if each.is_dir() and each.name.isdigit())


def labels(checkpoint: Path, spec: ModelSpec) -> dict[str, Sequence[str]]:
    """The labels in the logits' order, by the file that lists them."""
    try:
        named = label_names.answered(checkpoint, Manifest.read(checkpoint), spec.speaker_id)
    except CheckpointError as exc:
        raise BundleError(f"{spec.name}: {exc}") from exc
    default = spec.speaker_id.default_head  # is answered as a model of one head too
    unnamed = {"": named[default]} if default else {"": ()} if not named else {}
    return {labels_file(head): names for head, names in (unnamed | named).items()}


def labels_file(head: str) -> str:
    return f"labels-{head}.txt" if head else LABELS


def config(spec: ModelSpec, loaded: Sequence[int], gpus: int = 0) -> str:
    """config.pbtxt of a model, from the settings that its archive was built with."""
    ours = spec.torchserve
    seconds = answer_seconds(ours.responseTimeout)
    queue = (
        f"max_queue_size: {shipped.shipped('job_queue_size')}, timeout_action: REJECT, "
        f"default_timeout_microseconds: {seconds * 1_000_000}, allow_timeout_override: true"
    )
    lines = [
        f"# {spec.name}: written by bundle.repository from the archive's {store.MODEL_CONFIG_FILE}",
        f"name: {quoted(spec.name)}",
        'backend: "python"',
        "# batchSize: requests of one batch, and clips of one request in Triton's own form",
        f"max_batch_size: {ours.batchSize}",
        "# a request sends one of the two; ragged: clips of any lengths are one batch, and none is padded",
        'input [{name: "audio", data_type: TYPE_STRING, dims: [1], optional: true}]',
        'input [{name: "waveform", data_type: TYPE_FP32, dims: [-1], optional: true, allow_ragged_batch: true}]',
        *outputs(spec),
        'output [{name: "answer", data_type: TYPE_STRING, dims: [1]}]',
        "dynamic_batching {",
        f"  max_queue_delay_microseconds: {ours.maxBatchDelay * 1000}  # maxBatchDelay",
        f"  priority_levels: {PRIORITIES}",
        f"  default_priority_level: {(PRIORITIES + 1) // 2}",
        f"  default_queue_policy {{{queue}}}",
        "}",
        *instances(ours.minWorkers, gpus),
        policy(loaded),
    ]
    return "\n".join(lines) + "\n"


def instances(workers: int, gpus: int) -> Iterator[str]:
    """A model's workers, all of them together as many as TorchServe would have.

    A group's count is for each of its GPUs, so there is a group a GPU. Triton does not load a model one of whose GPUs
    it does not see: KIND_AUTO falls back to the CPU only where none is named.
    """
    if gpus < 2:
        yield "# minWorkers; Triton starts as many on every GPU: where there are several, give each a group of its own"
        yield f"instance_group [{{count: {workers}, kind: KIND_AUTO}}]"
        return
    yield f"# minWorkers is {workers}"
    for gpu in range(min(gpus, workers)):
        count = workers // gpus + (gpu < workers % gpus)
        yield f"instance_group [{{count: {count}, kind: KIND_GPU, gpus: [{gpu}]}}]"


def outputs(spec: ModelSpec) -> Iterator[str]:
    for name in outputs_of(spec.speaker_id.output_heads):
        head, _, field = name.rpartition(".")
        file = f", label_filename: {quoted(labels_file(head))}" if field == "scores" else ""
        yield f"output [{{name: {quoted(name)}, data_type: {DATATYPES[field]}, dims: [-1]{file}}}]"


def entrance_config(name: str, version: int) -> str:
    """config.pbtxt of the gateway's way in: one input, so that a request's body is that input as it stands."""
    return f"""\
platform: "ensemble"
max_batch_size: 1
input [{{name: "audio", data_type: TYPE_STRING, dims: [1]}}]
output [{{name: "answer", data_type: TYPE_STRING, dims: [1]}}]
ensemble_scheduling {{
  step [{{
    model_name: {quoted(name)}, model_version: {version}
    input_map {{key: "audio", value: "audio"}}
    output_map {{key: "answer", value: "answer"}}
  }}]
}}
"""


def quoted(text: str) -> str:
    return json.dumps(text)
