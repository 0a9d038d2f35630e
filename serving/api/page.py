"""The description as one HTML page: no script, no request to anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from speaker_id.settings import Settings

from serving.gateway.static import source_hash

FOLDER = Path(__file__).resolve().parent
TEMPLATE = "page.html.j2"
OPTIONAL = re.compile(r"</(?:td|th|tr)>")  # end tags that HTML lets one leave out, of which the page has many
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
METHODS = ("get", "post", "put")
ALIKE = (("get",), ("post", "put"))  # a path's operations; what takes POST takes PUT


def render(document: dict[str, Any]) -> str:
    """The page of a description."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters.update(prose=prose, kind=kind, bounds=bounds, example=example)
    found = document["components"]
    page = environment.get_template(TEMPLATE).render(
        document=document,
        groups={tag["name"]: list(_operations(document, tag["name"])) for tag in document["tags"]},
        meanings={
            name: (field.description or "").partition(". ")[0] + "."
            for name, field in Settings.model_fields.items()
        },
        parameters=found["parameters"],
        headers=found["headers"],
        schemas=found["schemas"],
        responses={_last(each["$ref"]): status for status, each in _failures(document)},
        components=found["responses"],
    )
    return OPTIONAL.sub("", page)


def policy(page: str) -> str:
    """Content-Security-Policy: nothing is fetched or run, and the page's own style alone applies."""
    styles = " ".join(map(source_hash, STYLE.findall(page)))
    return (
        f"default-src 'self'; script-src 'none'; style-src {styles}; img-src data:; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _operations(document: dict[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    """The operations of a group; what several methods ask alike is shown once."""
    for path, item in document["paths"].items():
        for methods in ALIKE:
            operation = item.get(methods[0])
            if operation is None or tag not in operation["tags"]:
                continue
            given = [*item.get("parameters", ()), *operation["parameters"]]
            names = [_last(each["$ref"]) for each in given]
            # an option may be in several places
            unique = dict.fromkeys(document["components"]["parameters"][name]["name"] for name in names)
            yield {
                **operation,
                "path": path,
                "methods": [method for method in methods if method in item],
                "parameters": list(unique),
            }


def _failures(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for item in document["paths"].values():
        for method in METHODS:
            for status, response in item.get(method, {}).get("responses", {}).items():
                if "$ref" in response:
                    yield status, response


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def prose(text: str) -> Markup:
    """Paragraphs, lists and `code` as HTML, which is all that the description's texts have."""
    blocks = []
    for block in filter(None, text.split("\n\n")):
        lines = [re.sub("`(.+?)`", r"<code>\1</code>", str(escape(line))) for line in block.split("\n")]
        if lines[0].startswith("- "):
            blocks.append(f"<ul>{''.join(f'<li>{line[2:]}</li>' for line in lines)}</ul>")
        else:
            blocks.append(f"<p>{' '.join(lines)}</p>")
    return Markup("".join(blocks))  # noqa: S704 - escaped above


def kind(schema: dict[str, Any]) -> Markup:
    """A schema in a few words, its parts linked: "array of Samples"."""
    if "$ref" in schema:
        name = _last(schema["$ref"])
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for key in ("oneOf", "anyOf"):
        if key in schema and "properties" not in schema:
            return Markup(" or ").join(kind(each) for each in schema[key])
    if schema.get("type") == "array":
        items = kind(schema["items"]) if schema.get("items") else Markup("any")
        return Markup("array of {}").format(items)
    if "properties" in schema:
        optional = set(schema["properties"]) - set(schema.get("required", ()))
        keys = (
            Markup("{}{}: {}").format(name, "?" if name in optional else "", kind(each))
            for name, each in schema["properties"].items()
        )
        return Markup("{{{}}}").format(Markup(", ").join(keys))
    if "additionalProperties" in schema:
        return Markup("object of {}").format(kind(schema["additionalProperties"]))
    given = schema.get("type", "any")
    named = " or ".join(given) if isinstance(given, list) else str(given)
    return escape(schema.get("format", schema.get("contentEncoding", named)))


def example(value: object) -> str:
    """A value as JSON, its long lists and texts cut."""
    return re.sub(
        r"((?:[-\d.]+, ){8})[-\d., ]+", r"\1…", re.sub(r"([\w+/=]{40})[\w+/=]+", r"\1…", json.dumps(value))
    )


BOUNDS = {
    "const": "always {}", "default": "{} by default", "minimum": "at least {}", "maximum": "at most {}",
    "exclusiveMinimum": "more than {}", "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} of them", "maxItems": "at most {} of them", "pattern": "matches {}",
}  # fmt: skip


def bounds(schema: dict[str, Any]) -> str:
    """What is allowed of a schema's values, in words; empty where anything is."""
    listed = ["one of " + ", ".join(map(str, schema["enum"]))] if "enum" in schema else []
    found = [words.format(_number(schema[key])) for key, words in BOUNDS.items() if key in schema]
    return "; ".join([*listed, *found])


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return f"{value:,}" if abs(value) < 1e9 else f"{value:g}"
