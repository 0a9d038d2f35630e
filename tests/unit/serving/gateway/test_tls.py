"""A certificate's folder is checked before a server starts on it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from bundle import BundleError, private
from serving.gateway import cors, tls
from tests.certificates import issue

YESTERDAY = datetime.now(timezone.utc) - timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issue(tmp_path / "cert, é")
    return tmp_path / "cert, é"


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        tls.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_folder_is_read(folder: Path) -> None:
    assert tls.read(folder) == tls.Certificate(folder, "127.0.0.1", folder / "ca.crt")


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder) == f"TLS={folder} has no {name}: it must hold tls.crt and tls.key, PEM"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    (folder / "tls.key").chmod(mode)
    assert f"tls.key may be read by other users (mode {mode:o}): chmod 600" in refusal(folder)


def test_a_key_that_root_lends_to_our_group_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So Kubernetes mounts secrets: root's, with the group of the pod."""
    (folder / "tls.key").chmod(0o440)
    monkeypatch.setattr(os, "geteuid", lambda: (folder / "tls.key").stat().st_uid + 1)
    private.check(folder / "tls.key", "TLS")
    (folder / "tls.key").chmod(0o444)
    with pytest.raises(BundleError, match="444"):
        private.check(folder / "tls.key", "TLS")


def test_the_key_of_another_certificate_is_refused(folder: Path, tmp_path: Path) -> None:
    issue(tmp_path / "other")
    (tmp_path / "other" / "tls.key").replace(folder / "tls.key")
    assert "tls.key does not belong to tls.crt" in refusal(folder)


@pytest.mark.parametrize(("name", "what"), [("tls.crt", "certificate"), ("tls.key", "private key")])
def test_what_is_no_pem_is_named(folder: Path, name: str, what: str) -> None:
    (folder / name).write_text("no PEM")
    assert f"{name} is not a" in refusal(folder)
    assert what in refusal(folder)


def test_an_encrypted_key_is_refused_and_asks_for_no_password(folder: Path) -> None:
    key = serialization.load_pem_private_key((folder / "tls.key").read_bytes(), None)
    pkcs8 = serialization.PrivateFormat.PKCS8
    locked = serialization.BestAvailableEncryption(b"secret")
    (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, locked))
    assert "tls.key is not an unencrypted private key" in refusal(folder)


def test_an_expired_certificate_is_refused(folder: Path) -> None:
    issue(folder, not_after=YESTERDAY)
    assert "tls.crt has expired; replace it" in refusal(folder)


def test_one_that_is_not_valid_yet_is_refused(folder: Path) -> None:
    issue(folder, not_before=datetime.now(timezone.utc) + timedelta(days=1))
    assert "tls.crt is not valid yet" in refusal(folder)


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("id.example.org", "127.0.0.1"), "127.0.0.1"),
        (("id.example.org", "localhost"), "localhost"),
        (("*.example.org", "id.example.org"), "id.example.org"),
        (("*.example.org",), "127.0.0.1"),
    ],
)
def test_callers_on_this_machine_use_a_name_that_the_certificate_has(
    folder: Path, names: tuple[str, ...], host: str
) -> None:
    issue(folder, *names)
    certificate = tls.read(folder)
    assert (certificate.host, certificate.url("https://127.0.0.1:8443")) == (host, f"https://{host}:8443")


def test_without_the_authority_beside_it_everybody_is_taken_to_know_it(folder: Path) -> None:
    (folder / "ca.crt").unlink()
    assert tls.read(folder).trust is None


def test_a_self_signed_certificate_is_what_callers_trust(tmp_path: Path) -> None:
    itself = trustme.CA()
    itself.cert_pem.write_to_path(tmp_path / "tls.crt")
    (tmp_path / "tls.key").touch(0o600)
    itself.private_key_pem.write_to_path(tmp_path / "tls.key")
    assert tls.read(tmp_path).trust == tmp_path / "tls.crt"


def test_origins_are_scheme_host_and_port() -> None:
    assert cors.read("") == ()
    assert cors.read(" https://a.example  http://localhost:3000 ") == (
        "https://a.example",
        "http://localhost:3000",
    )
    assert cors.regex(cors.read("https://a.example http://b:1")) == r"https://a\.example|http://b:1"


@pytest.mark.parametrize("origin", ["*", "a.example", "https://a.example/", "https://a b", 'https://a"}'])
def test_anything_else_is_no_origin(origin: str) -> None:
    with pytest.raises(BundleError, match="is not an origin: give scheme, host"):
        cors.read(origin)
