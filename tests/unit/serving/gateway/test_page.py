"""The page at `/` is one strict file that holds nothing of what is served, and offers the samples that a model has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from speaker_id import errors

from bundle import sources
from bundle.spec import ModelSpec
from serving.gateway.codes import GATEWAY_ERRORS
from serving.gateway.options import GatewayOptions
from serving.gateway.page import assembly
from serving.service import Service

ROOT = Path(__file__).resolve().parents[4]
PAGE = assembly.html().decode()
SCRIPT = re.findall(r"<script>(.*)</script>", PAGE, re.DOTALL)[0]
ON = GatewayOptions(8080)
HEADER = "clip,speaker,seconds\n"


def model(folder: Path, *clips: tuple[str, str, int]) -> ModelSpec:
    """A model whose samples are these: name, speaker, bytes."""
    samples = folder / "samples"
    samples.mkdir()
    for name, _, size in clips:
        (samples / name).write_bytes(bytes(size))
    rows = "".join(f"{name},{speaker},1.5\n" for name, speaker, _ in clips)
    (samples / "manifest.csv").write_text(HEADER + rows)
    return ModelSpec(name="mine", source="mine", folder=folder)


def about(*specs: ModelSpec) -> Any:
    (found,) = [each for each in assembly.files(specs, ON) if each.path == assembly.ABOUT]
    return json.loads(found.body)


def test_the_page_alone_needs_no_token() -> None:
    files = assembly.files([sources.resolve("demo", root=ROOT / "models")], ON)
    assert [each.path for each in files if each.public] == ["/page"]
    assert len(files) == 2 + 6  # a clip a voice
    assert "demo_" not in PAGE
    assert "allison" not in PAGE


def test_it_is_one_file_that_names_no_other_host_and_makes_no_markup_of_text() -> None:
    assert len(PAGE.encode()) < 60_000
    hosts = set(re.findall(r"https?://[^\s'\"`)]+", PAGE))
    assert hosts == {"http://www.w3.org/2000/svg"}  # the name of a namespace
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Storage|cookie", SCRIPT
    )
    assert not re.search(r"<[^>]+ (on\w+|style)=", PAGE.replace(SCRIPT, ""))


def test_every_element_that_the_script_takes_by_its_id_is_there() -> None:
    used = set(re.findall(r'\$\("([\w-]+)"\)', SCRIPT))
    assert used <= set(re.findall(r' id="([\w-]+)"', PAGE))
    assert len(used) > 40


def test_every_error_has_a_title() -> None:
    titled = set(re.findall(r"^  (\w+): \"", SCRIPT, re.MULTILINE))
    codes = {each.code for each in GATEWAY_ERRORS} | {
        each.code for each in errors.RequestError.__subclasses__()
    }
    of_no_page = {
        "not_found",
        "method_not_allowed",
        "path_too_long",
        "headers_too_large",
    }  # it asks for none of that
    of_no_page |= {
        "invalid_parameter",
        "unsupported_coding",
        "gateway_error",
        "cancelled",
        "recording_too_long",
    }
    assert codes - titled == of_no_page


def test_a_model_without_samples_offers_none(tmp_path: Path) -> None:
    assert about(ModelSpec(name="mine", source="mine", folder=tmp_path))["models"][0]["samples"] == []
    assert about(ModelSpec(name="nobody", source="some/one"))["models"][0]["samples"] == []


def test_the_first_clip_of_each_speaker_is_offered_if_a_browser_plays_it_and_it_is_small(
    tmp_path: Path,
) -> None:
    clips = [
        ("1.amr", "a", 9),
        ("2.wav", "a", (1 << 20) + 1),
        ("3.flac", "a", 9),
        ("4.flac", "a", 9),
        ("5 .wav", "b", 9),
    ]
    files = assembly.files([model(tmp_path, *clips, ("6.ogg", "c", 9))], ON)
    assert {each.path: each.content_type for each in files[2:]} == {
        "/samples/mine/3.flac": "audio/flac",
        "/samples/mine/6.ogg": "audio/ogg",
    }


def test_there_are_at_most_twelve(tmp_path: Path) -> None:
    spec = model(tmp_path, *((f"{number}.wav", f"voice {number}", 9) for number in range(20)))
    assert len(about(spec)["models"][0]["samples"]) == 12


@pytest.mark.parametrize("on", [True, False])
def test_page_off_serves_neither_page_nor_samples(tmp_path: Path, on: bool) -> None:
    spec = sources.resolve("demo", root=ROOT / "models")
    service = Service([spec], tmp_path, tmp_path, GatewayOptions(8080, page=on))
    paths = {each.path.split("/")[1] for each in service.gateway.static()} & {"page", "page.json", "samples"}
    assert paths == ({"page", "page.json", "samples"} if on else set())


def test_a_stranger_is_offered_where_the_model_may_answer_unknown() -> None:
    demo = sources.resolve("demo", root=ROOT / "models")
    assert [each["speaker"] for each in about(demo)["models"][0]["samples"]].count("unknown") == 0
    guarded = demo.speaker_id.model_copy(update={"open_sets": {"speaker": "guard"}})
    served = about(demo.model_copy(update={"speaker_id": guarded}))["models"][0]["samples"]
    assert [each["speaker"] for each in served].count("unknown") == 1
    assert served[-1]["speaker"] == "unknown"
