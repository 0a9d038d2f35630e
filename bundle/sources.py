"""MODEL= → what to serve: a name under `models/`, a hub id, or the path of a checkpoint folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from speaker_id.gallery_manifest import GALLERY_FILE

from bundle import BundleError, faults
from bundle.spec import NAME_RULE, SHORT_NAME, SPEC_FILE, GallerySpec, ModelSpec, guard_file

MODELS = Path("models")
LOCK_FILE = "lock.yaml"
UNNAMED_LOCKS = Path("build/locks")  # for hub ids without a folder under models/
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
VERSION = re.compile(r"[0-9]+([.][0-9]+)*")
VERSIONED = re.compile(r"(?P<model>.+):(?P<version>[^:/]+)")  # as in other:2.0

# SUPERB's intent classification: three classifiers in one vector of logits, which no checkpoint's config states
INTENT_MODELS = re.compile(r"superb/.*-superb-ic")
INTENT_HEADS = {"action": 6, "object": 14, "location": 4}


def resolve(model: str, revision: str | None = None, root: Path = MODELS) -> ModelSpec:
    """Resolve MODEL= and REVISION=, for every target alike.

    Args:
        model: a name under `root`; a hub id `org/name`; or the path of a folder that holds a checkpoint.
        revision: commit, branch or tag of a hub model, over the one in model.yaml.

    Raises:
        BundleError: an unknown model, a name that cannot be served, an error in model.yaml.
    """
    spec = _find(model.strip(), root)
    if not revision:
        return spec
    if spec.heads:
        raise BundleError(f"REVISION={revision}: the heads of MODEL={model} have revisions of their own")
    if spec.folder is not None:
        raise BundleError(f"REVISION={revision} is for models on the hub; MODEL={model} is a local folder")
    return spec.model_copy(update={"revision": revision})


def resolve_all(models: str, root: Path = MODELS) -> list[ModelSpec]:
    """Resolve MODELS=: what `resolve` takes, separated by spaces; `NAME:2.0` is served as version 2.0.

    Raises:
        BundleError: as `resolve`; no model, or one name twice.
    """
    specs: list[ModelSpec] = []
    for each in models.split():
        named = VERSIONED.fullmatch(each)
        spec = _find(named["model"] if named else each, root, "MODELS")
        if named:
            spec = with_version(spec, named["version"], f"MODELS={each}")
        if spec.name in {other.name for other in specs}:
            raise BundleError(f"MODELS={models} would serve two models as {spec.name}")
        specs.append(spec)
    if not specs:
        raise BundleError("MODELS= names no model")
    return specs


def with_version(spec: ModelSpec, version: str, asked: str) -> ModelSpec:
    """The same model under another version; raises BundleError if it is not a version."""
    if not VERSION.fullmatch(version):
        raise BundleError(f"{asked}: {version!r} is not a version: numbers with dots between, such as 2.0")
    return spec.model_copy(update={"version": version})


def with_name(spec: ModelSpec, name: str, asked: str) -> ModelSpec:
    """The same model under another name, if one is given; raises BundleError if it cannot be one."""
    if not name:
        return spec
    if not SHORT_NAME.fullmatch(name):
        raise BundleError(f"{asked} cannot be a model's name: use {NAME_RULE}")
    return spec.model_copy(update={"name": name})


def _find(model: str, root: Path, variable: str = "MODEL") -> ModelSpec:
    if (root / model / SPEC_FILE).is_file() and SHORT_NAME.fullmatch(model):
        return read_spec(root / model)
    path = Path(model).expanduser()
    if model.startswith((".", "/", "~")) or (model and path.is_dir()):
        return _from_folder(path, f"{variable}={model}")
    if model and Path(model).name == model and (root / model).is_dir():
        if not SHORT_NAME.fullmatch(model):
            raise BundleError(
                f"{variable}={model} cannot be a model's name: rename {root}/{model} to {NAME_RULE}"
            )
        raise BundleError(f"{variable}={model}: {root}/{model} has no {SPEC_FILE}")
    found = sorted(file.parent.name for file in root.glob(f"*/{SPEC_FILE}"))
    known = [name for name in found if SHORT_NAME.fullmatch(name)]
    if not HUB_ID.fullmatch(model):
        raise BundleError(
            f"{variable}={model} is not a name under {root}/ ({', '.join(known) or 'none there'}), "
            "a hub id like org/name, or a checkpoint folder like ./name"
        )
    for name in known:
        spec = read_spec(root / name)
        if spec.source == model:  # the same checkpoint under its hub id keeps its settings and its pin
            return spec
    lock = UNNAMED_LOCKS / f"{model.replace('/', '--')}.yaml"
    name = _short_name(model.split("/")[-1], f"{variable}={model}")
    content: dict[str, Any] = {"name": name, "source": model, "lock": lock}
    if INTENT_MODELS.fullmatch(model):
        content["speaker_id"] = {"heads": INTENT_HEADS}
    return _build(content, f"{variable}={model}")


def _from_folder(path: Path, asked: str) -> ModelSpec:
    if not path.is_dir():
        raise BundleError(f"{asked} is not a folder")
    if (path / SPEC_FILE).is_file():
        return read_spec(path)
    folder = path.resolve()
    return _build({"name": _short_name(folder.name, asked), "source": folder.name, "folder": folder}, asked)


def _short_name(last: str, asked: str) -> str:
    name = last.lower()
    if not SHORT_NAME.fullmatch(name):
        raise BundleError(
            f"{asked} would be served as {name!r}, which cannot stand in a URL: rename the folder to {NAME_RULE}"
        )
    return name


def read_spec(folder: Path) -> ModelSpec:
    """Reads `folder/model.yaml`; the folder's name is the model's. Raises BundleError naming file and key."""
    file = folder / SPEC_FILE
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise BundleError(f"{file} is not YAML: {exc}") from exc
    if not isinstance(content, dict):
        raise BundleError(f"{file} must hold keys and values")
    for reserved in ("name", "folder", "lock"):
        if reserved in content:
            raise BundleError(f"{file}: {reserved}: not a key of this file; it follows from the folder")
    content["name"] = _short_name(folder.resolve().name, f"MODEL={folder}")
    if isinstance(content.get("speaker_id"), dict) and "open_sets" in content["speaker_id"]:
        raise BundleError(
            f"{file}: speaker_id.open_sets: not a key of this file; it follows from gallery and unknown"
        )
    if "gallery" in content:
        content["gallery"] = _gallery(content["gallery"], folder)
    if "heads" in content:
        _take_heads(content, folder)
    else:
        _locate(content, folder, LOCK_FILE, "")
    return _build(content, str(file))


def _gallery(given: Any, folder: Path) -> Any:
    """`gallery:` of a model.yaml, with its path from there."""
    keys = {"file": given} if isinstance(given, str) else given
    if isinstance(keys, dict) and isinstance(keys.get("file"), str):
        return {**keys, "file": gallery_file(folder / keys["file"], f"{folder / SPEC_FILE}: gallery")}
    return keys


def gallery_file(path: Path, asked: str) -> Path:
    """The file of a gallery, given by its path or by its folder's; raises BundleError if it does not exist."""
    found = path / GALLERY_FILE if path.is_dir() else path
    if not found.is_file():
        raise BundleError(f"{asked}: there is no {found}: `make enrol` writes it")
    return found.resolve()


