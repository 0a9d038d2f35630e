"""SECURITY.md claims nothing that no test holds, and names no test that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from speaker_id.audio.damage import MOST_DAMAGED
from speaker_id.decoders import pool

from bundle import shipped
from serving.gateway.options import Limits

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "SECURITY.md").read_text("utf-8")
NAMED = re.compile(r"`((?:unit|adapters|parity|e2e)/[\w/]+\.py)((?:::\w+)*)`")
SECTIONS = {part.split("\n", 1)[0]: part for part in PAGE.split("\n## ")[1:]}
CLAIMS = ["Who can reach what", "TorchServe's record", "What comes in", "Models", "Tokens"]
CLAIMS += ["Voices are biometric data", "Dependencies"]


@pytest.mark.parametrize(("file", "inside"), sorted(set(NAMED.findall(PAGE))), ids="".join)
def test_every_test_that_it_names_is_there(file: str, inside: str) -> None:
    text = (TESTS / file).read_text("utf-8")
    for name in inside.split("::")[1:]:
        assert re.search(rf"^ *(class|def) {name}\b", text, re.MULTILINE), name


@pytest.mark.parametrize("section", CLAIMS)
def test_every_section_names_tests(section: str) -> None:
    assert NAMED.search(SECTIONS[section])


@pytest.mark.parametrize("section", ["Who can reach what", "TorchServe's record"])
def test_so_does_every_row(section: str) -> None:
    rows = [line for line in SECTIONS[section].splitlines() if line.startswith("|")][2:]
    assert rows
    assert [row for row in rows if not NAMED.search(row)] == []


def test_and_every_kind_of_what_comes_in() -> None:
    claims = re.split(r"^- ", SECTIONS["What comes in"], flags=re.MULTILINE)[1:]
    assert len(claims) >= 7
    assert [claim for claim in claims if not NAMED.search(claim)] == []


def lua(name: str) -> int:
    """A limit of the gateway's own script."""
    script = (TESTS.parent / "serving" / "gateway" / "requests.lua").read_text("utf-8")
    return int(re.findall(rf"^local {name} = (\d+)", script, re.MULTILINE)[0])


LIMITS = (
    f"headers must arrive within {Limits.headers_seconds} s and a whole request within {Limits.upload_seconds} s",
    f"above {lua('MOST_HEADERS'):,} bytes of those that are passed on",
    f"paths above {lua('LONGEST_PATH'):,} bytes",
    f"request ids are cut to {lua('LONGEST_ID')} bytes",
    f"bodies above {shipped.shipped('max_request_size') >> 20} MiB are 413",
    f"{Limits.connections:,} connections",
    f"bodies that together exceed {Limits.heap_bytes >> 30} GiB",
    f"needs more than {pool.MEMORY >> 20} MiB",
)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_limits_that_it_names_are_those_in_force(limit: str) -> None:
    assert limit in " ".join(PAGE.split())


@pytest.mark.parametrize(
    ("page", "limit"),
    [
        ("audio.md", f"more than {100 * MOST_DAMAGED:.0f} % of the frames"),
        ("results/hostile.md", f"more memory than {pool.MEMORY >> 20} MiB"),
    ],
)
def test_so_are_those_of_the_pages_on_audio(page: str, limit: str) -> None:
    assert limit in " ".join((TESTS.parent / "docs" / page).read_text("utf-8").split())
