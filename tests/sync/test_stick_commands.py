"""`appliance outbox` and `appliance receipts`, as programs: beside the appliance that runs, and without it."""

import asyncio
import hashlib
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.store.lock import sole_user
from appliance.sync.courier import About
from appliance.sync.envelope import RECEIPT, key_id, read, seal
from appliance.sync.gate import Gate
from appliance.sync.identity import seen_identity
from appliance.sync.outbox import Outbox
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.sealing import Sealing
from appliance.sync.stick import waiting_in
from appliance.sync.taking import Taking
from appliance.web.site import serving
from tests.store.box import Box, contents
from tests.web.conftest import Site

CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
# Nobody told the box the time.
SPAN = "sealed from 2026-03-01 12:15 UTC (estimated) to 2026-03-01 12:45 UTC (estimated)"
KEYS = {key_id(CENTRE.public_key()): CENTRE.public_key()}


@dataclass
class Place:
    """An appliance's data with three batches, its settings, and a stick."""

    box: Box
    config: Path
    stick: Path

    def settle(self, port: int = 0, key: str = CENTRE.public_key().public_bytes_raw().hex()) -> None:
        web = f"[web]\nhost = '127.0.0.1'\nport = {port}\n"
        self.config.write_text(f"[store]\ndirectory = '{self.box.directory}'\n{web}[sync]\naggregator_key = '{key}'\n")

    async def say(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and complaint of a command."""
        command = (sys.executable, "-m", "appliance", *words, "--config", str(self.config))
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        async with asyncio.timeout(60):
            out, error = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()

    def receipts(self, key: Ed25519PrivateKey = CENTRE, appliance: str = "") -> list[bytes]:
        named = appliance or seen_identity(self.box.directory).appliance
        told = []
        for name in waiting_in(self.box.directory):
            sha256 = hashlib.sha256(read((self.box.directory / "outbox" / name.file).read_bytes()).payload).hexdigest()
            told.append(seal(RECEIPT, pack_receipt(Receipt(named, *name, sha256, 1)), key))
        return told

    def put(self, *lines: bytes) -> None:
        (self.stick / "receipts.jsonl").write_bytes(b"\n".join(lines) + b"\n")


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    box = Box(tmp_path / "data")
    async with box.store() as store:
        sealing = Sealing(store)
        for _ in range(3):
            box.hear(store, 15)
            assert await sealing.seal_now() == ""
        sealing.close()
    made = Place(box, tmp_path / "appliance.toml", tmp_path / "stick")
    made.stick.mkdir()
    made.settle()
    return made


@asynccontextmanager
async def running(place: Place) -> AsyncIterator[Sealing]:
    """The appliance, as far as it matters here: its data directory held, its page served."""
    with sole_user(place.box.directory):
        async with place.box.store() as store:
            sealing = Sealing(store)
            gate = Gate(sealing, Taking(sealing, KEYS), KEYS, About("Calle 5", "0.1.0"))
            parts = replace(Site(place.stick / "other").parts(), store=store, gate=gate)
            async with serving(parts, "127.0.0.1", 0) as port:
                place.settle(port)
                yield sealing
            sealing.close()


async def test_export_and_list(place: Place) -> None:
    before = contents(place.box.directory)
    code, out, _ = await place.say("outbox", "list")
    identity = seen_identity(place.box.directory)
    whose = f"appliance {identity.fingerprint}, code for the operator {identity.claim_code}"
    assert (code, out.split("; ")[1]) == (0, f"{SPAN}\n{whose}\n")
    assert out.startswith("3 batches wait, ")
    code, out, error = await place.say("outbox", "export", str(place.stick))
    assert code == 0
    assert out.startswith(f"{place.stick}/meter-appliance/")
    assert "3 batches wait" in out
    assert f"3 of them new on the stick; {SPAN}" in out
    assert "is on the same file system as the data. Is the stick mounted there?" in error
    assert contents(place.box.directory) == before
    async with running(place):
        code, out, _ = await place.say("outbox", "export", str(place.stick))
        assert (code, "0 of them new" in out) == (0, True)


async def test_a_new_key_is_asked_for(place: Place) -> None:
    before = seen_identity(place.box.directory)
    async with running(place) as sealing:
        code, out, _ = await place.say("outbox", "new-key")
        assert (code, f"aggregator revoke {before.appliance} --epoch 1\n" in out) == (0, True)
        assert seen_identity(place.box.directory).epoch == 1
        identity = await sealing.of(lambda outbox: outbox.identity)
        assert (identity.appliance, identity.epoch, len(identity.rotations)) == (before.appliance, 2, 1)
        assert (await sealing.of(lambda outbox: outbox.identity)).key == identity.key
        assert await sealing.of(lambda outbox: len(outbox.waiting)) == 3


async def test_export_says_what_is_wrong(place: Place, tmp_path: Path) -> None:
    code, _, error = await place.say("outbox", "export", str(tmp_path / "nowhere"))
    assert (code, error) == (
        65, f"appliance: {tmp_path / 'nowhere'} is no folder. Name the folder where the stick is mounted.\n"
    )  # fmt: skip
    code, _, error = await place.say("outbox")
    assert code == 64
    place.config.write_text(f"[store]\ndirectory = '{tmp_path / 'empty'}'\n")
    code, _, error = await place.say("outbox", "export", str(place.stick))
    assert (code, "holds no key yet" in error) == (74, True)
    code, _, error = await place.say("outbox", "list")
    assert (code, "holds no outbox yet" in error) == (74, True)
    assert not (tmp_path / "empty").exists()


async def test_receipts_without_the_appliance(place: Place) -> None:
    place.put(*place.receipts()[:2], *place.receipts(appliance="0" * 32)[:1], b"torn")
    code, out, _ = await place.say("receipts", "import", str(place.stick))
    assert (code, out.startswith("2 taken in, 0 known already, 1 for other appliances, 1 refused: ")) == (0, True)
    assert len(waiting_in(place.box.directory)) == 1
    code, out, _ = await place.say("receipts", "import", str(place.stick / "receipts.jsonl"))
    assert (code, out[:32]) == (0, "0 taken in, 2 known already, 1 f")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the data to another user, which root alone may")
async def test_another_user_writes_nothing_there(place: Place) -> None:
    place.put(*place.receipts())
    os.chown(place.box.directory, 65_534, 65_534)
    code, _, error = await place.say("receipts", "import", str(place.stick))
    assert (code, f"{place.box.directory} is another user's" in error) == (74, True)
    assert len(waiting_in(place.box.directory)) == 3


async def test_receipts_beside_the_appliance(place: Place) -> None:
    place.put(*place.receipts())
    async with running(place) as sealing:
        assert await waiting(sealing) == 3
        code, out, error = await place.say("receipts", "import", str(place.stick))
        assert (code, out, error) == (0, "3 taken in, 0 known already\n", "")
        assert await waiting(sealing) == 0
        assert (await place.say("receipts", "import", str(place.stick)))[1] == "0 taken in, 3 known already\n"


async def waiting(sealing: Sealing) -> int:
    def count(outbox: Outbox) -> int:
        return len(outbox.waiting)

    return await sealing.of(count)


async def test_receipts_say_what_is_wrong(place: Place, tmp_path: Path) -> None:
    def said(told: tuple[int, str, str], code: int, words: str) -> bool:
        return (told[0], words in told[2]) == (code, True) or pytest.fail(f"{told}")

    command = ("receipts", "import", str(place.stick))
    assert said(await place.say(*command), 65, "holds no receipts")
    place.put(*place.receipts(appliance="0" * 32))
    assert said(await place.say(*command), 65, "is for other appliances. This one is ")
    place.put(*place.receipts(Ed25519PrivateKey.generate()))
    assert said(await place.say(*command), 65, "is believed: signed with a key that is not known")
    assert said(await place.say("receipts", "import", str(tmp_path / "no")), 65, "neither a file nor a folder")
    with sole_user(place.box.directory):
        assert said(await place.say(*command), 69, "[web] port is 0")
        place.settle(1)
        assert said(await place.say(*command), 69, "does not answer at http://127.0.0.1:1/sync/receipts")
    place.settle(key="")
    assert said(await place.say(*command), 78, "aggregator_key is not set")
    assert len(waiting_in(place.box.directory)) == 3


async def test_a_running_appliance_without_the_key_says_so(place: Place, tmp_path: Path) -> None:
    place.put(*place.receipts())
    with sole_user(place.box.directory):
        async with serving(Site(tmp_path / "site").parts(), "127.0.0.1", 0) as port:
            place.settle(port)
            code, _, error = await place.say("receipts", "import", str(place.stick))
    assert (code, "no aggregator's key is set here" in error) == (78, True)
