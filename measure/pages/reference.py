"""Tables from the code: each prints Markdown, for cog to put into a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel
from speaker_id import clip
from speaker_id import settings as settings_module
from speaker_id.audio.formats import FORMATS
from speaker_id.settings import Settings

from bundle.spec import ModelSpec, TorchServeSettings
from bundle.variables import CHECKED, MEANING
from measure import ROOT
from measure.document import Table
from serving.api import failures
from serving.gateway.codes import GATEWAY_ERRORS
from serving.metrics.catalogue import CATALOGUE
from serving.platforms import PLATFORMS, STOPPING

# limits that no setting moves: of what, and what is answered beyond it
LIMITS = {
    "MIN_SAMPLE_RATE": ("Hz, lowest sampling rate", "422 `unsupported_layout`"),
    "MAX_SAMPLE_RATE": ("Hz, highest sampling rate", "422 `unsupported_layout`"),
    "MAX_CHANNELS": ("channels of a clip", "422 `unsupported_layout`, 400 for an array"),
    "MAX_LEVEL": ("magnitude of a sample, full scale at ±1", "422 `non_finite_audio`"),
    "MAX_INFLATED_BYTES": ("bytes of a body after its `Content-Encoding` is decoded", "413"),
    "MAX_GZIP_MEMBERS": ("members of a gzip body", "413"),
    "MAX_FIELDS": ("parts of a form; parameters of a query", "413; 400"),
    "MAX_PART_HEADERS": ("bytes of the headers of one part", "413"),
    "MAX_DIMENSIONS": ("dimensions of a v2 tensor", "400"),
    "MAX_DATA_URL_HEAD": ("characters of a data URL before its comma", "400"),
    "MAX_ID_CHARACTERS": ("characters of a v2 `id`", "400"),
    "MAX_NAME_CHARACTERS": ("characters of a v2 tensor's name", "400"),
    "JSON_LISTS_A_CLIP": ("lists and objects of a JSON body, times `max_request_clips`", "413"),
    "JSON_STRINGS_A_CLIP": ("strings of a JSON body, times `max_request_clips`", "413"),
    "JSON_FLAT": ("lists and objects, and strings, allowed in addition to these", "413"),
}
MAKEFILE = ROOT / "Makefile"
TARGET = re.compile(r"^(?P<name>[a-z][a-z0-9-]*):.*?## (?P<text>.*)$")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(Table(heads, [[str(cell) for cell in row] for row in rows], "l" * len(heads)))


def torchserve_settings() -> None:
    """The `torchserve:` section of model.yaml."""
    table(("setting", "default", "what it does"), _rows(TorchServeSettings))


def model_settings() -> None:
    """The `speaker_id:` section of model.yaml."""
    table(("setting", "default", "what it does"), _rows(Settings))


def _rows(section: type[BaseModel]) -> Iterator[tuple[str, object, str | None]]:
    for name, field in section.model_fields.items():
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        yield f"`{name}`", default, field.description


def model_keys() -> None:
    """The other keys of model.yaml, as ModelSpec's docstring explains them."""
    given = [
        name
        for name in ModelSpec.model_fields
        if name not in ("name", "folder", "lock", "torchserve", "speaker_id")
    ]
    explained = dict(re.findall(r"^        (\w+): (.*)$", ModelSpec.__doc__ or "", re.MULTILINE))
    fields = ModelSpec.model_fields
    rows = (
        (
            f"`{name}`",
            "required" if fields[name].is_required() else f"`{json.dumps(fields[name].default)}`",
            explained[name],
        )
        for name in given
    )
    table(("key", "default", "what it is"), rows)


def handler_errors() -> None:
    """Errors of the handler: status, code, and the meaning that the tree in `errors` gives."""
    table(
        ("status", "code", "meaning"),
        ((each.status, f"`{each.code}`", each.meaning) for each in failures.of_the_handler()),
    )


def gateway_errors() -> None:
    table(
        ("status", "code", "over gRPC", "meaning"),
        ((error.status, f"`{error.code}`", error.grpc, error.meaning) for error in GATEWAY_ERRORS),
    )


def platforms() -> None:
    """What cloud platforms give a container, and the option of `serve` that it becomes."""
    stopping = " ".join(f"`{option} {seconds}`" for option, seconds in STOPPING.items())
    rows = [
        (
            platform,
            f"{given.kind.value} `{given.name}`",
            f"`{given.option}`" if given.option else "",
            given.meaning,
        )
        for platform, rows in PLATFORMS.items()
        for given in rows
    ]
    table(
        ("platform", "gives", "becomes", "what it is"),
        [*rows, ("each of them", "any of these", stopping, "")],
    )


