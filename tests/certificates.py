"""Certificates of an authority that lives as long as a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trustme


def issue(
    folder: Path, *names: str, authority: trustme.CA | None = None, suffix: str = "", **options: Any
) -> trustme.CA:
    """Write tls.crt, tls.key (mode 600) and the authority's ca.crt; both end in `suffix`, to be renamed by the test."""
    authority = authority or trustme.CA()
    issued = authority.issue_cert(*(names or ("127.0.0.1",)), **options)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"tls.crt{suffix}").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key = folder / f"tls.key{suffix}"
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(folder / "ca.crt")
    return authority
