"""The gateway's TLS certificate: a folder as cert-manager and Kubernetes fill it, checked before a server starts with
it."""

from __future__ import annotations

import contextlib
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bundle import BundleError, private
from serving.host.ports import LOOPBACK

CERTIFICATE, KEY = "tls.crt", "tls.key"  # PEM; the certificate first, then those between it and its authority
AUTHORITY = "ca.crt"  # PEM, of a private authority; only callers need it
# for Envoy's secret discovery service, which reads secrets again when they change
SECRETS_FILE = "secrets.json"
EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_… of OpenSSL's x509_vfy.h


@dataclass(frozen=True)
class Certificate:
    """What a folder holds.

    Attributes:
        folder: absolute.
        host: the name that callers on this machine may use: an address or name of loopback if the certificate has
            one, else the first that it has.
        trust: the file that callers must trust, for their `--cacert`; None if the system's store should have
            it.
    """

    folder: Path
    host: str
    trust: Path | None

    def url(self, served: str) -> str:
        """The gateway's address, with a name of the certificate as its host."""
        return f"https://{self.host}:{urlsplit(served).port}"


def read(folder: Path) -> Certificate:
    """Check a folder's certificate and key by a TLS handshake with them, in memory.

    Raises:
        BundleError: a file is missing or not PEM, others may read the key, the key does not belong to the certificate,
            or the certificate has expired, is not valid yet or is not for servers.
    """
    folder = folder.absolute()  # a link is followed again at every renewal
    certificate, key = folder / CERTIFICATE, folder / KEY
    for file in (certificate, key):
        if not file.is_file():
            raise BundleError(f"TLS={folder} has no {file.name}: it must hold {CERTIFICATE} and {KEY}, PEM")
    private.check(key, f"TLS={folder}: {KEY}")
    try:
        client = trusting(folder)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise BundleError(f"TLS={folder}: {CERTIFICATE} is not a certificate in PEM ({exc})") from exc
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # the password, so that an encrypted key fails and does not ask for one
        server.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as exc:
        if getattr(exc, "reason", None) == "KEY_VALUES_MISMATCH":
            raise BundleError(f"TLS={folder}: {KEY} does not belong to {CERTIFICATE}") from exc
        raise BundleError(f"TLS={folder}: {KEY} is not an unencrypted private key in PEM ({exc})") from exc
    try:
        found = _handshake(client, server)
    except ssl.SSLCertVerificationError as exc:
        why = {EXPIRED: "has expired", NOT_YET_VALID: "is not valid yet"}
        said = why.get(exc.verify_code, f"cannot be used: {exc.verify_message}")
        raise BundleError(f"TLS={folder}: {CERTIFICATE} {said}; replace it") from exc
    return Certificate(folder, _host(found), _trust(folder, found))


def trusting(folder: Path) -> ssl.SSLContext:
    """For a client on this machine: only the folder's own certificate is accepted, under any name."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # the certificate itself is trusted, not its issuer
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(folder / CERTIFICATE)
    return client


def secrets(folder: Path) -> str:
    """Envoy's file of secrets: the two files, and the folder in which a rename shows that they have changed."""
    certificate = {
        "certificate_chain": {"filename": str(folder / CERTIFICATE)},
        "private_key": {"filename": str(folder / KEY)},
        "watched_directory": {"path": str(folder)},
    }
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    return json.dumps({"resources": [{"@type": kind, "name": "gateway", "tls_certificate": certificate}]})


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, Any]:
    """Perform a handshake between the two; the certificate as the client received it."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    for end in ends * 3:  # more steps than a handshake has
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return ends[0].getpeercert() or {}


def _host(certificate: dict[str, Any]) -> str:
    names: list[str] = [
        value for kind, value in certificate.get("subjectAltName", ()) if kind in ("IP Address", "DNS")
    ]
    local = [name for name in (LOOPBACK, "localhost") if name in names]
    plain = [name for name in names if "*" not in name]
    return (local + plain + [LOOPBACK])[0]


def _trust(folder: Path, certificate: dict[str, Any]) -> Path | None:
    if (folder / AUTHORITY).is_file():
        return folder / AUTHORITY
    return folder / CERTIFICATE if certificate["subject"] == certificate["issuer"] else None
