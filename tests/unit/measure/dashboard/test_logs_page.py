"""docs/monitoring.md's table of logs, held to what writes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
LOG4J = (ROOT / "serving" / "torchserve" / "log4j2.xml").read_text("utf-8").replace("&quot;", '"')
# `event`'s values stand in its brackets, not fields
ROWS = {
    name: set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", fields)))
    for name, fields in re.findall(r"^\| `([\w./]+\.log)` \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
}


def keywords(path: Path, method: str) -> set[str]:
    """Names that calls of a method are given, those of dictionaries that are unfolded too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            for keyword in node.keywords:
                found |= {keyword.arg} if keyword.arg else literal_keys(keyword.value)
    return found


def literal_keys(value: ast.AST) -> set[str]:
    return {
        key.value
        for node in ast.walk(value)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def test_the_gateways_fields_are_envoys() -> None:
    template = (ROOT / "serving" / "gateway" / "envoy.yaml.j2").read_text("utf-8")
    _, _, written = template.partition("log_format:\n")
    block, _, _ = written.partition("local_reply_config:")
    assert ROWS["gateway_access.log"] == set(re.findall(r'^ +(\w+): "%', block, re.MULTILINE))


def test_the_handlers_fields_are_those_that_it_gives() -> None:
    handler = ROOT / "handler" / "speaker_worker.py"
    (logged,) = (
        node
        for node in ast.parse(handler.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "logged"
    )
    given = keywords(handler, "event") | keywords(handler, "started") | literal_keys(logged)
    common = {"time", "level", "event", "model", "version", "pid"}
    elsewhere = {"trace"}  # trace_of's
    assert ROWS["logs/handler_log.log"] == given | common | elsewhere


def test_torchserves_files_and_fields_are_log4js() -> None:
    everywhere = set(
        re.findall(r'"(\w+)":"?%', "".join(re.findall(r"<Property[^>]*>(.*)</Property>", LOG4J)))
    )
    for name, pattern in re.findall(
        r'fileName="\$\{env:LOG_LOCATION\}/([\w.]+)".*?pattern="(.*?)"/>', LOG4J, re.DOTALL
    ):
        if name != "handler_log.log":  # as the handler wrote it
            fields = everywhere | set(re.findall(r'"(\w+)":"%', pattern))
            # an exception is rare where no row has it
            assert fields - {"exception"} <= ROWS[f"logs/{name}"] <= fields


def test_a_file_is_as_large_as_the_page_says() -> None:
    sizes = re.findall(r'size="(\d+) MB"/></Policies>\s*<DefaultRolloverStrategy max="(\d+)"', LOG4J)
    assert len(sizes) == 4
    assert {int(size) * (int(kept) + 1) for size, kept in sizes} == {60}
    assert "bounded to 60 MB a file" in PAGE
