"""The description and its page as the gateway answers with them."""

from __future__ import annotations

from collections.abc import Sequence

from bundle.spec import ModelSpec
from serving.api import page
from serving.api.description import as_json, describe
from serving.api.paths import DESCRIPTION, PAGE
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.model_server import Upstream


def files(specs: Sequence[ModelSpec], options: GatewayOptions, upstream: Upstream) -> tuple[StaticFile, ...]:
    """Both, open to everyone: tools and browsers that fetch them send no token, and where tokens are asked for neither
    names a model."""
    document = describe(specs, options, upstream)
    html = page.render(document)
    safe = {"content-security-policy": page.policy(html), "x-content-type-options": "nosniff"}
    return (
        StaticFile(DESCRIPTION, "application/json", as_json(document), public=True),
        StaticFile(PAGE, "text/html; charset=utf-8", html.encode(), public=True, headers=safe),
    )
