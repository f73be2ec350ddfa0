"""What was heard is in the batches, once, whatever happened to the store or the card meanwhile."""

import hashlib
import shutil
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.clock import Clock, KernelTime
from appliance.store.writer import Store
from appliance.sync import outbox as module
from appliance.sync.batch import Batch
from appliance.sync.envelope import RECEIPT, Refused, key_id, read, seal
from appliance.sync.identity import open_identity
from appliance.sync.outbox import Outbox
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.unpack import unpack
from appliance.timeline import stamp
from tests.store.box import START, Box, ask

CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(CENTRE.public_key()): CENTRE.public_key()}
Rows = list[tuple[Any, ...]]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An appliance with an empty data directory."""
    return Box(tmp_path / "data")


def opened_outbox(box: Box) -> Outbox:
    outbox = Outbox(box.directory, open_identity(box.directory))
    outbox.open()
    return outbox


async def sealed(outbox: Outbox, store: Store) -> int:
    assert await store.commit() == ""
    return outbox.seal(store.history, store.clock.timeline, store.clock.now())


def batches(box: Box) -> list[Batch]:
    """All that lie in the outbox, each following the one before."""
    found, before = [], ""
    for path in sorted((box.directory / "outbox").glob("*.batch")):
        payload = read(path.read_bytes()).payload
        batch = unpack(payload)
        assert batch.previous == before or batch.sequence != len(found) + 1
        before = hashlib.sha256(payload).hexdigest()
        found.append(batch)
    return found


def told(found: list[Batch], box: Box) -> tuple[Rows, Rows]:
    """The readings and receptions of batches as the store has them."""
    known = {(p, i, bool(s)): number for number, p, i, s in box.meters()}
    readings: Rows = []
    receptions: Rows = []
    for batch in found:
        numbers = [known[m.protocol, m.meter_id, m.simulated] for m in batch.meters]
        for part in batch.parts:
            for meter, ms, *more in columns(part.readings):
                readings.append((numbers[meter], stamp(part.boot, ms), *more))
            for meter, ms, count, corrected, levels, snr_sum, _, _, _, last in columns(part.receptions):
                row = (numbers[meter], stamp(part.boot, ms), count, corrected, levels, snr_sum, stamp(part.boot, last))
                receptions.append(row)
    return sorted(readings), sorted(receptions)


def columns(rows: Any) -> Iterator[tuple[Any, ...]]:
    return zip(*(getattr(rows, name) for name in rows.__slots__), strict=True)


def receipt(box: Box, name: module.Name, **changed: object) -> bytes:
    payload = read((box.directory / "outbox" / name.file).read_bytes()).payload
    values: dict[str, Any] = {
        "appliance": unpack(payload).appliance, "epoch": name.epoch, "sequence": name.sequence,
        "batch": hashlib.sha256(payload).hexdigest(), "stored_utc_ms": 1_774_000_000_000,
    }  # fmt: skip
    return seal(RECEIPT, pack_receipt(Receipt(**values | changed)), CENTRE)


async def test_all_that_was_heard_is_told_once(box: Box) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        for _ in range(6):
            box.hear(store, 17)
            await sealed(outbox, store)
        assert await sealed(outbox, store) == 0
        found = batches(box)
        everything = box.everything()
    assert told(found, box) == (everything["reading"], everything["reception"])
    assert [b.sequence for b in found] == list(range(1, len(found) + 1))
    assert not any(b.simulated for b in found)
    events = [event for b in found for part in b.parts for event in part.events]
    assert [(e.number, e.kind) for e in events] == ask(
        box.directory / "catalogue.db", "SELECT number, kind FROM event WHERE number <= ? ORDER BY number", len(events)
    )
    assert {e.kind for e in events} >= {"boot", "tamper"}


async def test_times_are_those_of_the_store(box: Box) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        store.clock.poll()
        box.hear(store, 40)
        await sealed(outbox, store)
        utc_ms = store.clock.utc_ms
        for batch in batches(box):
            assert batch.sealed.utc_ms == round(START.timestamp() * 1000) + box.now_s * 1000
            for part in batch.parts:
                for knot in part.clock:
                    assert (knot.utc_ms, knot.source) == (utc_ms(stamp(part.boot, knot.ms)), "ntp")


async def test_history_may_be_sealed_meanwhile(box: Box) -> None:
    async with box.store() as store:
        outbox, keeper = opened_outbox(box), box.upkeep(store)
        for n in range(6):
            box.hear(store, 30)
            await sealed(outbox, store)
            if n % 2:
                await keeper._seal()
        found, everything = batches(box), box.everything()
    assert told(found, box) == (everything["reading"], everything["reception"])


async def test_what_was_sealed_untold_is_told_from_its_segment(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 97)
    async with box.store() as store:
        outbox, keeper = opened_outbox(box), box.upkeep(store)
        for _ in range(3):
            box.hear(store, 60)
            assert await store.commit() == ""
            await keeper._seal()
        await keeper._join()
        box.hear(store, 30)
        await sealed(outbox, store)
        found, everything = batches(box), box.everything()
    assert told(found, box) == (everything["reading"], everything["reception"])
    assert (
        len([e for b in found for part in b.parts for e in part.events])
        == len(ask(box.directory / "catalogue.db", "SELECT 1 FROM event WHERE kind <> 'boot'")) + 1
    )


async def test_it_goes_on_where_it_was(box: Box) -> None:
    for _ in range(4):
        async with box.store() as store:
            box.hear(store, 20)
            await sealed(opened_outbox(box), store)
        box.restart()
    found, everything = batches(box), box.everything()
    assert told(found, box)[0] == everything["reading"]
    assert {part.boot: part.boot_id for b in found for part in b.parts} == {n: f"boot {n}" for n in (1, 2, 3, 4)}


async def test_a_receipt_takes_its_batch_away(box: Box) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        for _ in range(3):
            box.hear(store, 16)
            await sealed(outbox, store)
        names = list(outbox.waiting)
        lines = [receipt(box, name) for name in names]
        assert outbox.accept(lines[1:], KEYS) == [True, True]
        assert [path.name for path in sorted((box.directory / "outbox").glob("*.batch"))] == [
            names[0].file, names[2].file,
        ]  # fmt: skip
        # The newest stays, for the next one continues from it; then it goes.
        assert list(outbox.waiting) == [names[0]]
        again = opened_outbox(box)
        assert list(again.waiting) == [names[0]]
        box.hear(store, 16)
        await sealed(again, store)
        assert [b.sequence for b in batches(box)] == [1, 4]
        # A receipt that comes twice changes nothing.
        assert again.accept([lines[1]], KEYS) == [False]


async def test_a_receipt_that_is_not_right(box: Box) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        box.hear(store, 16)
        await sealed(outbox, store)
        (name,) = outbox.waiting
        wrong = [
            (receipt(box, name, batch="0" * 64), "not_its_own"),
            (receipt(box, name, appliance="0" * 32), "not_its_own"),
            (receipt(box, name, epoch="1"), "bad_content"),
            (receipt(box, name, sequence=True), "bad_content"),
            (receipt(box, name, batch="x"), "bad_content"),
            (outbox.line(name), "wrong_type"),
            (seal(RECEIPT, b"[" * 10_000, CENTRE), "bad_content"),
            (seal(RECEIPT, read(receipt(box, name)).payload, Ed25519PrivateKey.generate()), "unknown_key"),
            (b"", "malformed"),
        ]
        told = outbox.accept([line for line, _ in wrong], KEYS)
        assert [one.reason for one in told if isinstance(one, Refused)] == [reason for _, reason in wrong]
        assert list(outbox.waiting) == [name]
        assert (box.directory / "outbox" / name.file).exists()


async def test_a_torn_receipt_is_none(box: Box) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        for _ in range(2):
            box.hear(store, 16)
            await sealed(outbox, store)
        first, second = outbox.waiting
        lines = [receipt(box, name) for name in (first, second)]
        (box.directory / "outbox" / "receipts.jsonl").write_bytes(b"\n" + lines[0][:-7])
        outbox = opened_outbox(box)
        assert list(outbox.waiting) == [first, second]
        assert outbox.accept([lines[1], lines[1]], KEYS) == [True, False]
        assert list(opened_outbox(box).waiting) == [first]


async def test_receipts_find_room_where_there_is_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        for _ in range(2):
            box.hear(store, 16)
            await sealed(outbox, store)
        spare = box.directory / "outbox" / ".spare"
        assert spare.stat().st_size == module.SPARE_BYTES
        first = next(iter(outbox.waiting))
        opened = Path.open

        def full(path: Path, mode: str = "r", *more: Any) -> Any:
            if mode == "ab" and spare.exists():
                raise OSError(ENOSPC, "No space left on device", str(path))
            return opened(path, mode, *more)

        monkeypatch.setattr(Path, "open", full)
        assert outbox.accept([receipt(box, first)], KEYS) == [True]
        assert not (box.directory / "outbox" / first.file).exists()
        # The file that went has made room for it again.
        assert spare.exists()


@pytest.mark.parametrize("place", [0, 100, -2])
async def test_a_damaged_tip_begins_a_new_epoch(box: Box, place: int) -> None:
    async with box.store() as store:
        outbox = opened_outbox(box)
        for _ in range(3):
            box.hear(store, 16)
            await sealed(outbox, store)
        newest = box.directory / "outbox" / list(outbox.waiting)[-1].file
        content = bytearray(newest.read_bytes())
        content[place] ^= 1
        newest.write_bytes(content)
        outbox = opened_outbox(box)
        assert outbox.identity.epoch == 2
        box.hear(store, 16)
        await sealed(outbox, store)
        found, everything = batches(box), box.everything()
    assert [(b.epoch, b.sequence) for b in found] == [(1, 1), (1, 2), (2, 1)]
    assert told(found, box) == (everything["reading"], everything["reception"])
    assert list((box.directory / "damaged").iterdir())


async def test_a_live_database_that_is_gone(box: Box) -> None:
    """Its ids begin again, and what was told already is not missed."""
    async with box.store() as store:
        outbox = opened_outbox(box)
        box.hear(store, 50)
        await sealed(outbox, store)
        before = box.everything()
    for path in box.directory.glob("history/live.db*"):
        path.unlink()
    async with box.store() as store:
        outbox = opened_outbox(box)
        box.hear(store, 20)
        await sealed(outbox, store)
        box.hear(store, 20)
        await sealed(outbox, store)
        found, after = batches(box), box.everything()
    assert set(told(found, box)[0]) == set(before["reading"] + after["reading"])


async def test_time_that_is_known_later_is_told_again(box: Box) -> None:
    def clock() -> Clock:
        return Clock(
            boottime_ms=lambda: box.now_s * 1000,
            realtime_ms=lambda: box.now_s * 1000,
            boot_id="one",
            kernel=lambda: KernelTime(synchronized=False, uncertainty_ms=0),
        )

    store = Store(box.directory, 60, clock())
    try:
        await store.open()
        outbox = opened_outbox(box)
        box.hear(store, 16)
        await sealed(outbox, store)
        assert store.clock.offer("receipt", round(START.timestamp() * 1000) + box.now_s * 1000, 500)
        box.hear(store, 16)
        await sealed(outbox, store)
        first, second = batches(box)
    finally:
        await store.close()
    assert {knot.source for knot in first.parts[0].clock} == {"estimate"}
    (restated,) = second.restated
    assert restated.boot == 1
    assert restated.clock[0].utc_ms == round(START.timestamp() * 1000)
    assert {knot.source for knot in restated.clock} == {"receipt"}


def copies(box: Box, to: Path) -> Box:
    shutil.copytree(box.directory, to)
    return box.at(to)


async def test_cut_short_at_each_step(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file is the last that has its name: all is told, and nothing twice."""
    async with box.store() as store:
        box.hear(store, 16)
        await sealed(opened_outbox(box), store)
        box.hear(store, 30)
        assert await store.commit() == ""
    rename, left = Path.rename, 0

    class PowerCut(BaseException):
        pass

    def cut(path: Path, to: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise PowerCut
        return rename(path, to)

    monkeypatch.setattr(module, "MOST_ROWS", 100)
    for steps in range(8):
        here = copies(box, tmp_path / f"cut after {steps}")
        async with here.store() as store:
            outbox = opened_outbox(here)
            with monkeypatch.context() as patched:
                left = steps
                patched.setattr(Path, "rename", cut)
                try:
                    outbox.seal(store.history, store.clock.timeline, store.clock.now())
                    done = True
                except PowerCut:
                    done = False
            await sealed(opened_outbox(here), store)
            found, everything = batches(here), here.everything()
        assert told(found, here) == (everything["reading"], everything["reception"])
    assert done
