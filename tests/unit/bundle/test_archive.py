import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from bundle import BundleError, archive, sources, store
from bundle.archive import HANDLER, build
from bundle.sources import resolve
from serving.archive import main
from tests.doubles.checkpoints import write_checkpoint

STUB = "class Handler:\n    pass\n"


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    """A handler's folder as a worker at it leaves it: caches and packaging beside the sources."""
    folder = tmp_path / "handler"
    for name, text in {
        "speaker_handler.py": STUB,
        "speaker_id/__init__.py": "",
        "speaker_id/protocol/parse.py": "",
        "speaker_id/__pycache__/parse.cpython-311.pyc": "",
        "speaker_id/notes.txt": "",
        "speaker_id_bundle.egg-info/PKG-INFO": "",
        "__pycache__/speaker_handler.cpython-311.pyc": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny", pickled=True)


def made(model: Path, handler: Path, tmp_path: Path) -> Path:
    return build(resolve(str(model)), tmp_path / "store", handler, tmp_path / "checkpoints")


def names(mar: Path) -> list[str]:
    with zipfile.ZipFile(mar) as content:
        return sorted(content.namelist())


def rebuilt(model: Path, handler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    capsys.readouterr()
    made(model, handler, tmp_path)
    said = capsys.readouterr().out
    assert ("packed" in said) != ("up to date" in said)
    return "packed" in said


def test_the_root_holds_what_the_worker_needs_and_nothing_else(
    model: Path, handler: Path, tmp_path: Path
) -> None:
    assert names(made(model, handler, tmp_path)) == [
        "MAR-INF/MANIFEST.json",
        "checkpoint/config.json",
        "checkpoint/manifest.json",
        "checkpoint/model.safetensors",
        "checkpoint/preprocessor_config.json",
        "inputs.sha256",
        "model-config.yaml",
        "speaker_handler.py",
        "speaker_id/__init__.py",
        "speaker_id/protocol/parse.py",
    ]


def test_torchserve_is_told_the_handler_the_version_and_the_settings(
    model: Path, handler: Path, tmp_path: Path
) -> None:
    (model / "model.yaml").write_text("source: .\nversion: '2.3'\ntorchserve: {batchSize: 4}\n")
    with zipfile.ZipFile(made(model, handler, tmp_path)) as content:
        manifest = json.loads(content.read("MAR-INF/MANIFEST.json"))["model"]
        settings = yaml.safe_load(content.read("model-config.yaml"))
    assert manifest == {
        "modelName": "tiny",
        "handler": "speaker_handler.py",
        "modelVersion": "2.3",
        "configFile": "model-config.yaml",
    }
    assert settings["batchSize"] == 4


def test_the_store_holds_the_archive_alone(model: Path, handler: Path, tmp_path: Path) -> None:
    made(model, handler, tmp_path)
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [archive.LOCK, "tiny.mar"]


def test_a_store_with_a_comma_in_its_path_is_no_two(model: Path, handler: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models, archives"
    made = build(resolve(str(model)), folder, handler, tmp_path / "checkpoints")
    assert "speaker_id/protocol/parse.py" in names(made)


def test_what_killed_builds_left_goes_with_the_next(model: Path, handler: Path, tmp_path: Path) -> None:
    spec = sources.resolve(str(model))
    checkpoint = archive.prepare(spec, tmp_path / "checkpoints")
    left = [tmp_path / "store" / ".archive-x1y2z3", checkpoint.with_name(f".{checkpoint.name}.x1y2z3")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "half.bin").write_bytes(b"half")
    archive.build(spec, tmp_path / "store", handler, tmp_path / "checkpoints")
    assert [folder for folder in left if folder.exists()] == []


def test_building_another_version_keeps_the_one_that_was_there(
    model: Path, handler: Path, tmp_path: Path
) -> None:
    before = made(model, handler, tmp_path).read_bytes()
    spec = sources.resolve(str(model)).model_copy(update={"version": "9.0"})
    archive.build(spec, tmp_path / "store", handler, tmp_path / "checkpoints")
    assert store.version_of(tmp_path / "store" / "tiny.mar") == "9.0"
    assert (tmp_path / "store" / "tiny-1.0.mar").read_bytes() == before


def test_an_unchanged_archive_is_left_alone(
    model: Path, handler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = made(model, handler, tmp_path).stat().st_mtime_ns
    assert not rebuilt(model, handler, tmp_path, capsys)
    assert (tmp_path / "store" / "tiny.mar").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["handler", "core", "setting", "weights", "spoilt archive"])
def test_a_changed_input_makes_a_new_archive(
    model: Path, handler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    mar = made(model, handler, tmp_path)
    if change == "handler":
        (handler / "speaker_handler.py").write_text(STUB + "\n")
    elif change == "core":
        (handler / "speaker_id" / "new.py").write_text("")
    elif change == "setting":
        (model / "model.yaml").write_text("source: .\ntorchserve: {batchSize: 4}\n")
    elif change == "weights":
        write_checkpoint(model, pickled=True, seed=1)
    else:
        mar.write_bytes(mar.read_bytes()[:1000])
    assert rebuilt(model, handler, tmp_path, capsys)
    assert not rebuilt(model, handler, tmp_path, capsys)


def test_the_same_inputs_give_the_same_files(model: Path, handler: Path, tmp_path: Path) -> None:
    contents = []
    for place in ("one", "two"):
        mar = build(resolve(str(model)), tmp_path / place, handler, tmp_path / f"{place}-checkpoints")
        with zipfile.ZipFile(mar) as content:  # MANIFEST.json has the archiver's date in it
            files = [name for name in sorted(content.namelist()) if not name.startswith("MAR-INF")]
            contents.append({name: content.read(name) for name in files})
    assert contents[0] == contents[1]


def test_two_builds_of_one_name_do_not_clash(model: Path, handler: Path, tmp_path: Path) -> None:
    def one(place: str) -> Path:
        return build(resolve(str(model)), tmp_path / place, handler, tmp_path / "checkpoints")

    with ThreadPoolExecutor(2) as both:
        mars = list(both.map(one, ["one", "two"]))
    assert names(mars[0]) == names(mars[1])


def test_a_failing_archiver_keeps_the_old_archive_and_says_why(
    model: Path, handler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(model, handler, tmp_path).read_bytes()
    (handler / "speaker_handler.py").write_text(STUB + "# changed\n")
    monkeypatch.setattr(archive.sys, "executable", "/bin/false")
    with pytest.raises(BundleError, match="torch-model-archiver failed for tiny: no reason given"):
        made(model, handler, tmp_path)
    assert (tmp_path / "store" / "tiny.mar").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [archive.LOCK, "tiny.mar"]


def test_the_command_line_answers_an_error_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--model", "no-such-model", "--store", str(tmp_path)]) == 1
    complained = capsys.readouterr().err
    assert complained.startswith("error: MODEL=no-such-model is not a name under")
    assert complained.count("\n") == 1


# --- the archive alone: a clean process, nothing of ours installed, the unpacked archive first on the path

WORKER = """
import json, sys
from pathlib import Path
import yaml
root = Path.cwd()
sys.path.insert(0, str(root))  # as TorchServe's worker does
from ts.context import Context
from ts.service import RequestProcessor
from speaker_id.checkpoint import CheckpointError
from speaker_handler import SpeakerHandler
import speaker_id
assert Path(speaker_id.__file__).is_relative_to(root), speaker_id.__file__
context = Context(
    "tiny", str(root), json.loads(Path("MAR-INF/MANIFEST.json").read_text()), 1, None, "0.12.0",
    model_yaml_config=yaml.safe_load(Path("model-config.yaml").read_text()),
)
handler = SpeakerHandler()
try:
    handler.initialize(context)
except CheckpointError as exc:
    sys.exit(f"error: {exc}")
context.request_ids, context.request_processor = {0: "r0"}, [RequestProcessor({})]
(body,) = handler.handle([{"body": bytearray(sys.stdin.buffer.read())}], context)
print(body.decode())
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    source = write_checkpoint(folder / "tiny", pickled=True)
    mar = build(resolve(str(source)), folder / "store", HANDLER, folder / "checkpoints")
    with zipfile.ZipFile(mar) as content:
        content.extractall(folder / "unpacked")
    return folder / "unpacked"


def run_worker(folder: Path, clip: bytes) -> "subprocess.CompletedProcess[bytes]":
    """`-I`: no PYTHONPATH, no user site, no current folder; the environment has only the temp folder."""
    return subprocess.run(
        [sys.executable, "-I", "-c", WORKER],
        cwd=folder,
        env={"TMPDIR": os.environ.get("TMPDIR", "/tmp")},
        input=clip,
        capture_output=True,
        timeout=600,
    )


def wav(seconds: float) -> bytes:
    """A 16 kHz, 16-bit mono file of a 440 Hz square wave."""
    import io
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        period = b"\x00\x10" * 18 + b"\x00\xf0" * 18
        file.writeframes(period * int(seconds * 16_000 / 36))
    return buffer.getvalue()


def test_the_archive_alone_answers_a_clip(unpacked: Path) -> None:
    done = run_worker(unpacked, wav(1.0))
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout.splitlines()[-1])
    assert {entry["label"] for entry in answer} == {"anna", "bernd", "chloe"}
    assert sum(entry["score"] for entry in answer) == pytest.approx(1.0)


@pytest.mark.parametrize("fault", ["corrupted", "swapped"])
def test_an_archive_with_a_bad_file_does_not_start(unpacked: Path, tmp_path: Path, fault: str) -> None:
    weights = unpacked / "checkpoint" / "model.safetensors"
    honest = weights.read_bytes()
    if fault == "corrupted":
        weights.write_bytes(honest[:-1] + bytes([honest[-1] ^ 1]))
    else:
        weights.write_bytes((write_checkpoint(tmp_path / "other", seed=9) / "model.safetensors").read_bytes())
    try:
        done = run_worker(unpacked, wav(1.0))
    finally:
        weights.write_bytes(honest)
    assert done.returncode == 1
    complained = done.stderr.decode()
    assert complained.startswith("error: model.safetensors has SHA-256 ")
    assert complained.endswith("corrupted or swapped\n")
    assert complained.count("\n") == 1


def test_two_builds_of_the_same_inputs_give_the_same_bytes(
    model: Path, handler: Path, tmp_path: Path
) -> None:
    first = made(model, handler, tmp_path).read_bytes()
    os.utime(handler / "speaker_handler.py", (10**9, 10**9))  # another checkout
    again = build(resolve(str(model)), tmp_path / "other", handler, tmp_path / "others")
    assert again.read_bytes() == first
