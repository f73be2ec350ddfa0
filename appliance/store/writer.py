"""Carries the ledger to the card: one writer, one transaction for all that gathered.

A commit is due when the oldest pending row has waited for the commit interval, when many wait, or at once when
a tamper counter changed. What cannot be written goes back into the ledger and is tried again, so that a full or
read-only card costs nothing once it can be written to again.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite

from appliance.model import Message
from appliance.store import history
from appliance.store.database import FILE_NAME, in_words, open_reader, open_writer
from appliance.store.ledger import Batch, Ledger, Meter, Reception, unix_ms

log = logging.getLogger(__name__)

# With so many rows waiting a commit is due whatever the time.
MANY_ROWS = 5_000

_METER = """
INSERT INTO meter (protocol, meter_id, simulated, endpoint_type, commodity, first_heard_ms, quarter_s,
                   tamper_changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meter_id, protocol, simulated) DO UPDATE SET
    endpoint_type = excluded.endpoint_type, commodity = excluded.commodity, quarter_s = excluded.quarter_s,
    first_heard_ms = min(first_heard_ms, excluded.first_heard_ms),
    tamper_changed_ms = coalesce(excluded.tamper_changed_ms, tamper_changed_ms)
"""

# A meter that left the ledger, or that was heard before the card could be read, may repeat its last row.
_READING = """
INSERT INTO reading (meter, time_ms, consumption, tamper_phy, tamper_enc)
SELECT key, :time_ms, :consumption, :tamper_phy, :tamper_enc FROM meter
WHERE protocol = :protocol AND meter_id = :meter_id AND simulated = :simulated AND NOT EXISTS (
    SELECT 1 FROM reading WHERE key = (
        SELECT key FROM reading WHERE meter = meter.key ORDER BY time_ms DESC, key DESC LIMIT 1)
    AND consumption = :consumption AND tamper_phy IS :tamper_phy AND tamper_enc IS :tamper_enc)
"""

_RECEPTION = """
INSERT INTO reception
SELECT :start_s, key, :count, :corrected, :levels, :snr_sum_cdb, :snr_best_cdb, :frequency_min_hz,
       :frequency_max_hz, :last_ms
FROM meter WHERE protocol = :protocol AND meter_id = :meter_id AND simulated = :simulated
ON CONFLICT (start_s, meter) DO UPDATE SET
    count = count + excluded.count,
    corrected = corrected + excluded.corrected,
    levels = levels + excluded.levels,
    snr_sum_cdb = snr_sum_cdb + excluded.snr_sum_cdb,
    snr_best_cdb = max(coalesce(snr_best_cdb, excluded.snr_best_cdb), coalesce(excluded.snr_best_cdb, snr_best_cdb)),
    frequency_min_hz = min(coalesce(frequency_min_hz, excluded.frequency_min_hz),
                           coalesce(excluded.frequency_min_hz, frequency_min_hz)),
    frequency_max_hz = max(coalesce(frequency_max_hz, excluded.frequency_max_hz),
                           coalesce(excluded.frequency_max_hz, frequency_max_hz)),
    last_ms = max(last_ms, excluded.last_ms)
"""


class Store:
    """The readings in `directory`. `open` it, `run` it under the supervisor, `close` it."""

    def __init__(
        self, directory: Path, commit_interval_s: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._directory = directory
        self._commit_interval_s = commit_interval_s
        self._now = now
        self._writer: aiosqlite.Connection | None = None
        self._restored = False
        self._file: tuple[int, int] | None = None
        self._wake = asyncio.Event()
        self._due = asyncio.Event()
        self.ledger = Ledger()
        self.saved_at: datetime | None = None

    def hear(self, message: Message, simulated: bool) -> None:
        """Take a message; it is on the card within the commit interval."""
        self.ledger.hear(message, simulated)
        self._wake.set()
        if self.ledger.urgent or self.ledger.pending >= MANY_ROWS:
            self._due.set()

    async def open(self) -> None:
        """Take up what the card knows, if it can be read; raises StoreTooNew."""
        try:
            await self._connected()
        except sqlite3.Error as fault:
            log.warning("store=%s not usable yet: %s", self._directory, in_words(fault))
            await self._disconnect()

    async def run(self, report: Callable[[str], None]) -> None:
        """Commit whenever it is due, for ever."""
        trouble = "" if self._writer else "the database cannot be opened"
        report(trouble)
        while True:
            if not trouble:
                await self._wake.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._commit_interval_s):
                    await self._due.wait()
            trouble = await self.commit()
            report(trouble)
            if trouble and self._due.is_set():
                # What is urgent stays so, but a card that refuses is not asked without a pause.
                await asyncio.sleep(min(1.0, self._commit_interval_s))

    async def commit(self) -> str:
        """Write all that is pending; returns why it could not, or an empty text. Once begun it is not cut short."""
        writing = asyncio.create_task(self._commit())
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    async def _commit(self) -> str:
        self._wake.clear()
        self._due.clear()
        batch = Batch()
        try:
            writer = await self._connected()
            batch = self.ledger.take()
            if batch:
                await _write(writer, batch)
                self.saved_at = self._now()
        except sqlite3.Error as fault:
            self.ledger.put_back(batch)
            await self._disconnect()
            return in_words(fault)
        return ""

    async def close(self) -> None:
        """Write what is pending and let go of the file."""
        if trouble := await self.commit():
            log.error("store=%s lost=%d readings not saved: %s", self._directory, self.ledger.pending_readings, trouble)
        await self._disconnect()

    async def _connected(self) -> aiosqlite.Connection:
        if self._writer is not None and self._file != self._found():
            # SQLite goes on writing to a file that was moved or deleted, and says nothing.
            log.warning("store=%s file gone or exchanged, opening it anew", self._directory)
            await self._disconnect()
        if self._writer is None:
            self._writer = await open_writer(self._directory)
            file, self._file = self._file, self._found()
            if file not in (None, self._file):
                self.ledger.write_again()
        if not self._restored:
            async with open_reader(self._directory) as reader:
                self.ledger.restore(await history.meters(reader, self._now()))
            self._restored = True
        return self._writer

    def _found(self) -> tuple[int, int] | None:
        """What tells the database file from another of its name; None if there is none."""
        try:
            about = (self._directory / FILE_NAME).stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino

    async def _disconnect(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with contextlib.suppress(sqlite3.Error):
                await writer.close()


async def _write(writer: aiosqlite.Connection, batch: Batch) -> None:
    await writer.execute("BEGIN IMMEDIATE")
    try:
        await writer.executemany(_METER, [_meter_row(meter) for meter in batch.meters.values()])
        await writer.executemany(_READING, [r._asdict() | r.meter._asdict() for r in batch.readings])
        receptions = batch.receptions.values()
        await writer.executemany(_RECEPTION, [_plain(r) | r.meter._asdict() for r in receptions])
        await writer.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            await writer.execute("ROLLBACK")
        raise


def _meter_row(meter: Meter) -> tuple[object, ...]:
    tamper_ms = meter.tamper_changed and unix_ms(meter.tamper_changed)
    first_ms = unix_ms(meter.first_heard)
    return (*meter.key, meter.endpoint_type, meter.commodity, first_ms, max(meter.quarters, default=0), tamper_ms)


def _plain(reception: Reception) -> dict[str, object]:
    return {name: getattr(reception, name) for name in reception.__slots__}
