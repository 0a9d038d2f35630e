"""The error tree, its statuses and its body."""

import inspect

import pytest
from speaker_id import errors
from speaker_id.statuses import STATUS

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.RequestError) and value is not errors.RequestError
]


def test_every_error_class_has_a_status() -> None:
    assert set(STATUS) == set(CLASSES)


def test_every_error_class_stands_in_the_tree() -> None:
    for error in CLASSES:
        assert f"─ {error.__name__} " in (errors.__doc__ or "")


def test_codes_are_unique() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("error", CLASSES)
def test_statuses_blame_the_caller_but_for_what_the_server_lacks(error: type[errors.RequestError]) -> None:
    lacking = {errors.DeadlineExceeded: 504, errors.OutOfMemory: 507, errors.WorkerDied: 507}
    status = STATUS[error]
    assert status == lacking[error] if error in lacking else 400 <= status < 500


def test_a_body_names_code_message_and_instance() -> None:
    error = errors.AudioTooLong("130 s is\nmore than 120 s", instance=2)
    assert error.body() == {
        "error": "130 s is more than 120 s",
        "code": "audio_too_long",
        "instance": 2,
    }


def test_a_request_as_a_whole_has_no_instance() -> None:
    assert "instance" not in errors.MalformedRequest("x").body()


def test_a_recording_too_long_says_how_much_fits() -> None:
    error = errors.RecordingTooLong(
        "the windows of 3600 s would outlast responseTimeout: send 900 s", seconds=900.0
    )
    assert error.body() == {"error": error.message, "code": "recording_too_long", "seconds": 900.0}
    assert "seconds" not in errors.RecordingTooLong("x").body()