def limits() -> None:
    """The bounds on what a caller chooses, beside the settings."""
    found = {
        name: value
        for name, value in (vars(clip) | vars(settings_module)).items()
        if re.match("(MAX|MIN|JSON)_", name)
    }
    assert found.keys() == LIMITS.keys(), f"LIMITS lacks or has too many: {found.keys() ^ LIMITS.keys()}"
    table(
        ("limit", "value", "of what", "beyond it"),
        (
            (f"`{name}`", f"{found[name]:,}" if found[name] < 1e9 else f"{found[name]:g}", *words)
            for name, words in LIMITS.items()
        ),
    )


def formats() -> None:
    table(
        ("format", "content", "suffixes"),
        ((it.name, it.content, " ".join(f"`{suffix}`" for suffix in it.suffixes)) for it in FORMATS),
    )


def format_names() -> None:
    print(", ".join(it.name for it in FORMATS) + ".")


def targets(*only: str) -> None:
    """The make targets with their help, under their groups; or these alone, in this order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in MAKEFILE.read_text("utf-8").splitlines():
        if line.startswith("##@ "):
            found[line.removeprefix("##@ ")] = []
        elif target := TARGET.match(line):
            found[[*found][-1]].append((f"`make {target['name']}`", target["text"]))
    if only:
        texts = dict(row for rows in found.values() for row in rows)
        return table(("command", "what it does"), ((f"`make {it}`", texts[f"`make {it}`"]) for it in only))
    rows = ((name, *row) for name, group in found.items() for row in group)
    return table(("group", "command", "what it does"), rows)


def variables() -> None:
    """The variables of make: who takes each, and what is allowed."""
    text = re.sub(r"\\\n\s*", " ", MAKEFILE.read_text("utf-8"))
    names = re.findall(r"^VARIABLES := (.*)$", text, re.MULTILINE)[0].split()
    assert set(names) == set(MEANING), f"bundle/variables.py explains others: {set(names) ^ set(MEANING)}"
    macros = dict(re.findall(r"^(LOAD|EVALUATE|SETUP) := (.*)$", text, re.MULTILINE))
    takers: dict[str, list[str]] = {name: [] for name in names}
    for target, recipe in re.findall(
        r"^([a-z][a-z0-9-]*):[^\n]*## [^\n]*\n((?:\t[^\n]*\n?)+)", text, re.MULTILINE
    ):
        for macro, value in macros.items():
            recipe = recipe.replace(f"$({macro})", value)
        for name in set(re.findall(r"\b[A-Z][A-Z_]+\b", recipe)) & set(names):
            takers[name].append(target)
    rows = (
        (
            f"`{name}`",
            f"{MEANING[name]}{_allowed(name)}",
            ", ".join(f"`{it}`" for it in takers[name])
            # exported, so that it is there too where `setup` is a prerequisite
            + (", every target that runs `setup` first" if "setup" in takers[name] else ""),
        )
        for name in names
    )
    table(("variable", "what it is", "taken by"), rows)


def _allowed(name: str) -> str:
    return f": {CHECKED[name][1]}" if name in CHECKED else ""


def server_settings() -> None:
    """config.properties: the settings under each comment, with it."""
    groups: list[tuple[list[str], list[str], list[str]]] = []  # comment, names, values
    for line in (ROOT / "config.properties").read_text("utf-8").splitlines():
        if line.startswith("# ----") or line in ("", "#"):
            groups.append(([], [], []))
        elif line.startswith("# "):
            if not groups or groups[-1][1]:
                groups.append(([], [], []))
            groups[-1][0].append(line[2:])
        else:
            name, _, value = line.partition("=")
            groups[-1][1].append(f"`{name}`")
            groups[-1][2].append(f"`{value}`")
    rows = (
        ("<br>".join(names), "<br>".join(values), " ".join(text)) for text, names, values in groups if names
    )
    table(("setting", "value", "what it does"), rows)


def metrics() -> None:
    table(
        ("metric", "kind", "labels", "what it is"),
        (
            (f"`{it.name}`", it.kind, ", ".join(f"`{label}`" for label in it.labels), it.help)
            for it in CATALOGUE
        ),
    )
