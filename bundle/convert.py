"""Source files → a checkpoint folder that the handler loads: safetensors, current tensor names, a manifest.

The conversion is refused unless every tensor of the source is used and none is missing. Values do not change: a tensor
keeps its stored type, so the logits before and after are bit-identical.
"""

from __future__ import annotations

import pickle
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from speaker_id import checkpoint, guard, pretrained
from speaker_id.manifest import (
    CONFIG_FILE,
    GUARD_FILE,
    LABELS_FILE,
    PREPROCESSOR_FILE,
    TRAINING_ONLY,
    WEIGHTS_FILE,
    CheckpointError,
    FileRecord,
    Manifest,
)
from transformers import AutoConfig

from bundle import BundleError, heads
from bundle.fetch import PICKLED_WEIGHTS_FILE, Fetched
from bundle.spec import ModelSpec
from bundle.terminal import say

LIBRARIES = ("torch", "transformers", "safetensors", "tokenizers", "numpy")

# torch.nn.utils.weight_norm before torch 2.0 → torch.nn.utils.parametrizations.weight_norm
RENAMED = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}

# What every later step can compute with.
STORED = (torch.float32, torch.float16, torch.bfloat16, torch.float64)

Tensors = dict[str, torch.Tensor]


def convert(fetched: Fetched, spec: ModelSpec, target: Path, backbone: Path | None = None) -> None:
    """Write `target`, completely or not at all, and load it once as the handler will.

    Args:
        fetched: the source files.
        spec: of the model, or of a head as one.
        target: the checkpoint folder.
        backbone: a converted checkpoint whose backbone completes source files that hold a head only.

    Raises:
        BundleError: a pickle with more than tensors; too many, too few, misshapen or non-finite tensors.
    """
    weights = WEIGHTS_FILE if WEIGHTS_FILE in fetched.files else PICKLED_WEIGHTS_FILE
    say(f"{spec.name}: converting {weights} ({fetched.files[weights].bytes / 1e6:.1f} MB)")
    source = _read(fetched.folder / weights)
    added = {} if backbone is None else heads.missing_backbone(backbone, fetched.folder, source)
    source |= added
    tensors = _accounted_for(
        {_today(name): tensor for name, tensor in source.items()}, fetched.folder, weights
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        made = Path(temporary) / target.name
        made.mkdir()
        if (
            weights == WEIGHTS_FILE
            and not added
            and tensors.keys() == source.keys()
            and _has_format(fetched.folder / weights)
        ):
            shutil.copyfile(fetched.folder / weights, made / WEIGHTS_FILE)  # keeps the publisher's own hash
        else:
            try:
                save_file(tensors, made / WEIGHTS_FILE, metadata={"format": "pt"})
            except SafetensorError as exc:  # how it reports a full disk
                raise BundleError(f"{WEIGHTS_FILE} cannot be written below {target.parent}: {exc}") from exc
            (made / WEIGHTS_FILE).chmod(
                0o644
            )  # safetensors writes for its owner only; a server may run as another user
        for name in (CONFIG_FILE, PREPROCESSOR_FILE):
            shutil.copyfile(fetched.folder / name, made / name)
        if spec.labels is not None:
            shutil.copyfile(spec.labels, made / LABELS_FILE)
        if spec.unknown is not None:
            shutil.copyfile(spec.unknown.file, made / GUARD_FILE)
        Manifest(
            name=spec.name,
            source=spec.source,
            revision=fetched.revision,
            licence=spec.licence,
            description=spec.description,
            demo=spec.demo,
            files={path.name: FileRecord.of(path) for path in sorted(made.iterdir())},
            source_files=fetched.files,
            libraries={name: version(name) for name in LIBRARIES},
            guard=spec.guard_card(),
        ).write(made)
        try:
            guard.guards(made, checkpoint.load(made, heads=spec.speaker_id.heads))
        except CheckpointError as exc:
            raise BundleError(f"{spec.source}: {exc}") from exc
        _put(made, target)


def _put(made: Path, target: Path) -> None:
    """Rename into place; an older folder is moved away first, since a folder cannot replace one that is not empty."""
    if target.exists():
        target.replace(made.with_name("old"))
    made.replace(target)


def _read(path: Path) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise BundleError(
            f"{path.name} is refused: its pickle holds more than tensors, and would run code when read"
        ) from exc
    except (SafetensorError, RuntimeError, EOFError, ValueError) as exc:
        raise BundleError(f"{path.name} cannot be read: {exc}") from exc
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise BundleError(f"{path.name} is not a plain mapping from names to tensors")
    return content


def _today(name: str) -> str:
    for old, new in RENAMED.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _accounted_for(tensors: Tensors, folder: Path, weights: str) -> Tensors:
    """The tensors that the model takes, contiguous; raises unless all are there, finite and of the right shape."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):  # names and shapes only
            model = pretrained.class_of(config.to_dict()).from_config(config)
    except pretrained.UNLOADABLE as exc:
        raise BundleError(f"{CONFIG_FILE} describes no model: {type(exc).__name__}: {exc}") from exc
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in sorted(tensors.keys() - expected.keys()):
        if name.rsplit(".", 1)[-1] != TRAINING_ONLY:
            raise BundleError(f"{weights} holds {name}, which the model does not have")
        say(f"{weights}: {name} is left out: only training uses it")
    if missing := sorted(expected.keys() - tensors.keys()):
        raise BundleError(
            f"{weights} lacks {len(missing)} of {len(expected)} tensors, {missing[0]} among them"
        )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise BundleError(
                f"{weights}: {name} has shape {tuple(tensors[name].shape)}; config.json requires {shape}"
            )
        if tensors[name].layout != torch.strided or tensors[name].dtype not in STORED:
            raise BundleError(
                f"{weights}: {name} is stored as {_stored_as(tensors[name])}; only dense tensors are converted, of "
                f"{', '.join(map(_short, STORED))}"
            )
        if not torch.isfinite(tensors[name]).all():
            raise BundleError(f"{weights}: {name} holds NaN or infinite values")
    # clone: tensors of a pickle may share storage, which safetensors refuses
    return {name: tensors[name].detach().clone(memory_format=torch.contiguous_format) for name in expected}


def _stored_as(tensor: torch.Tensor) -> str:
    kind = "" if tensor.layout == torch.strided else f"a {_short(tensor.layout)} tensor of "
    return f"{kind}{_short(tensor.dtype)}"


def _short(kind: object) -> str:
    return str(kind).removeprefix("torch.")


def _has_format(path: Path) -> bool:
    """transformers reads a safetensors file only if its header says which library's tensors it holds."""
    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get("format") == "pt"
