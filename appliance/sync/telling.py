"""Rows of the store in the words of a batch: by boots, each with what is known of its time."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from appliance.store.outgoing import Outgoing, Row
from appliance.sync.batch import NO_READINGS, NO_RECEPTIONS, Happened, Knot, Meter, Part, Readings, Receptions
from appliance.timeline import Timeline, boot_of, ms_of, stamp

ENOUGH_KNOTS = 64


def meters_of(rows: Outgoing) -> tuple[tuple[Meter, ...], dict[int, int]]:
    """The meters of a batch, sorted so that their IDs compress; and the place of each by its number in the store."""
    order = sorted(rows.meters, key=lambda number: rows.meters[number].key)
    known = (rows.meters[number] for number in order)
    meters = tuple(Meter(m.key.protocol, m.key.meter_id, m.endpoint_type, m.commodity, m.key.simulated) for m in known)
    return meters, {number: place for place, number in enumerate(order)}


def parts_of(rows: Outgoing, place: dict[int, int], timeline: Timeline) -> list[Part]:
    """The rows by boots."""
    parts = []
    for boot in sorted({boot_of(at) for at in stamps_of(rows)}):
        readings = [_placed(row, place) for row in rows.readings if boot_of(row[1]) == boot]
        receptions = [_placed(row, place) for row in rows.receptions if boot_of(row[1]) == boot]
        receptions = [(*row[:-1], ms_of(row[-1])) for row in receptions]
        events = tuple(
            Happened(number, ms_of(at), kind, None if meter is None else place[meter], detail)
            for number, at, kind, meter, detail in rows.events
            if boot_of(at) == boot
        )
        moments = [row[1] for row in (*readings, *receptions, *events)]
        moments += [row[-1] for row in receptions]
        parts.append(
            Part(
                boot,
                rows.boot_ids.get(boot, ""),
                knots(timeline, boot, min(moments), max(moments)),
                Readings(*_columns(readings)) if readings else NO_READINGS,
                Receptions(*_columns(receptions)) if receptions else NO_RECEPTIONS,
                events,
            )
        )
    return parts


def _placed(row: Row, place: dict[int, int]) -> Row:
    """A row with its meter's place in the batch, and its millisecond in the boot."""
    return place[row[0]], ms_of(row[1]), *row[2:]


def stamps_of(rows: Outgoing) -> Iterator[int]:
    """When each row was."""
    yield from (row[1] for row in rows.readings)
    yield from (row[1] for row in rows.receptions)
    yield from (row[1] for row in rows.events)


def knots(timeline: Timeline, boot: int, first_ms: int, last_ms: int) -> tuple[Knot, ...]:
    """The time of a boot from one millisecond to another, with as many knots as it takes to be true to 2 ms."""
    ends = [_knot(timeline, boot, ms) for ms in sorted({first_ms, last_ms})]
    if len(ends) == 1:
        return tuple(ends)
    known, open_spans = [ends[0]], [(ends[0], ends[1])]
    while open_spans:
        low, high = open_spans.pop()
        middle = _knot(timeline, boot, (low.ms + high.ms) // 2)
        even_ms = low.utc_ms + (middle.ms - low.ms) * (high.utc_ms - low.utc_ms) // (high.ms - low.ms)
        bends = abs(even_ms - middle.utc_ms) > 1 and middle.ms > low.ms
        if bends and len(known) + len(open_spans) < ENOUGH_KNOTS:
            open_spans += [(middle, high), (low, middle)]
        else:
            known.append(high)
    return tuple(known)


def _knot(timeline: Timeline, boot: int, ms: int) -> Knot:
    moment = timeline.moment(stamp(boot, ms))
    return Knot(ms, moment.utc_ms, moment.uncertainty_ms, moment.source)


def _columns(rows: Sequence[Row]) -> Iterator[list[Any]]:
    """The columns of rows, these in the order of meter and time."""
    ordered = sorted(rows, key=itemgetter(0, 1))
    return map(list, zip(*ordered, strict=True))
