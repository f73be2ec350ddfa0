"""A certificate that is renewed while the aggregator serves."""

import asyncio
import logging
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from appliance.aggregator.api import Api
from appliance.aggregator.database import Database
from appliance.aggregator.server import serving
from appliance.aggregator.settings import Tls, Web
from appliance.aggregator.tls import Certificate
from appliance.certificate import CERTIFICATE, KEY, make_certificate
from appliance.errors import ConfigError
from tests.aggregator.street import CENTRE

FILES = Tls(certificate=CERTIFICATE, key=KEY)


def serial(certificate: bytes) -> int:
    return x509.load_pem_x509_certificate(certificate).serial_number


async def shown(port: int, host: str = "127.0.0.1") -> int:
    """The serial number of the certificate that is served."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()
    return x509.load_der_x509_certificate(found).serial_number


async def test_a_renewed_certificate_is_taken_up(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    make_certificate(tmp_path, "127.0.0.1")
    first, key = (tmp_path / CERTIFICATE).read_bytes(), (tmp_path / KEY).read_bytes()
    certificate = Certificate(FILES, tmp_path)
    looked = asyncio.Queue[None]()
    going_on = asyncio.Queue[None]()

    async def sleep(_seconds: float) -> None:
        looked.put_nowait(None)
        await going_on.get()

    async def look() -> None:
        going_on.put_nowait(None)
        await looked.get()

    watching = asyncio.create_task(certificate.watch(sleep))
    await looked.get()
    async with serving(Api(database, CENTRE), Web(port=0), certificate.context) as port:
        await look()
        assert await shown(port) == serial(first)
        make_certificate(tmp_path, "127.0.0.1")
        second, second_key = (tmp_path / CERTIFICATE).read_bytes(), (tmp_path / KEY).read_bytes()
        # As whoever renews it would have it for a moment: the new one, and the old key.
        (tmp_path / KEY).write_bytes(key)
        await look()
        assert await shown(port) == serial(first)
        assert caplog.messages == []
        (tmp_path / KEY).write_bytes(second_key)
        await look()
        assert await shown(port) == serial(second)
        assert caplog.messages == [f"certificate taken up file={tmp_path / CERTIFICATE}"]
        for broken in (b"", b"no PEM", second[:-40], None):
            caplog.clear()
            (tmp_path / CERTIFICATE).unlink()
            if broken is not None:
                (tmp_path / CERTIFICATE).write_bytes(broken)
            for _ in range(4):
                await look()
            assert await shown(port) == serial(second)
            (said,) = caplog.messages
            assert said.startswith("certificate not taken up, the one before stays: ")
            (tmp_path / CERTIFICATE).write_bytes(second)
            await look()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"certificate\.pem: cannot be read"):
        Certificate(FILES, tmp_path)
    make_certificate(tmp_path, "127.0.0.1")
    (tmp_path / KEY).write_bytes((tmp_path / CERTIFICATE).read_bytes())
    with pytest.raises(ConfigError, match=r"tls\.certificate and tls\.key"):
        Certificate(FILES, tmp_path)


async def test_any_free_port_is_the_same_on_every_address(tmp_path: Path, server_database: Database) -> None:
    make_certificate(tmp_path, "127.0.0.1")
    context = Certificate(FILES, tmp_path).context
    async with serving(Api(server_database, CENTRE), Web(host="*", port=0), context) as port:
        expected = serial((tmp_path / CERTIFICATE).read_bytes())
        assert await shown(port, "127.0.0.1") == expected
        try:
            found = await shown(port, "::1")
        except OSError:
            pytest.skip("this machine has no IPv6")
        assert found == expected
