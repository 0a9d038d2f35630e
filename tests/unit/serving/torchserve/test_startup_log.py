"""The reason why a start failed, found in logs as TorchServe 0.12 writes them."""

from __future__ import annotations

import json
from pathlib import Path

from serving.torchserve import startup_log

HEAD = {"time": "2026-11-24T11:40:08.123Z", "level": "info"}

DIED = [
    "Backend worker process died.",
    "Traceback (most recent call last):",
    '  File "/venv/ts/model_service_worker.py", line 301, in <module>',
    "    worker.run_server()",
    '  File "/tmp/x/speaker_id/checkpoint.py", line 20, in load',
    '    raise CheckpointError(f"{name} differs: its manifest says otherwise")',
    "speaker_id.manifest.CheckpointError: model.safetensors has SHA-256 ab, its manifest says cd",
]


def model_log(*texts: str) -> str:
    worker = {"worker": "W-9000-demo_1.0-stdout"}
    return "".join(json.dumps({**HEAD, **worker, "message": text}) + "\n" for text in texts)


def test_a_handlers_error_is_given_without_its_traceback() -> None:
    log = model_log("Torch worker started.", *DIED)
    wanted = "CheckpointError: model.safetensors has SHA-256 ab, its manifest says cd"
    assert startup_log.worker_refusal(log) == wanted


def test_a_runtime_errors_text_is_found_where_torchserve_hides_it() -> None:
    log = model_log(
        "Failed to load model demo, exception layer_weights has 3 values, 13 are needed",
        "Traceback (most recent call last):",
        "RuntimeError: layer_weights has 3 values, 13 are needed",
        "Backend worker process died.",
        "Traceback (most recent call last):",
        "RuntimeError: 500 - Unknown exception",
    )
    assert startup_log.worker_refusal(log) == "layer_weights has 3 values, 13 are needed"


def test_a_worker_that_is_still_loading_has_not_refused() -> None:
    assert (
        startup_log.worker_refusal(model_log("Torch worker started.", "model_name: demo, batchSize: 8"))
        is None
    )


def test_a_traceback_that_is_not_written_whole_yet_is_waited_for() -> None:
    assert startup_log.worker_refusal(model_log(*DIED[:4])) is None


def test_an_error_that_a_worker_survived_is_no_refusal() -> None:
    log = model_log("Traceback (most recent call last):", "ValueError: a bug in one request", "going on")
    assert startup_log.worker_refusal(log) is None


def test_an_archive_that_the_server_did_not_take_is_named_with_the_reason() -> None:
    said = {
        "message": "Failed to load model: demo.mar",
        "exception": "org.pytorch.serve.archive.model.ModelNotFoundException: Model not found at: demo.mar\n"
        "\tat org.pytorch.serve.archive.model.ModelArchive.downloadModel(ModelArchive.java:123)\n",
    }
    log = json.dumps(HEAD | said) + "\n"
    assert startup_log.archive_refusal(log) == "Model not found at: demo.mar"


def test_an_archive_that_is_cut_short_is_refused_by_its_name_and_why() -> None:
    said = {
        "message": "Failed to load model: demo.mar",
        "exception": " java.util.zip.ZipException: unexpected EOF\n",
    }
    log = json.dumps(HEAD | said) + "\n"
    assert startup_log.archive_refusal(log) == "demo.mar: unexpected EOF"


def test_a_line_that_is_not_written_whole_is_waited_for() -> None:
    assert startup_log.worker_refusal(model_log(*DIED)[:-20]) is None


def test_no_logs_yet_means_no_refusal(tmp_path: Path) -> None:
    assert startup_log.refusal(tmp_path) is None


def test_the_last_cause_is_what_a_dead_jvm_is_blamed_on() -> None:
    output = (
        "WARNING: sun.reflect.Reflection.getCallerClass is not supported.\n"
        "java.io.IOException: Failed to bind to address: http://127.0.0.1:8085\n"
        "\tat org.pytorch.serve.ModelServer.initializeServer(ModelServer.java:330)\n"
        "Caused by: java.net.BindException: Address already in use\n"
    )
    assert startup_log.java_error(output) == "BindException: Address already in use"


def test_a_jvm_that_gave_no_exception_is_quoted_by_its_last_line() -> None:
    assert startup_log.java_error("Error: Could not find or load main class X\n\n") == (
        "Error: Could not find or load main class X"
    )
    assert startup_log.java_error("") is None


def test_what_a_worker_does_while_it_starts_is_the_last_thing_its_handler_said(tmp_path: Path) -> None:
    assert startup_log.stage(tmp_path, "demo") == "importing its libraries"
    log = tmp_path / startup_log.HANDLER_LOG
    said = [{**HEAD, "event": event, "model": "demo"} for event in ("loading", "warming")]
    log.write_text(json.dumps(said[0]) + "\n")
    assert startup_log.stage(tmp_path, "demo") == "checking and loading the weights"
    assert startup_log.stage(tmp_path, "other") == "importing its libraries"
    log.write_text("\n".join(map(json.dumps, said)) + '\n{"time": "2026')
    assert startup_log.stage(tmp_path, "demo") == "warming up"


def test_an_error_from_before_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    """Nothing new at all, and something new that is no error: an hours-old reason explains neither."""
    log = tmp_path / startup_log.MODEL_LOG
    log.write_text(model_log(*DIED))
    since = startup_log.position(tmp_path)
    assert startup_log.refusal(tmp_path, since) is None
    with log.open("a") as more:
        more.write(model_log("Torch worker started."))
    assert startup_log.refusal(tmp_path, since) is None
    with log.open("a") as more:
        more.write(model_log(*DIED))
    assert "model.safetensors has SHA-256 ab" in (startup_log.refusal(tmp_path, since) or "")


def test_a_log_that_has_been_replaced_since_is_all_news_however_long(tmp_path: Path) -> None:
    log = tmp_path / startup_log.MODEL_LOG
    log.write_text(model_log("short"))
    since = startup_log.position(tmp_path)
    log.rename(tmp_path / "model_log.1.log")
    log.write_text(model_log(*DIED, *["later"] * 50))
    assert startup_log.refusal(tmp_path, since) is not None
