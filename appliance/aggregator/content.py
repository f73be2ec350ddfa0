"""What a batch holds, into the tables: meters, boots, readings, receptions, events; and the times of rows of before.

A row is told a second time when an appliance begins a new epoch from an older backup. It is kept once, and if a
reading or an event says something else than before, that is told. What lies above the highest millisecond that was told
of its boot cannot have been told before, and goes in without asking; that is nearly all.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import Database
from appliance.aggregator.keys import lineage
from appliance.aggregator.schema import NO_METER, boot, event, meter, reading, reception
from appliance.aggregator.timing import restated_at, span_count, span_parameters, spans, times
from appliance.sync.batch import LIMIT, Batch, Happened, Knot, Meter, Part, Restated
from appliance.sync.envelope import Refused

CALENDAR = 0
CALENDAR_CLOCK = (Knot(0, 0, 0, "calendar"),)
NOT_YET = -1
# An appliance tells 64 knots of a boot at most, and 100 boots better; each span of these is a statement.
MOST_SPANS, MOST_RESTATED_SPANS = 1_000, 10_000
Rows = list[tuple[Any, ...]]
MeterKey = tuple[int, str, bool]
"""What a meter calls itself, by which protocol, and whether it was made up."""


class Counts(NamedTuple):
    """How many rows of a batch are new, by table, and how many were there already."""

    readings: int = 0
    receptions: int = 0
    events: int = 0
    told_again: int = 0


def check(batch: Batch) -> None:
    """What the tables cannot hold, though the format can say it. Raises Refused."""
    for part in batch.parts:
        if "\0" in part.boot_id or not (part.boot_id + " ").isprintable():
            raise Refused("bad_content", f"boot_id {part.boot_id!r:.40}")
        if span_count(part.clock) > MOST_SPANS:
            raise Refused("bad_content", "a clock that no machine has")
        if any(abs(total) >= LIMIT for total in part.receptions.snr_sum_cdb):
            raise Refused("bad_content", "levels whose sum is beyond all bounds")
    restated = [span_count(told.clock) for told in batch.restated]
    if max(restated, default=0) > MOST_SPANS:
        raise Refused("bad_content", "a clock that no machine has")
    if sum(restated) > MOST_RESTATED_SPANS:
        raise Refused("bad_content", "the time of more boots told better than anybody tells at once")


class Content:
    """Stores the content of one appliance's batch within the transaction of `connection`, which holds its lock.

    `otherwise` counts readings and events that are not what was told before of the same moment; what was told first
    stands.
    """

    def __init__(self, database: Database, connection: AsyncConnection, appliance_id: int, epoch: int) -> None:
        self._database = database
        self._connection = connection
        self._appliance_id = appliance_id
        self._epoch = epoch
        self._boots: list[dict[str, Any]] = []
        self.otherwise = 0

    async def store(self, batch: Batch) -> Counts:
        """Store all of it; what is told better of earlier boots comes first."""
        await self._know_boots({part.boot for part in batch.parts} | {told.boot for told in batch.restated})
        for told in batch.restated:
            await self._restate(told)
        numbers = await self._meters(batch.meters)
        counts = [0, 0, 0, 0]
        for part in batch.parts:
            counts = list(map(sum, zip(counts, await self._part(part, numbers), strict=True)))
        await self._keep_boots()
        return Counts(*counts)

    async def _meters(self, meters: Sequence[Meter]) -> list[int]:
        """The numbers of meters; those that nobody heard before get one."""
        told = {(m.meter_id, m.protocol, m.simulated): (m.endpoint_type, m.commodity) for m in meters}
        found = await self._known_meters(told)
        # In one order, so that no two workers wait for each other.
        if new := sorted(told.keys() - found.keys()):
            make = insert_postgresql(meter) if self._database.is_postgresql else insert_sqlite(meter)
            columns = ("endpoint_id", "protocol", "simulated", "endpoint_type", "commodity")
            rows = [dict(zip(columns, (*key, *told[key]), strict=True)) for key in new]
            await self._connection.execute(make.on_conflict_do_nothing(), rows)
            found = await self._known_meters(told)
        if changed := sorted((found[key][0], *what) for key, what in told.items() if found[key][1:] != what):
            change = update(meter).where(meter.c.meter_id == bindparam("number"))
            change = change.values(endpoint_type=bindparam("type"), commodity=bindparam("measures"))
            names = ("number", "type", "measures")
            await self._connection.execute(change, [dict(zip(names, row, strict=True)) for row in changed])
        return [found[key][0] for key in told]

    async def _known_meters(self, keys: Collection[MeterKey]) -> dict[MeterKey, tuple[int, int, str]]:
        """The number, type and commodity of each meter that is known."""
        if not keys:
            return {}
        question = select(meter).where(self._database.among(meter.c.endpoint_id, [key[0] for key in keys]))
        rows = await self._connection.execute(question)
        return {(e, protocol, simulated): (n, kind, what) for n, e, protocol, simulated, kind, what in rows}

    async def _know_boots(self, numbers: set[int]) -> None:
        mine = boot.c.appliance_id == self._appliance_id
        question = select(boot).where(mine, self._database.among(boot.c.number, numbers)).order_by(boot.c.boot_id)
        self._boots = [dict(row) for row in (await self._connection.execute(question)).mappings()]
        self._as_found = [dict(row) for row in self._boots]

    async def _keep_boots(self) -> None:
        """Write what is known of boots now."""
        before = {row["boot_id"]: row for row in self._as_found}
        if added := [row for row in self._boots if row["boot_id"] not in before]:
            await self._connection.execute(insert(boot), added)
        if changed := [row for row in self._boots if before.get(row["boot_id"], row) != row]:
            names = [c.name for c in boot.columns if not c.primary_key and c.name not in ("number", "kernel_id")]
            this = (boot.c.appliance_id == self._appliance_id) & (boot.c.boot_id == bindparam("this"))
            change = update(boot).where(this).values({name: bindparam(f"new_{name}") for name in names})
            values = [{"this": row["boot_id"]} | {f"new_{name}": row[name] for name in names} for row in changed]
            await self._connection.execute(change, values)

    async def _boot(self, part: Part) -> dict[str, Any]:
        """The boot of a part; one that was not heard of gets a number of its own."""
        for known in self._boots:
            if (known["number"], known["kernel_id"]) == (part.boot, part.boot_id):
                return known
        mine = boot.c.appliance_id == self._appliance_id
        last = select(boot.c.boot_id).where(mine).order_by(boot.c.boot_id.desc()).limit(1)
        highest = max([await self._connection.scalar(last) or 0, *(known["boot_id"] for known in self._boots)])
        made = {
            "appliance_id": self._appliance_id, "boot_id": highest + 1, "number": part.boot, "kernel_id": part.boot_id,
            "reading_ms": NOT_YET, "reception_ms": NOT_YET, "event_ms": NOT_YET,
            "first_at": LIMIT, "last_at": -LIMIT, "epoch": self._epoch, "clock": "",
        }  # fmt: skip
        self._boots.append(made)
        return made

    async def _part(self, part: Part, numbers: list[int]) -> Counts:
        """Store the rows of a part."""
        of = await self._boot(part)
        clock = CALENDAR_CLOCK if part.boot == CALENDAR else part.clock
        of |= {"epoch": min(of["epoch"], self._epoch), "clock": _written(clock)}
        place = (self._appliance_id, of["boot_id"])
        told, heard, events = part.readings, part.receptions, part.events
        readings: Rows = [
            (numbers[m], *when, *place, ms, *rest)
            for m, when, ms, *rest in zip(
                told.meter, times(clock, told.ms), told.ms, told.consumption, told.tamper_phy, told.tamper_enc,
                told.flags, strict=True,
            )
        ]  # fmt: skip
        receptions: Rows = [
            (numbers[m], *when, *place, ms, *rest)
            for m, when, ms, *rest in zip(
                heard.meter, times(clock, heard.ms), heard.ms, heard.last, heard.count, heard.corrected, heard.levels,
                heard.snr_sum_cdb, heard.snr_best_cdb, heard.frequency_min_hz, heard.frequency_max_hz, strict=True,
            )
        ]  # fmt: skip
        happened: Rows = [
            (_of(e, numbers), *when, *place, e.ms, e.number, e.kind, json.dumps(e.detail))
            for e, when in zip(events, times(clock, [e.ms for e in events]), strict=True)
        ]
        told_of = ((reading, readings), (reception, receptions), (event, happened))
        fresh = [await self._add(table, rows, of) for table, rows in told_of]
        ats = [row[1] for row in chain(readings, receptions, happened)]
        of |= {"first_at": min([of["first_at"], *ats]), "last_at": max([of["last_at"], *ats])}
        return Counts(fresh[0], fresh[1], fresh[2], len(ats) - sum(fresh))

    async def _add(self, table: Table, rows: Rows, of: dict[str, Any]) -> int:
        """Add the rows that are not there yet; returns how many these are."""
        if not rows:
            return 0
        highest = of[f"{table.name}_ms"]
        doubtful = [row for row in rows if row[MS] <= highest]
        if doubtful or table is event:
            there = await self._there(table, doubtful, of) if doubtful else {}
            kept: dict[tuple[int, ...], tuple[Any, ...]] = {}
            for row in rows:
                key = _told_by(table, row)
                first = there.get(key) or kept.setdefault(key, row)[MS + 1 :]
                # The quarter of an hour in which a backup was made ends twice: there, and where it is restored.
                self.otherwise += table is not reception and first != row[MS + 1 :]
            rows = [row for key, row in kept.items() if key not in there]
        await self._database.add(self._connection, table, rows)
        of[f"{table.name}_ms"] = max([highest, *(row[MS] for row in rows)])
        return len(rows)

    async def _there(self, table: Table, rows: Rows, of: dict[str, Any]) -> dict[tuple[int, ...], tuple[Any, ...]]:
        """What the rows of these moments say that are there already, by what they are told apart."""
        columns = table.c
        says = list(columns)[MS + 1 :]
        # What is in the calendar has its place by itself; elsewhere it is as wide as the boot.
        ats = [row[1] for row in rows] if of["number"] == CALENDAR else [of["first_at"], of["last_at"]]
        question = select(columns.meter_id, columns.ms, *says).where(
            columns.appliance_id == self._appliance_id,
            columns.boot_id == of["boot_id"],
            self._database.among(columns.ms, {row[MS] for row in rows}),
            columns.at.between(min(ats), max(ats)),
        )
        told = 3 if table is event else 2
        return {tuple(row[:told]): tuple(row[2:]) for row in await self._connection.execute(question)}

    async def _restate(self, told: Restated) -> None:
        """Move the rows of a boot to where its time is known to have been; each span of it by one statement."""
        mine = [known for known in self._boots if known["number"] == told.boot and told.boot != CALENDAR]
        if len(mine) > 1:
            # Each line of keys has its own boot of that number, or that of the nearest key before.
            line = await lineage(self._connection, self._appliance_id, self._epoch)
            mine = [one for epoch in line for one in reversed(mine) if one["epoch"] == epoch]
        if not mine:
            return
        of = mine[0]
        last_ms = max(of["reading_ms"], of["reception_ms"], of["event_ms"])
        changes = [span_parameters(span) for span in spans(told.clock) if span.from_ms <= last_ms]
        window = {"first_at": of["first_at"], "last_at": of["last_at"], "this": of["boot_id"], "of": self._appliance_id}
        for table in (reading, reception, event):
            if of[f"{table.name}_ms"] == NOT_YET or not changes:
                continue
            await self._connection.execute(_MOVE[table.name], [window | change for change in changes])
        (first_at, _, _), (last_at, _, _) = times(told.clock, [0, max(last_ms, 0)])
        of |= {"clock": _written(told.clock), "first_at": first_at, "last_at": last_at}


MS = 6


def _move(table: Table) -> Any:
    """The statement that moves the rows of a span of a boot."""
    columns = table.c
    return (
        update(table)
        .where(
            columns.appliance_id == bindparam("of"),
            columns.boot_id == bindparam("this"),
            columns.ms >= bindparam("low_ms"),
            columns.ms < bindparam("high_ms"),
            columns.at.between(bindparam("first_at"), bindparam("last_at")),
        )
        .values(
            at=restated_at(columns.ms),
            uncertainty_ms=bindparam("new_uncertainty_ms"),
            source=bindparam("new_source"),
        )
    )


_MOVE = {table.name: _move(table) for table in (reading, reception, event)}


def _of(happened: Happened, numbers: list[int]) -> int:
    return NO_METER if happened.meter is None else numbers[happened.meter]


def _told_by(table: Table, row: tuple[Any, ...]) -> tuple[int, ...]:
    return (row[0], row[MS], row[MS + 1]) if table is event else (row[0], row[MS])


def _written(clock: Iterable[Knot]) -> str:
    return json.dumps(list(clock), separators=(",", ":"))
