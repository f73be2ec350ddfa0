"""The appliance's own client and the aggregator's own server understand each other."""

from pathlib import Path

import pytest

from appliance.aggregator.api import Api
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.server import serving
from appliance.aggregator.settings import Tls, Web
from appliance.aggregator.tls import Certificate
from appliance.certificate import CERTIFICATE, KEY, make_certificate
from appliance.errors import NotDelivered
from appliance.sync.courier import BATCHES, ENROLMENTS, RECEIPTS, ROTATIONS
from appliance.sync.envelope import RECEIPT, opened, read
from appliance.sync.receipt import unpack_receipt
from appliance.sync.transport import Link, Told
from tests.aggregator.street import CENTRE, NOW, Sender
from tests.aggregator.test_api import PUBLIC


async def told(link: Link, path: str, lines: list[bytes], sender: Sender) -> Told:
    found = Told()
    await link.post(path, lines, sender.identity, found)
    assert found.answer is not None
    assert found.answer.utc_ms == NOW
    return found


def sequences(found: Told) -> list[int]:
    return [unpack_receipt(opened(read(line), RECEIPT, PUBLIC)).sequence for line in found.receipts]


async def test_from_the_first_word_to_the_last_receipt(database: Database, tmp_path: Path) -> None:
    make_certificate(tmp_path, "127.0.0.1")
    context = Certificate(Tls(certificate=CERTIFICATE, key=KEY), tmp_path).context
    sender = Sender()
    lines = [sender.sealed(n) for n in range(1, 201)]
    async with serving(Api(database, CENTRE, now_utc_ms=lambda: NOW), Web(port=0), context) as port:
        link = Link(f"https://127.0.0.1:{port}", PUBLIC, str(tmp_path / CERTIFICATE))
        try:
            stranger = await told(link, BATCHES, lines[:3], sender)
            assert [reason for reason, _ in stranger.refusals] == ["unknown_key"] * 3
            assert stranger.answer
            assert stranger.answer.standing == "unknown"
            waiting = await told(link, ENROLMENTS, [sender.enrolment()], sender)
            assert waiting.answer
            assert waiting.answer.standing == "waiting"
            await Appliances(database).approve(sender.identity, NOW)
            ahead = await told(link, BATCHES, lines[3:5], sender)
            assert (ahead.gap, ahead.receipts) == ((1, 1), [])
            assert sequences(await told(link, BATCHES, lines, sender)) == list(range(1, 201))
            asked = f'{{"appliance": "{sender.identity}", "batches": [[1, 7], [1, 900]]}}'.encode()
            assert sequences(await told(link, RECEIPTS, [asked], sender)) == [7]
            await told(link, ROTATIONS, [sender.rotation(2)], sender)
            last = sender.sealed(1, epoch=2, previous=sender.sha256[1, 200])
            assert sequences(await told(link, BATCHES, [last], sender)) == [1]
        finally:
            await link.close()


async def test_without_its_certificate_it_is_not_believed(database: Database, tmp_path: Path) -> None:
    make_certificate(tmp_path, "127.0.0.1")
    (tmp_path / "other").mkdir()
    make_certificate(tmp_path / "other", "127.0.0.1")
    context = Certificate(Tls(certificate=CERTIFICATE, key=KEY), tmp_path).context
    async with serving(Api(database, CENTRE), Web(port=0), context) as port:
        for certificate in (None, str(tmp_path / "other" / CERTIFICATE)):
            link = Link(f"https://127.0.0.1:{port}", PUBLIC, certificate)
            with pytest.raises(NotDelivered, match="certificate"):
                await link.post(BATCHES, [b"{}"], "1" * 32, Told())
            await link.close()


async def test_a_certificate_that_is_copied_anew_is_read_anew(database: Database, tmp_path: Path) -> None:
    """Without that the appliance is started anew."""
    make_certificate(tmp_path, "127.0.0.1")
    context = Certificate(Tls(certificate=CERTIFICATE, key=KEY), tmp_path).context
    (tmp_path / "other").mkdir()
    make_certificate(tmp_path / "other", "127.0.0.1")
    copied = tmp_path / "copied.pem"
    async with serving(Api(database, CENTRE), Web(port=0), context) as port:
        link = Link(f"https://127.0.0.1:{port}", PUBLIC, str(copied))
        with pytest.raises(NotDelivered, match=r"copied\.pem: No such file"):
            await link.post(BATCHES, [b"{}"], "1" * 32, Told())
        copied.write_bytes(b"no certificate")
        with pytest.raises(NotDelivered, match=r"copied\.pem holds no certificate"):
            await link.post(BATCHES, [b"{}"], "1" * 32, Told())
        copied.write_bytes((tmp_path / "other" / CERTIFICATE).read_bytes())
        with pytest.raises(NotDelivered, match="its certificate is not the one that is set") as fault:
            await link.post(BATCHES, [b"{}"], "1" * 32, Told())
        assert fault.value.hint.startswith("Copy the aggregator's certificate")
        copied.write_bytes((tmp_path / CERTIFICATE).read_bytes())
        said = Told()
        await link.post(BATCHES, [b"{}"], "1" * 32, said)
        assert said.answer
        await link.close()
