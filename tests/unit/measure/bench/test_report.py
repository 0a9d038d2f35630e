"""The report says what the rows say, and the committed document says what the committed CSV says."""

from pathlib import Path

import pytest

from measure.bench import RESULTS, conclusions
from measure.bench.findings import int8, winner
from measure.bench.report import PAGE, main, report, text
from measure.bench.results import ABSENT_FILE, ENCODER_FILE, GROWTH_FILE, AbsentRow, newest_run
from measure.bench.targets import verdicts
from measure.document import END
from measure.results import append
from tests.unit.measure.bench.rows import growth, row


def test_the_document_is_the_newest_complete_runs() -> None:
    assert PAGE.path.read_text("utf-8") == PAGE.filled(text(RESULTS)), f"run python -m {PAGE.command}"


def test_the_conclusions_are_those_of_the_newest_complete_run() -> None:
    page = conclusions.PAGE
    assert page.path.read_text("utf-8") == page.filled(conclusions.text(RESULTS)), (
        f"run python -m {page.command}"
    )


def test_no_partial_or_quick_run_is_committed_with_the_results() -> None:
    rows, _ = newest_run(RESULTS)
    assert all(row.complete and row.model != "demo" for row in rows)


def test_the_fastest_comes_first_with_its_ratio() -> None:
    text = report([([row(), row(engine="packed-bf16", ratio_best=2.5, throughput=12.0)], [])])
    table = [line for line in text.splitlines() if line.startswith("| **")]
    assert [line.split(" | ")[0] for line in table] == ["| **2.50**", "| **1.00**"]


def test_a_latency_that_was_not_measured_is_blank() -> None:
    text = report([([row(latency_3s=None, latency_8s=None, latency_20s=None)], [])])
    assert "|  |  |  | 1000 MB |" in text


def test_growth_has_a_row_an_engine_and_a_column_a_length() -> None:
    text = report([([row()], growth("hf-one 1×2 glibc", s5=100.0, s60=150.0))])
    assert "| ms a second of audio, by clip length | 5 s | 60 s |" in text
    assert "| hf-one 1×2 glibc | 100 | 150 |" in text


def test_the_command_writes_the_document(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"{PAGE.begin}\n{END}\n")
    append(tmp_path / ENCODER_FILE, [row()])
    append(tmp_path / GROWTH_FILE, growth("hf-one 1×2 glibc", s5=100.0))
    missing = {"name": "zentorch-fp32 1×2 glibc", "reason": "pip cannot install it"}
    append(tmp_path / ABSENT_FILE, [AbsentRow(**missing, run=it) for it in ("another", row().run)])
    assert main(["--results", str(tmp_path), "--document", str(document)]) == 0
    assert "imagined" in document.read_text()
    assert document.read_text().count("| zentorch-fp32 1×2 glibc | pip cannot install it |") == 1


def test_a_speed_target_is_judged_by_the_median_of_the_rounds() -> None:
    ours = row(engine="packed-fp32", layout="2×1", throughputs="6.0 7.6 9.0")
    theirs = row(layout="2×1", throughputs="4.0 5.0 6.0")
    found = {it.what: it for it in verdicts([ours, theirs], [])}
    speed = found["packed-fp32 against hf-one, both 2×1"]
    assert (speed.wanted, speed.measured, speed.met) == (1.5, 1.5, True)


def test_a_target_of_each_at_its_best_takes_the_fastest_set_ups() -> None:
    rows = [
        row(engine="packed-bf16", throughput=10.0, throughputs="10.0"),
        row(engine="packed-bf16", layout="2×1", throughput=11.0, throughputs="11.0"),
        row(throughput=5.0, throughputs="5.0"),
        row(allocator="jemalloc", throughput=5.5, throughputs="5.5"),
    ]
    found = {it.what: it for it in verdicts(rows, [])}
    best = found["packed-bf16 against hf-one, each at its best"]
    assert (best.measured, best.met) == (2.0, False)


def test_memory_is_met_below_the_wanted_ratio() -> None:
    rows = [row(), row(engine="packed-fp32", peak_mb=1001.0)]
    found = {it.what: it for it in verdicts(rows, [])}
    memory = found["memory of packed-fp32 against hf-one, both 1×2"]
    assert memory.measured == pytest.approx(1.001)
    assert not memory.met


def test_growth_is_judged_from_5_s_to_60_s() -> None:
    (verdict,) = verdicts([], growth("packed-fp32 1×2 glibc", s1=300.0, s5=100.0, s60=124.0, s120=400.0))
    assert (verdict.measured, verdict.met) == (1.24, True)


