"""Archive → Triton's model repository: the same archive that TorchServe loads, unpacked as Triton wants it.

NAME/config.pbtxt           from the archive's model-config.yaml
NAME/labels.txt             in the logits' order, for Triton's classification extension; one a head of several
NAME/NUMBER/model.py        handler/triton_model.py; beside it all else that is in the archive
NAME.http/, NAME.http.VERSION/  the gateway's way in: handler/triton_model.py says how
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from speaker_id import label_names
from speaker_id.manifest import CONFIG_FILE, LABELS_FILE, CheckpointError
from speaker_id.protocol.tensors import outputs_of

from bundle import BundleError, archive, archived, shipped, store
from bundle.sources import ModelSpec

FOLDER = "triton"  # in the model store: the repositories of `make archive SERVER=triton`
MODEL_FILE = "model.py"
LABELS = "labels.txt"
HTTP = ".http"
PRIORITIES = 3  # 1 is the most urgent
DATATYPES = {"label": "TYPE_STRING", "score": "TYPE_FP32", "scores": "TYPE_FP32"}


def number(version: str) -> int:
    """Triton's number of a version: its first, since Triton knows whole numbers only.

    Raises:
        BundleError: it has other numbers behind the first than 0.
    """
    first, *rest = map(int, version.split("."))
    if any(rest) or not first:
        raise BundleError(
            f"version {version} cannot be served by Triton, whose versions are whole numbers from 1: choose "
            f"{first or 1}.0"
        )
    return first


def write(mar: Path, repository: Path) -> str:
    """Unpack an archive into a repository, beside the versions of the model that are there.

    Args:
        mar: built by `bundle.archive`.
        repository: the folder, created if it does not exist.

    Returns:
        The version.

    Raises:
        BundleError: it is no archive of ours, or cannot be served by Triton.
    """
    spec = archived.read_any(mar)
    version = number(spec.version)
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=repository) as temporary:
        stage = Path(temporary) / "stage"
        with zipfile.ZipFile(mar) as content:
            content.extractall(stage)
        if not (stage / archive.TRITON_FILE).is_file():
            raise BundleError(
                f"{mar} has no {archive.TRITON_FILE}: build it again, with this version of the bundle"
            )
        (stage / archive.TRITON_FILE).rename(stage / MODEL_FILE)
        names = labels(stage / store.CHECKPOINT_FOLDER, spec)
        folder = repository / spec.name
        folder.mkdir(exist_ok=True)
        for file, lines in names.items():
            (folder / file).write_text("\n".join(lines) + "\n", "utf-8")
        shutil.rmtree(folder / str(version), ignore_errors=True)
        stage.rename(folder / str(version))
    (folder / "config.pbtxt").write_text(config(spec, versions(folder)), "utf-8")
    point(repository, spec.name, version, f"{spec.name}{HTTP}.{spec.version}")
    return spec.version


def point(repository: Path, name: str, version: int, entrance: str) -> None:
    """Make an entrance of the gateway's lead to a version."""
    folder = repository / entrance
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(entrance_config(name, version), "utf-8")


def versions(folder: Path) -> list[int]:
    return sorted(int(each.name) for each in folder.iterdir() if each.is_dir() and each.name.isdigit())


def labels(checkpoint: Path, spec: ModelSpec) -> dict[str, Sequence[str]]:
    """The labels in the logits' order, by the file that lists them."""
    id2label = json.loads((checkpoint / CONFIG_FILE).read_text("utf-8"))["id2label"]
    heads = spec.speaker_id.heads
    try:
        names = label_names.load(
            {int(index): name for index, name in id2label.items()},
            len(id2label),
            heads,
            checkpoint / LABELS_FILE,
        )
    except CheckpointError as exc:
        raise BundleError(f"{spec.name}: {exc}") from exc
    if not heads:
        return {LABELS: names}
    rest = iter(names)
    return {labels_file(head): [next(rest) for _ in range(count)] for head, count in heads.items()}


def labels_file(head: str) -> str:
    return f"labels-{head}.txt" if head else LABELS


def config(spec: ModelSpec, loaded: Sequence[int]) -> str:
    """config.pbtxt of a model, from the settings that its archive was built with."""
    ours = spec.torchserve
    patience = 2 * ours.responseTimeout + 60  # as the gateway's
    policy = {
        "timeout_action: REJECT",
        f"default_timeout_microseconds: {patience * 1_000_000}",
        "allow_timeout_override: true",
        f"max_queue_size: {shipped.shipped('job_queue_size')}",
    }
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
        f"  default_queue_policy {{{', '.join(sorted(policy))}}}",
        "}",
        "# minWorkers, on each GPU where there are any",
        f"instance_group [{{count: {ours.minWorkers}, kind: KIND_AUTO}}]",
        f"version_policy {{specific {{versions: {json.dumps(list(loaded))}}}}}",
    ]
    return "\n".join(lines) + "\n"


def outputs(spec: ModelSpec) -> Iterator[str]:
    for name in outputs_of(tuple(spec.speaker_id.heads)):
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
