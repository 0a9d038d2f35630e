"""What `make serve` says once it is ready: for each model a request to copy, with the answer that it was just given."""

from __future__ import annotations

import shlex

from bundle import BundleError, samples
from bundle.spec import ModelSpec
from serving.gateway import tls
from serving.gateway.options import GatewayOptions
from serving.host import local_http
from serving.service import Service

FIRST_ANSWER_SECONDS = 60.0  # for the first answer of a model


def announce(service: Service) -> str:
    """The text, of several lines.

    Raises:
        BundleError: a model does not answer.
    """
    options = service.gateway.options
    ready = [_ready(spec, options) for spec in service.specs]
    page = [f"page to try a voice on: {_base(options)}/"] if options.page else []
    return "\n".join([*ready, *page, f"metrics: {service.exporter.url}\n"])


def _base(options: GatewayOptions) -> str:
    """The address to copy, without a slash at the end."""
    return options.certificate.url(options.url) if options.certificate else options.url


def _ready(spec: ModelSpec, options: GatewayOptions) -> str:
    clip, path = samples.samples()[0].path, f"/predictions/{spec.name}"
    answer = _first_answer(options, path, clip.read_bytes())
    base = _base(options)
    trust = bearer = ""
    if options.certificate and options.certificate.trust:
        trust = f" --cacert {shlex.quote(str(options.certificate.trust))}"
    if options.tokens:
        bearer = ' -H "Authorization: Bearer $TOKEN"'
    others = "those of its gallery" if "gallery" in spec.speaker_id.open_sets.values() else "no other"
    demo = f", the DEMO model, which knows six voices and {others}" if spec.demo else ""
    return (
        f"ready: {spec.name} {spec.version}{demo}, at {base}{path} (Ctrl-C stops)\n\n"
        f"  curl{trust} -T {clip}{bearer} {base}{path}\n  {answer}\n"
    )


def _first_answer(options: GatewayOptions, path: str, body: bytes) -> str:
    headers = {"content-type": "application/octet-stream"}
    if options.tokens:
        headers["authorization"] = f"Bearer {options.tokens.each[0]}"
    trust = tls.trusting(options.certificate.folder) if options.certificate else None
    try:
        answer = local_http.ask(
            local_http.tcp(options.url, FIRST_ANSWER_SECONDS, trust), "POST", path, body, headers
        )
    except local_http.FAULTS as exc:
        raise BundleError(
            f"the server has started, but POST {path} is not answered ({type(exc).__name__})"
        ) from exc
    if answer.status != 200:
        raise BundleError(
            f"the server has started, but POST {path} is answered with {answer.status}: {answer.text}"
        )
    return answer.text
