"""What a report says, and that docs/results/accuracy.md says what the recorded reports say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundle.sources import resolve
from bundle.spec import Published
from measure import ROOT, MeasureError
from measure.document import END, Page
from measure.evaluation import RESULTS, EvaluationError, page
from measure.evaluation.conditions import CLEAN, CONDITIONS
from measure.evaluation.corpus import Corpus, LabelledClip
from measure.evaluation.counts import share
from measure.evaluation.journal import Entry, Identity
from measure.evaluation.plot import draw
from measure.evaluation.report import Report, build, comparison, percent, read, verdict

SID = resolve("wav2vec2-base-superb-sid", root=ROOT / "models")
IDENTITY = Identity("sid", "1.0", "endpoint", [("ann", 1.0)])
CLIPS = tuple(LabelledClip(f"{number}.wav", Path(f"{number}.wav"), "ann") for number in range(4))
CORPUS = Corpus("VoxCeleb1 test", CLIPS, 4)


def entries(*names: str) -> dict[tuple[str, str], Entry]:
    """Right about the first three clips as recorded, and about the first alone under any condition."""
    found = {}
    for name in names:
        for number, clip in enumerate(CLIPS):
            right = number < (3 if name == CLEAN else 1)
            found[clip.name, name] = Entry(
                clip.name, name, 1, [("ann" if right else "bob", 0.9), ("cal", 0.1)]
            )
    return found


def report(*conditions: str) -> Report:
    names = [CLEAN, *conditions]
    return build(IDENTITY, CORPUS, names, entries(*names), SID)


def corpus(name: str) -> Corpus:
    return Corpus(name, CLIPS, 4)


def test_the_published_figure_is_the_one_in_model_yaml_and_of_voxceleb_alone() -> None:
    assert SID.published == Published(
        metric="accuracy",
        value=0.7518,
        dataset="VoxCeleb1 test",
        reported_by="SUPERB with S3PRL, one clip at a time",
    )
    found = comparison(share(3, 4), corpus("VoxCeleb1 test"), SID)
    assert found is not None
    assert found.published == 0.7518
    assert comparison(share(3, 4), corpus("VoxCeleb1 dev"), SID) is None
    assert comparison(share(3, 4), corpus("VoxCeleb1 test"), resolve("demo", root=ROOT / "models")) is None
    assert comparison(share(3, 4), corpus("VoxCeleb1 test"), None) is None


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (6200, "difference of −0.04 points is not significant (exact binomial test, p = 0.94)"),
        (6100, "difference of −1.25 points is significant (exact binomial test, p = 0.009)"),
        (6400, "difference of +2.39 points is significant (exact binomial test, p < 0.001)"),
    ],
)
def test_a_sentence_says_whether_the_difference_is_significant(right: int, said: str) -> None:
    found = comparison(share(right, 8251), CORPUS, SID)
    assert found is not None
    assert said in verdict(found)
    assert "Published: 75.18 % (SUPERB with S3PRL, one clip at a time)" in verdict(found)


def test_a_share_is_written_with_its_interval() -> None:
    assert percent(share(8, 10)) == "80.0 % (49.0–94.3 %)"


def test_a_condition_is_held_to_as_recorded() -> None:
    clean, noisy = report("noise, 10 dB below").conditions
    assert (clean.top1.right, noisy.top1.right, noisy.lost, noisy.gained) == (3, 1, 2, 0)
    assert noisy.p_value == 0.5


def test_a_report_is_read_back_and_anything_else_is_refused(tmp_path: Path) -> None:
    written = report("first 1 s")
    (tmp_path / "report.json").write_text(written.model_dump_json())
    assert read(tmp_path / "report.json") == written
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(EvaluationError, match="no report of an evaluation"):
        read(tmp_path / "report.json")


def test_the_plot_has_a_point_a_condition(tmp_path: Path) -> None:
    from measure.evaluation.plot import robustness

    found = report(*CONDITIONS)
    (axes,) = robustness(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [*reversed(CONDITIONS), CLEAN]
    assert draw(found, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_has_the_numbers(tmp_path: Path) -> None:
    document = tmp_path / "accuracy.md"
    document.write_text(f"before\n{page.PAGE.begin}\nold\n{END}\nafter\n")
    page.record(report("first 1 s"), tmp_path / "results", Page(document, page.PAGE.command))
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "3 right: top-1 **75.0 % (30.1–95.4 %)**" in text
    assert "| first 1 s | 25.0 % (4.6–69.9 %) | 25.0 % (4.6–69.9 %) | 2 | 0 | 0.5 |" in text
    assert "| ann | 3 of 4 | bob ×1 |" in text
    assert "not significant" in text
    assert (tmp_path / "results" / "sid-voxceleb1-test.png").is_file()


def test_a_page_without_its_markers_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "accuracy.md").write_text("nothing here")
    with pytest.raises(MeasureError, match="lacks its markers"):
        page.record(report(), tmp_path / "results", Page(tmp_path / "accuracy.md", page.PAGE.command))
    assert (tmp_path / "accuracy.md").read_text() == "nothing here"


def test_the_document_is_the_recorded_reports() -> None:
    text = page.text(RESULTS)
    assert page.PAGE.path.read_text("utf-8") == page.PAGE.filled(text), f"run python -m {page.PAGE.command}"


def test_every_condition_was_recorded_and_no_clip_failed() -> None:
    found = read(RESULTS / "demo-held-out.json")
    assert [row.name for row in found.conditions] == [CLEAN, *CONDITIONS]
    assert found.failures == []


def test_the_recorded_numbers_are_the_models_cards() -> None:
    import json

    card = json.loads((ROOT / "models/demo/evaluation.json").read_text())
    found = read(RESULTS / "demo-held-out.json")
    clean = card["conditions"]["clean"]
    assert (found.clean.top1.right, found.clean.top1.clips) == (clean["named"], clean["clips"])
    by_name = {row.name: row.top1.right for row in found.conditions}
    for ours, theirs in {
        "8 kHz and back": "8 kHz", "MP3, 32 kbit/s": "MP3, 32 kbit/s", "Opus, 16 kbit/s": "Opus, 16 kbit/s",
    }.items():  # fmt: skip
        assert by_name[ours] == card["conditions"][theirs]["named"]
    order = [*card["labels"], "unknown"]
    for row in found.speakers:
        counts = dict(zip(order, card["confusion"][order.index(row.speaker)], strict=True))
        assert row.right == counts.pop(row.speaker)
        assert row.taken_for == {label: count for label, count in counts.items() if count}


def test_the_page_tells_what_the_program_does() -> None:
    text = page.PAGE.path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.PAGE.path.parent / target).exists(), target
