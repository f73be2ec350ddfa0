"""HTTPS beside HTTP, by a certificate that the appliance makes itself."""

import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from appliance.certificate import CERTIFICATE, KEY
from appliance.web.encryption import encryption
from appliance.web.site import serving
from tests.web.conftest import PASSWORD, Site


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The addresses of one site, by HTTP and by HTTPS."""
    site = Site(tmp_path, is_open=False)
    site.logs_in()
    made = encryption(tmp_path)
    assert made is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        https_port = free.getsockname()[1]
    parts = replace(site.parts(), https_port=https_port)
    told: list[str] = []
    async with serving(parts, "127.0.0.1", 0, made.context, lambda: told.append("encrypted")) as port:
        assert told == ["encrypted"]
        yield f"http://127.0.0.1:{port}", f"https://127.0.0.1:{https_port}"


async def test_the_same_site_is_served_encrypted_and_its_sessions_are_apart(
    sites: tuple[str, str], tmp_path: Path
) -> None:
    _, https = sites
    known = ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))
    known.check_hostname = False
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        fields, headers = {"name": "ana", "password": PASSWORD}, {"Origin": https}
        async with client.post(
            f"{https}/login", data=fields, headers=headers, ssl=known, allow_redirects=False
        ) as answer:
            assert answer.status == 303
            cookie = answer.cookies["__Host-session"]
            assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Strict")
        for name, status in (("__Host-session", 200), ("session", 303)):
            sent = {"Cookie": f"{name}={cookie.value}"}
            async with client.get(f"{https}/", headers=sent, ssl=known, allow_redirects=False) as answer:
                assert answer.status == status


async def test_a_port_that_is_taken_keeps_nobody_from_the_other(tmp_path: Path) -> None:
    site, made = Site(tmp_path), encryption(tmp_path)
    assert made is not None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        parts = replace(site.parts(), https_port=taken.getsockname()[1])
        told: list[str] = []
        served = serving(parts, "127.0.0.1", 0, made.context, lambda: told.append("encrypted"))
        async with served as port, aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert answer.status == 200
    assert told == []


def test_the_certificate_is_made_once_and_its_key_is_nobody_elses(tmp_path: Path) -> None:
    first, again = encryption(tmp_path, ("meters.example",)), encryption(tmp_path)
    assert first is not None
    assert again is not None
    assert first.fingerprint == again.fingerprint
    assert len(first.fingerprint.split(":")) == 32
    chain = (tmp_path / CERTIFICATE).read_text()
    (tmp_path / CERTIFICATE).write_text(f"subject=a chain\n{chain}{chain}")
    chained = encryption(tmp_path)
    assert chained is not None
    assert chained.fingerprint == first.fingerprint
    assert os.stat(tmp_path / KEY).st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "meters.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert certificate.not_valid_before_utc.year >= 2025


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_without_a_certificate_that_can_be_used_there_is_none(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert encryption(tmp_path) is not None
    (tmp_path / CERTIFICATE).write_bytes(content)
    assert encryption(tmp_path) is None
    assert "no HTTPS" in caplog.text
    assert encryption(tmp_path / "missing") is None
