"""A short campaign of `benchmarks.conservation`, and that its check finds what it is there to find."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text

from appliance.aggregator.database import FILE, Database
from benchmarks.conservation import campaign
from benchmarks.conservation.campaign import QUICK
from benchmarks.conservation.check import Heard, Lost, check

ONE = "WHERE (meter_id, at) = (SELECT meter_id, at FROM reading ORDER BY meter_id, at LIMIT 1)"
SPOILED = {
    "1 missing": f"DELETE FROM reading {ONE}",
    "1 missing .* 1 invented": f"UPDATE reading SET consumption = consumption + 1 {ONE}",
    "1 invented .*, 0 twice": "INSERT INTO reading SELECT meter_id, at + 1, uncertainty_ms, source, appliance_id, "
    f"boot_id, ms + 1, consumption, tamper_phy, tamper_enc, flags FROM reading {ONE}",
    "0 missing .*, 1 twice": "INSERT INTO reading SELECT meter_id, at + 1, uncertainty_ms, source, appliance_id, "
    f"boot_id, ms, consumption, tamper_phy, tamper_enc, flags FROM reading {ONE}",
    "never said": f"UPDATE reading SET at = at - 600000 {ONE}",
    "is off by": f"UPDATE reading SET at = at + 20000 {ONE}",
    "1 receipts are for what is not stored": "UPDATE batch SET sha256 = 'x' WHERE sequence = 2 AND appliance_id = 1",
}


async def spoiled(database: Database, statement: str, folder: Path) -> Database:
    """A copy of a database, and what became of it."""
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(str(database.engine.url.database))) as connection:
        connection.execute(f"VACUUM INTO '{folder / FILE}'")
    copy = Database(folder)
    async with copy.writing() as connection:
        assert (await connection.execute(text(statement))).rowcount == 1
    return copy


def test_nothing_is_lost_and_nothing_invented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: list[int] = []

    async def check_and_spoil(database: Database, key: Ed25519PublicKey, boxes: Sequence[Heard]) -> int:
        found.append(await check(database, key, boxes))
        for n, (words, statement) in enumerate(SPOILED.items()):
            copy = await spoiled(database, statement, tmp_path / str(n))
            try:
                with pytest.raises(Lost, match=words):
                    await check(copy, key, boxes)
            finally:
                await copy.close()
        further = [life._replace(kept=life.kept + 60) for life in boxes[0].lives[-1:]]
        with pytest.raises(Lost, match="20 acknowledged readings are gone"):
            await check(database, key, [boxes[0]._replace(lives=further), *boxes[1:]])
        return found[0]

    monkeypatch.setattr(campaign, "check", check_and_spoil)
    tally = QUICK.run(seed=3)
    assert tally.faults >= QUICK.faults
    assert tally.readings == found[0] >= QUICK.appliances * QUICK.readings
