"""Keeps the data directory within its budget: what was set aside goes first, then the oldest history.

History is first thinned to a reading per meter and day, all of it, the oldest segment first; then the oldest segment
is unlinked, but never the newest, which knows the last reading of every meter. Each is told by an event; events stay
in the catalogue. On a card so full that not even the catalogue can be written to, the oldest segment is unlinked
before that is noted.

What a restore replaced is a person's to delete: it counts against no budget, and goes only when the card is so full
that history would have to.
"""

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from appliance import zones
from appliance.store import files, segments
from appliance.store.backup.names import REPLACED
from appliance.store.history import Usage
from appliance.store.rows import DAYS, EventKind, SegmentRow
from appliance.store.schema import (
    CAPTURES,
    CATALOGUE,
    CATALOGUE_CHECKPOINT_PAGES,
    HANDOVER,
    HISTORY,
    LIVE,
    LIVE_CHECKPOINT_PAGES,
    LIVE_PAGE_BYTES,
)
from appliance.store.writer import Store

log = logging.getLogger(__name__)

# With less than this not even the databases can be written to: their logs grow to a megabyte each.
LEAST_FREE_BYTES = 1024 * 1024
# What is left to others on the same file system: a twentieth, at most 256 MB.
RESERVE_SHARE, RESERVE_BYTES = 20, 256 * 1024 * 1024

# What the logs of both databases grow to before they are carried over, with the 24 bytes that each page has there.
LOG_BYTES = LIVE_CHECKPOINT_PAGES * (LIVE_PAGE_BYTES + 24) + CATALOGUE_CHECKPOINT_PAGES * (4096 + 24)

# How short of room the card is once no history is left that may go: over what the data may have, and far over it.
PLENTY, SCARCE, DIRE = range(3)
FAR_OVER = 1.1

# Why there is too little room though nothing is left that may go.
FULL, OVER = "the card is full of other files", "the data needs more than its budget"

Enter = Callable[[SegmentRow | None, Sequence[SegmentRow]], Awaitable[None]]


async def stay_within(
    store: Store, budget_bytes: int | None, enter: Enter, is_intact: Callable[[SegmentRow], Awaitable[bool]]
) -> str:
    """Thin and drop until the directory is within its budget, or nothing is left to go.

    Returns why there is too little room all the same, `FULL` or `OVER`, or an empty text. Raises as `Upkeep.tend`.
    """
    while True:
        usage = store.history.usage = await asyncio.to_thread(measure, store.directory, budget_bytes)
        if not is_over(store.directory, usage):
            return _short(store, DIRE, FULL) if is_full(store.directory) else ""
        if usage.damaged_files:
            await asyncio.to_thread(remove_oldest_aside, store.directory)
        elif (old := replaced(store.directory)) and is_over(store.directory, measure(store.directory, None)):
            await asyncio.to_thread(shutil.rmtree, old[0])
            store.record("replaced_removed", {"folder": old[0].name})
        elif whole := next((row for row in store.segments if row.rank != DAYS), None):
            if await is_intact(whole):
                await _thin(store, whole, enter)
        elif len(store.segments) > 1:
            await _replace(store, store.segments[0], None, enter)
        else:
            is_far_over = usage.used > FAR_OVER * usage.budget or usage.free < reserve(store.directory) // 2
            words = FULL if is_over(store.directory, measure(store.directory, None)) else OVER
            return _short(store, DIRE if is_far_over else SCARCE, words)


def _short(store: Store, scarcity: int, words: str) -> str:
    store.history.usage = replace(store.history.usage, scarcity=scarcity)
    return words


async def _thin(store: Store, row: SegmentRow, enter: Enter) -> None:
    number = files.next_number(store.directory, store.segments)
    timeline = store.clock.timeline
    try:
        made = await asyncio.to_thread(
            segments.thin, store.directory, number, row, lambda at: local_day(timeline.utc_ms(at)).toordinal()
        )
    except (sqlite3.Error, OSError):
        if not is_full(store.directory):
            raise
        # Not even room for the few rows that would stay: the whole has to go.
        await _replace(store, row, None, enter)
        return
    await _replace(store, row, made, enter)


