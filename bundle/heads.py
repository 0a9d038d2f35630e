"""Converted checkpoints of several heads → one checkpoint folder, in which their one backbone is once.

The first head's files are the folder's own; each other one adds its config and the tensors that are not the backbone's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from speaker_id import checkpoint, guard
from speaker_id.manifest import (
    CONFIG_FILE,
    LABELS_FILE,
    PREPROCESSOR_FILE,
    TRAINING_ONLY,
    WEIGHTS_FILE,
    CheckpointError,
    FileRecord,
    HeadCard,
    Manifest,
    backbone_prefix,
)

from bundle import BundleError
from bundle.spec import ModelSpec
from bundle.terminal import say

# what of a waveform's preparation changes the backbone's answer
PREPARATION = ("sampling_rate", "do_normalize", "feature_size")
# and what of a config that its tensors do not show
BACKBONE = (
    *("model_type", "hidden_act", "feat_extract_activation", "feat_extract_norm", "layer_norm_eps"),
    *("do_stable_layer_norm", "conv_dim", "conv_kernel", "conv_stride", "num_attention_heads"),
    *("num_conv_pos_embedding_groups", "conv_pos_batch_norm", "feat_proj_layer_norm", "add_adapter"),
    *("adapter_attn_dim", "tie_last_hidden_states"),
)


def combine(spec: ModelSpec, parts: Mapping[str, Path], target: Path) -> None:
    """Write `target`, completely or not at all, and load it once as the handler will.

    Args:
        spec: whose heads they are.
        parts: the converted checkpoint of each head, in order.
        target: the checkpoint folder.

    Raises:
        BundleError: a head's backbone, normalisation or sampling rate is not the first one's.
    """
    first_name, *rest = parts
    first = parts[first_name]
    for name in rest:
        check_same(first_name, first, name, parts[name])
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        made = Path(temporary) / target.name
        made.mkdir()
        cards = {name: add(made, "" if name == first_name else f"{name}.", parts[name]) for name in parts}
        cards = {
            name: card.model_copy(update={"groups": spec.heads[name].groups}) for name, card in cards.items()
        }
        shutil.copyfile(first / PREPROCESSOR_FILE, made / PREPROCESSOR_FILE)
        Manifest(
            name=spec.name,
            source=spec.source,
            licence=spec.licence,
            description=spec.description,
            demo=spec.demo,
            files={path.name: FileRecord.of(path) for path in sorted(made.iterdir())},
            libraries=Manifest.read(first).libraries,
            heads=cards,
        ).write(made)
        try:
            guard.guards(made, checkpoint.load(made))
        except CheckpointError as exc:
            raise BundleError(f"{spec.name}: {exc}") from exc
        if target.exists():
            target.replace(made.with_name("old"))
        made.replace(target)
    say(f"{spec.name}: {len(parts)} heads on one backbone, bit-identical in all: {', '.join(parts)}")


def identity(spec: ModelSpec, parts: Mapping[str, Path]) -> str:
    """Twelve digits over all that a combined checkpoint is made from."""
    card = json.dumps([spec.name, spec.licence, spec.description, spec.demo])
    total = hashlib.sha256(card.encode())
    for name, folder in parts.items():
        manifest = Manifest.read(folder).model_copy(update={"precision": None})
        groups = json.dumps(spec.heads[name].groups)
        total.update(f"{name} {groups} {manifest.model_dump_json()}\n".encode())
    return total.hexdigest()[:12]


def add(made: Path, prefix: str, part: Path) -> HeadCard:
    """Copy a head's files; the first head's, without a prefix, with the backbone."""
    manifest, prepared = Manifest.read(part), read_json(part / PREPROCESSOR_FILE)
    shutil.copyfile(part / CONFIG_FILE, made / f"{prefix}{CONFIG_FILE}")
    if labelled := (part / LABELS_FILE).is_file():
        shutil.copyfile(part / LABELS_FILE, made / f"{prefix}{LABELS_FILE}")
    if (card := manifest.guard) is not None:
        shutil.copyfile(part / card.file, made / f"{prefix}{card.file}")
        card = card.model_copy(update={"file": f"{prefix}{card.file}"})
    weights = made / f"{prefix}{WEIGHTS_FILE}"
    if not prefix:
        shutil.copyfile(part / WEIGHTS_FILE, weights)
    else:
        try:
            save_file(dict(own_tensors(part)), weights, metadata={"format": "pt"})
        except SafetensorError as exc:  # how it reports a full disk
            raise BundleError(f"{weights.name} cannot be written below {made.parent}: {exc}") from exc
        weights.chmod(0o644)  # safetensors writes for its owner only
    return HeadCard(
        source=manifest.source,
        revision=manifest.revision,
        licence=manifest.licence,
        config=f"{prefix}{CONFIG_FILE}",
        weights=weights.name,
        labels=f"{prefix}{LABELS_FILE}" if labelled else None,
        normalised=bool(prepared.get("do_normalize", False)),
        sampling_rate=prepared["sampling_rate"],
        source_files=manifest.source_files,
        guard=card,
    )


def check_same(first_name: str, first: Path, name: str, other: Path) -> None:
    """Raise BundleError unless two checkpoints prepare waveforms alike and have the same backbone, bit for bit."""
    for file, keys, what in (
        (PREPROCESSOR_FILE, PREPARATION, "waveforms are prepared differently"),
        (CONFIG_FILE, BACKBONE, "the backbones differ"),
    ):
        ours, theirs = read_json(first / file), read_json(other / file)
        for key in keys:
            if ours.get(key) != theirs.get(key):
                raise BundleError(
                    f"head {name} cannot share a pass with head {first_name}: {what}, {key} is "
                    f"{json.dumps(theirs.get(key))}, not {json.dumps(ours.get(key))}"
                )
    if (fault := first_difference(first, other)) is not None:
        raise BundleError(f"head {name} does not have the backbone of head {first_name}: {fault}")


def first_difference(first: Path, other: Path) -> str | None:
    """Say which tensor of two backbones is not the same in both, bit for bit; None if all are."""
    prefix = prefix_of(first)
    with ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(safe_open(folder / WEIGHTS_FILE, framework="pt")) for folder in (first, other)
        )
        names = [
            {name for name in file.keys() if name.startswith(prefix) and not name.endswith(TRAINING_ONLY)}  # noqa: SIM118
            for file in (ours, theirs)
        ]
        if alone := sorted(names[0] ^ names[1]):
            return f"{alone[0]} is in one of them only"
        for name in sorted(names[0]):
            one, two = ours.get_tensor(name), theirs.get_tensor(name)
            if one.dtype != two.dtype or one.shape != two.shape:
                return f"{name} is {described(two)}, not {described(one)}"
            if not torch.equal(as_bytes(one), as_bytes(two)):
                changed = int((one != two).sum())
                return f"{name} differs in {changed} of its {one.numel()} values"
    return None


def missing_backbone(
    backbone: Path, config: Path, tensors: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The backbone's tensors, for a source of the same family that holds none of its own; else nothing."""
    prefix = prefix_of(backbone)
    if prefix_of(config) != prefix or any(name.startswith(prefix) for name in tensors):
        return {}
    with safe_open(backbone / WEIGHTS_FILE, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118


def own_tensors(part: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """A head's tensors, apart from the backbone's."""
    prefix = prefix_of(part)
    with safe_open(part / WEIGHTS_FILE, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            if not name.startswith(prefix):
                yield name, file.get_tensor(name)


def prefix_of(folder: Path) -> str:
    return backbone_prefix(read_json(folder / CONFIG_FILE)["model_type"])


def as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {list(tensor.shape)}"


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content
