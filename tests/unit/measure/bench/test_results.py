"""Rows go to the CSV and come back; only whole runs are quoted."""

from pathlib import Path

from measure.bench.results import ENCODER_FILE, GROWTH_FILE, BenchmarkRow, newest_run, runs
from measure.results import append, read
from tests.unit.measure.bench.rows import growth, row


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    written = [row(), row(engine="pipeline-8", ratio_same_layout=None, latency_3s=None, dirty=True)]
    append(tmp_path / ENCODER_FILE, written[:1])
    append(tmp_path / ENCODER_FILE, written[1:])
    assert read(tmp_path / ENCODER_FILE, BenchmarkRow) == written


def test_the_ratio_is_the_first_column(tmp_path: Path) -> None:
    append(tmp_path / ENCODER_FILE, [row()])
    assert (tmp_path / ENCODER_FILE).read_text().startswith("ratio_same_layout,ratio_best,engine,")


def test_the_newest_complete_run_is_quoted_with_its_growth(tmp_path: Path) -> None:
    older, newer, partial = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", "2030-01-03T00:00:00Z"
    runs = [
        row(run=newer),
        row(run=older),
        row(run=partial, complete=False),
        row(run=newer, engine="pipeline-8"),
    ]
    append(tmp_path / ENCODER_FILE, runs)
    costs = growth("hf-one 1×2 glibc", s5=100.0)
    both = [cost.model_copy(update={"run": run}) for run in (older, newer) for cost in costs]
    append(tmp_path / GROWTH_FILE, both)
    rows, growing = newest_run(tmp_path)
    assert [(it.run, it.engine) for it in rows] == [(newer, "hf-one"), (newer, "pipeline-8")]
    assert [it.run for it in growing] == [newer]


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    assert newest_run(tmp_path) == ([], [])


def test_each_processor_has_its_own_newest_run_and_one_with_bf16_is_quoted(tmp_path: Path) -> None:
    older, newer, newest = (f"2030-01-0{day}T00:00:00Z" for day in (1, 2, 3))
    append(
        tmp_path / ENCODER_FILE,
        [
            row(run=older, precision="bf16"),
            row(run=newer, precision="bf16"),
            row(run=newer, cpu="AVX2 alone", cpu_flags="avx2"),
            row(run=newest, cpu="AVX2 alone", cpu_flags="avx2"),
            row(run=newest, cpu="third", complete=False),
        ],
    )
    found = [(rows[0].cpu, rows[0].run) for rows, _ in runs(tmp_path)]
    assert found == [("a processor", newer), ("AVX2 alone", newest)]
    assert newest_run(tmp_path)[0][0].run == newer
