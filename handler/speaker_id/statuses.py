"""Every error's HTTP status: one table for the adapters of all servers, and for what describes them."""

from __future__ import annotations

from http import HTTPStatus

from speaker_id import errors

STATUS: dict[type[errors.RequestError], HTTPStatus] = {
    errors.MalformedRequest: HTTPStatus.BAD_REQUEST,
    errors.InvalidParameter: HTTPStatus.BAD_REQUEST,
    errors.AudioTooLong: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RecordingTooLong: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.EmptyAudio: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.CorruptAudio: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TruncatedAudio: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AudioTooCostly: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AudioTooShort: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NonFiniteAudio: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedLayout: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.OutOfMemory: HTTPStatus.INSUFFICIENT_STORAGE,  # which the gateway retries once
    errors.WorkerDied: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.Cancelled: HTTPStatus.REQUEST_TIMEOUT,  # nobody reads it; nginx's 499 is no registered status
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
}