def with_gallery(spec: ModelSpec, path: str) -> ModelSpec:
    """The same model with the gallery of GALLERY=, if one is given; its head's name stays model.yaml's."""
    if not path:
        return spec
    found: dict[str, Any] = {"file": gallery_file(Path(path).expanduser(), f"GALLERY={path}")}
    if spec.gallery is not None:
        found["head"] = spec.gallery.head
    return spec.model_copy(update={"gallery": GallerySpec.model_validate(found)})


def _take_heads(content: dict[str, Any], folder: Path) -> None:
    """Make of `heads:` a specification each, with a folder or a lock of its own."""
    file = folder / SPEC_FILE
    for key in ("source", "revision", "files", "labels", "unknown"):
        if key in content:
            raise BundleError(f"{file}: {key}: with heads, each head has its own")
    if not isinstance(content["heads"], dict) or not content["heads"]:
        raise BundleError(f"{file}: heads: must be names and sources, such as {{speaker: org/name}}")
    if isinstance(content.get("speaker_id"), dict) and content["speaker_id"].get("heads"):
        raise BundleError(f"{file}: speaker_id.heads: with several checkpoints, write groups: at the head")
    for name, given in content["heads"].items():
        head = dict(given) if isinstance(given, dict) else {"source": given}
        for reserved in ("folder", "lock"):
            if reserved in head:
                raise BundleError(f"{file}: heads.{name}.{reserved}: not a key of this file")
        if isinstance(head.get("source"), str) and INTENT_MODELS.fullmatch(head["source"]):
            head.setdefault("groups", INTENT_HEADS)
        _locate(head, folder, f"lock-{name}.yaml", f"heads.{name}.", str(name))
        content["heads"][name] = head
    content["source"] = content["name"]  # no source of its own


def _locate(content: dict[str, Any], folder: Path, lock: str, key: str, head: str = "") -> None:
    """Say where a source is: a folder's path, or the lock of a hub id; and those of its labels and its guard."""
    file, source = folder / SPEC_FILE, content.get("source")
    if isinstance(source, str):
        if source.startswith("."):
            content["folder"] = (folder / source).resolve()
            content["source"] = content["folder"].name
        elif HUB_ID.fullmatch(source):
            content["lock"] = folder / lock
        else:
            raise BundleError(
                f"{file}: {key}source: {source!r} is neither a hub id (org/name) nor a folder ('.' or './…')"
            )
    if isinstance(content.get("labels"), str):
        content["labels"] = (folder / content["labels"]).resolve()
        if not content["labels"].is_file():
            raise BundleError(f"{file}: {key}labels: there is no {content['labels'].name} beside it")
    if isinstance(content.get("unknown"), dict):
        given = content["unknown"].get("file", guard_file(head))
        if isinstance(given, str):  # it need not be there: `make guard` makes it
            content["unknown"] = {**content["unknown"], "file": (folder / given).resolve()}
    if content.get("folder") and content.get("revision"):
        raise BundleError(
            f"{file}: {key}revision: only a model on the hub has one, and the source is a folder"
        )


def _build(content: dict[str, Any], where: str) -> ModelSpec:
    try:
        return ModelSpec.model_validate(content)
    except ValidationError as exc:
        raise BundleError(f"{where}: {faults.words(exc)}") from exc