async def _replace(store: Store, row: SegmentRow, thinned: SegmentRow | None, enter: Enter) -> None:
    """Have `thinned`, or nothing, take the place of a segment; the event that tells is on the card first, if it can."""
    kind: EventKind = "history_thinned" if thinned else "history_dropped"
    is_writable = not await store.commit()
    if is_writable:
        _tell(store, kind, row)
        await store.commit()
    try:
        await enter(thinned, [row])
    except (sqlite3.Error, OSError):
        if thinned or not is_full(store.directory):
            raise
        await asyncio.to_thread(files.remove, store.directory, row.number)
        await enter(None, [row])
    if not is_writable:
        _tell(store, kind, row)


def _tell(store: Store, kind: EventKind, row: SegmentRow) -> None:
    span = {"from_utc_ms": store.clock.utc_ms(row.from_at), "to_utc_ms": store.clock.utc_ms(row.to_at)}
    store.record(kind, {"segment": row.number, "readings": row.readings, "receptions": row.receptions} | span)


def measure(directory: Path, budget_bytes: int | None) -> Usage:
    """The bytes of the data directory, and what it may have: those and what is free, less a reserve for others."""
    # Captures have a budget of their own; what is being restored is to cost no history before it takes its place.
    used, apart = 0, [*replaced(directory), directory / CAPTURES, directory / HANDOVER]
    for path in directory.rglob("*"):
        # Files come and go meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not any(path.is_relative_to(folder) for folder in apart):
                used += path.lstat().st_size
    space, kept_free = shutil.disk_usage(directory), reserve(directory)
    # As much is left to the history, too: others that fill the card do not get all of it.
    most = max(kept_free, used + _growth(directory) + space.free - kept_free)
    damaged = len({number for number, path in files.aside(directory)})
    return Usage(used, most if budget_bytes is None else min(most, budget_bytes), space.free, damaged)


def reserve(directory: Path) -> int:
    """What is left to others: with less free than this history goes."""
    return min(shutil.disk_usage(directory).total // RESERVE_SHARE, RESERVE_BYTES)


def is_over(directory: Path, usage: Usage) -> bool:
    """Whether something has to go."""
    return usage.used + _growth(directory) > usage.budget


def _growth(directory: Path) -> int:
    """By how much the logs may grow yet: no history has to go only because they do."""
    logs = 0
    for name in (CATALOGUE, LIVE):
        with contextlib.suppress(FileNotFoundError):
            logs += (directory / f"{name}-wal").stat().st_size
    return max(0, LOG_BYTES - logs)


def is_full(directory: Path) -> bool:
    """Whether what goes wrong does so because the card is full. Raises OSError."""
    return shutil.disk_usage(directory).free < LEAST_FREE_BYTES


def replaced(directory: Path) -> list[Path]:
    """What restores took the place of, the oldest first."""
    return sorted(path for path in directory.glob(f"{REPLACED}*") if path.is_dir() and not path.is_symlink())


def remove_oldest_aside(directory: Path) -> None:
    """Delete what was set aside first, with what belongs to it. Raises OSError."""
    aside = files.aside(directory)
    for number, path in aside:
        if number == aside[0][0]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def make_room(directory: Path, budget_bytes: int | None) -> None:
    """On a card too full for the databases to be opened: unlink what is oldest, if that is over the budget."""
    usage = measure(directory, budget_bytes)
    if not is_over(directory, usage):
        return
    if usage.damaged_files:
        remove_oldest_aside(directory)
        return
    if old := replaced(directory):
        log.error("store=%s card full, removed %s", directory, old[0].name)
        shutil.rmtree(old[0])
        return
    found = []
    for path in (directory / HISTORY).glob("[0-9]*.db"):
        with contextlib.suppress(sqlite3.Error):
            found.append(segments.describe(path, ""))
    if len(found) > 1:
        oldest = min(found, key=lambda row: row.from_at)
        log.error("store=%s card full, history dropped segment=%d", directory, oldest.number)
        files.remove(directory, oldest.number)


def local_day(utc_ms: int) -> date:
    """The day of an instant where the appliance stands."""
    return datetime.fromtimestamp(utc_ms / 1000, zones.here()).date()
