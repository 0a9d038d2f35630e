"""What a caller may send: the words of it, and what the gateway is given of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bundle import BundleError
from serving.gateway import scripts, shares, tokens
from serving.gateway.options import GatewayOptions
from serving.metrics import gateway as envoy
from serving.torchserve.process import TorchServe
from tests.unit.serving.gateway.configured import connection_manager, rendered
from tests.unit.serving.gateway.test_tokens import TOKEN, written


def test_a_limit_without_a_burst_has_ten_seconds_of_its_rate() -> None:
    assert shares.read("requests=2 audio=60 audio_burst=90.5") == {
        "requests": 2,
        "requests_burst": 20,
        "audio": 60,
        "audio_burst": 90.5,
    }
    assert shares.read("requests=0.01") == {
        "requests": 0.01,
        "requests_burst": 1,
    }  # else none would ever pass
    assert shares.read("requests=unlimited") == shares.read("") == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("requests=", "'requests=' is not one of"),
        ("requests=0", "'requests=0' is not one of"),
        ("requests=-1", "'requests=-1' is not one of"),
        ("requests=1e3", "'requests=1e3' is not one of"),
        ("requests=1 requests=2", "each once"),
        ("bytes=1", "'bytes=1' is not one of"),
        ("audio=1 audio_burst=unlimited", "'audio_burst=unlimited' is not one of"),
        ("requests_burst=5", "requests_burst= needs requests= beside it"),
        ("requests=5 requests_burst=0.5", "would let no request pass"),
    ],
)
def test_what_is_no_share_is_named(words: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=re.escape(said)) as caught:
        shares.read(words)
    assert str(caught.value).startswith(f"SHARE={words}: ")
    with pytest.raises(BundleError, match=re.escape(said)) as caught:
        tokens.read(written(tmp_path, f"{TOKEN} {words}"))
    assert " line 1" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_token_has_a_name_and_a_share_and_the_star_has_the_share_of_all(tmp_path: Path) -> None:
    file = written(tmp_path, f"* requests=1 audio=unlimited\n{TOKEN} audio=60 name=the-caller_2 requests=5\n")
    assert tokens.read(file).each == (TOKEN,)


@pytest.mark.parametrize("name", ["", "a.b", "unnamed", "other", "address", "x" * 65, "a name=b"])
def test_a_name_is_a_label_of_metrics_and_not_one_that_stands_for_several(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="line 1 has no valid name="):
        tokens.read(written(tmp_path, f"{TOKEN} name={name}"))


def test_the_line_of_all_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"the line of \* has none"):
        tokens.read(written(tmp_path, f"{TOKEN}\n* name=all"))


def filters(options: GatewayOptions) -> list[str]:
    return [each["name"] for each in connection_manager(rendered(options))["http_filters"]]


def test_callers_are_counted_before_their_bodies_are_received_and_after_what_costs_nothing(
    tmp_path: Path,
) -> None:
    named = filters(GatewayOptions(8080, tokens=tokens.read(written(tmp_path, TOKEN))))
    assert named.index("health") < named.index("shares") < named.index("envoy.filters.http.lua")
    assert named.index("envoy.filters.http.lua") < named.index("envoy.filters.http.buffer")
    assert "shares" in filters(GatewayOptions(8080, share={"requests": 1.0}))
    assert "shares" not in filters(GatewayOptions(8080))


def test_the_scripts_know_the_share_of_an_address_or_that_tokens_say_whose(tmp_path: Path) -> None:
    server, state = TorchServe(tmp_path, ["demo"], tmp_path), tmp_path / "state"

    def written_with(options: GatewayOptions) -> str:
        scripts.write(server, options, heads={}, found=tmp_path / "found", state=state)
        return (tmp_path / scripts.SHARES).read_text()

    assert "\nSHARE = {requests = 5.0, requests_burst = 50.0}\n" in written_with(
        GatewayOptions(8080, share=shares.read("requests=5"))
    )
    text = written_with(GatewayOptions(8080, tokens=tokens.read(written(tmp_path, TOKEN))))
    assert f'\nSTATE, SLOTS = "{state}", {shares.SLOTS}\nSHARE = false\n' in text
    seeds = [
        re.findall(r"^SEED = .*$", (tmp_path / name).read_text(), re.MULTILINE)
        for name in (scripts.TOKENS, scripts.SHARES)
    ]
    assert seeds[0] == seeds[1] != []


def test_the_memory_of_all_buckets_is_the_owners_and_holds_nothing_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / shares.FILE
    shares.create(file)
    assert file.read_bytes() == bytes(shares.SLOTS * shares.SLOT_BYTES)
    assert file.stat().st_mode & 0o777 == 0o600
    declared = re.search(
        r"typedef struct \{ double ([\w, ]+); \} bucket;", (scripts.SHIPPED / scripts.SHARES).read_text()
    )
    assert declared is not None
    assert 8 * len(declared[1].split(", ")) == shares.SLOT_BYTES


def test_metrics_name_callers_and_what_became_of_their_requests() -> None:
    stats: dict[str, Any] = dict.fromkeys(
        [*envoy.CLASSES.values(), *envoy.COUNTERS.values(), *envoy.GAUGES.values()], 0
    )
    stats |= {
        f"http.public.lua.share.a-b.{name}": value for name, value in (("admitted", 3), ("over_audio", 2))
    }
    stats |= {"http.public.lua.share.a-b.audio_ms": 1500}
    answer = str([{"name": name, "value": value} for name, value in stats.items()]).replace("'", '"')
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in envoy.collect(f'{{"stats": {answer}}}')
        for sample in family.samples
        if "caller" in sample.labels
    }
    assert samples == {
        ("speaker_id_caller_requests_total", "a-b", "admitted"): 3,
        ("speaker_id_caller_requests_total", "a-b", "over_audio"): 2,
        ("speaker_id_caller_audio_seconds_total", "a-b"): 1.5,
    }