def test_processors_stand_side_by_side_and_what_was_not_run_again_says_so() -> None:
    ours = {"engine": "packed-fp32", "throughput": 8.0, "ratio_best": 1.35, "peak_fraction": 0.9}
    older = [
        row(cpu="first"),
        row(cpu="first", **ours),
        row(cpu="first", engine="packed-bf16", precision="bf16"),
    ]
    later = {"cpu": "second held to AVX2", "cpu_flags": "avx2", "run": "2030-02-01T00:00:00Z"}
    text = report([(older, []), ([row(**later), row(**later | ours | {"ratio_best": 1.5})], [])])
    assert "| engine, in its fastest set-up | first | second held to AVX2 |" in text
    assert "| packed-fp32 | **1.35**, 90% | **1.50**, 90% |" in text
    assert "| packed-bf16 | **1.00**, 36% |  |" in text
    first, second = text.split("### ")[1:]
    assert "Not run again: measured at commit 0123456789ab." in first
    assert "Not run again" not in second
    assert "**An approximation**" in second
    assert ".png" in first  # the plots show the newest run of a processor as it is
    assert ".png" not in second


def test_kernels_that_were_measured_are_listed() -> None:
    text = report([([row(), row(engine="packed-fp32", backend="torch onednn: rows=512 tile=48 fused")], [])])
    assert "| packed-fp32 | `rows=512 tile=48 fused` |" in text


def test_ours_is_judged_by_what_the_processor_allows() -> None:
    rows = [row(), row(engine="packed-fp32", peak_fraction=0.8, throughputs="5.6 7.0 8.4")]
    found = {it.what: it for it in verdicts(rows, [])}
    assert found["packed-fp32 against hf-one, each at its best"].wanted == 1.35
    assert not found["packed-fp32 against one large product"].met
    plain = [each.model_copy(update={"cpu_flags": "avx2"}) for each in rows]
    assert {it.what: it for it in verdicts(plain, [])}[
        "packed-fp32 against hf-one, each at its best"
    ].wanted == 1.4


def test_ours_is_never_below_one_of_its_own_candidates() -> None:
    rows = [row(engine="packed-fp32"), row(engine="packed-fp32-plain", throughputs="4.2 5.2 6.2")]
    (verdict,) = [it for it in verdicts(rows, []) if "packed-fp32-plain" in it.what]
    assert (verdict.wanted, verdict.met) == (0.98, False)


OURS = {"engine": "packed-bf16", "precision": "bf16", "throughput": 10.0, "throughputs": "10 10 10"}
THEIRS = {"engine": "openvino-bf16", "precision": "bf16", "throughput": 8.0, "throughputs": "8 8 8"}
INT8 = {"engine": "openvino-int8", "precision": "int8", "throughput": 12.0, "throughputs": "12 12 12"}


def test_the_page_says_that_ours_wins_and_by_how_much() -> None:
    text = winner([row(), row(**OURS), row(**THEIRS)])
    assert (
        "packed-bf16 1×2 glibc is fastest with 10.0 s of audio a second, 1.25 times as fast as openvino"
        in text
    )
    assert "In bf16 ours is 1.25 times as fast as openvino-bf16 1×2 glibc." in text


def test_the_page_says_that_another_wins_and_by_how_much() -> None:
    text = winner([row(), row(**OURS), row(**THEIRS), row(**INT8)])
    assert (
        "openvino-int8 1×2 glibc is fastest with 12.0 s of audio a second, 1.20 times as fast as packed"
        in text
    )
    assert "the best of ours" in text


def test_who_changes_answers_does_not_win() -> None:
    rows = [row(), row(**OURS), row(**THEIRS), row(**INT8 | {"top1_agreement": 0.99})]
    text = winner(rows)
    assert "packed-bf16 1×2 glibc is fastest" in text
    assert "Not compared, since they change answers: openvino-int8." in text
    (verdict,) = [it for it in verdicts(rows, []) if "fastest peer" in it.what]
    assert (verdict.measured, verdict.met) == (1.25, True)
    assert "openvino-int8 1.20 times, 99.0% of the answers kept" in int8(rows).replace("\n", " ")


def test_int8_is_judged_against_bf16_and_against_fp32_where_there_is_no_bf16() -> None:
    reduced = row(**INT8 | {"engine": "packed-int8"})
    exact = row(engine="packed-fp32", throughput=8.0, throughputs="8 8 8")

    def judged(*rows: object) -> list[tuple[str, float, float | None]]:
        found = [it for it in verdicts(rows, []) if it.what.startswith("packed-int8")]
        return [(it.what, it.wanted, it.measured) for it in found]

    assert judged(exact, row(**OURS), reduced) == [("packed-int8 against packed-bf16, both 1×2", 1.25, 1.2)]
    assert judged(exact, reduced) == [("packed-int8 against packed-fp32, both 1×2", 1.5, 1.5)]
