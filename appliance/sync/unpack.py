"""Reads a batch that arrived, and believes of it only what it has checked.

Sizes come before anything is unpacked, kinds, ranges and order of all that is in it afterwards. Nothing here knows
keys: the signature was verified before (`envelope.py`).
"""

import json
import re
import zlib
from dataclasses import fields
from itertools import chain, pairwise, repeat, starmap
from operator import add, mul, sub
from typing import Any

from appliance.model import COMMODITIES
from appliance.sync.batch import (
    FORMAT,
    LIMIT,
    MOST_BYTES,
    MOST_DETAIL_BYTES,
    MOST_KNOTS,
    MOST_METERS,
    MOST_PARTS,
    MOST_PAYLOAD_BYTES,
    MOST_POSITION,
    MOST_ROWS,
    MS_LIMIT,
    Batch,
    Happened,
    Knot,
    Meter,
    Part,
    Readings,
    Receptions,
    Restated,
    Sparse,
)
from appliance.sync.columns import read, read_runs, read_sparse
from appliance.sync.envelope import Refused

# Levels are hundredths of a dB; a sum of a quarter of an hour's is far below.
LEVELS = 1 << 40
_READINGS = {"runs", "ms", "consumption", "tamper_phy", "tamper_enc", "flags"}
_RECEPTIONS = {
    "runs", "ms", "last", "count", "corrected", "without_level", "snr_mean_cdb", "snr_rest_cdb", "snr_best_cdb",
    "frequency_min_hz", "frequency_max_hz",
}  # fmt: skip


def unpack(payload: bytes) -> Batch:
    """What a payload holds, all of it checked. Raises Refused."""
    try:
        return _batch(json.loads(unzipped(payload).decode()))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as fault:
        raise Refused("bad_content", f"{type(fault).__name__}: {fault}"[:200]) from None


def unzipped(payload: bytes) -> bytes:
    """A payload's one gzip member, unpacked within bounds. Raises Refused, ValueError."""
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise Refused("too_large", f"{len(payload)} bytes, at most {MOST_PAYLOAD_BYTES}")
    unzip = zlib.decompressobj(wbits=31)
    try:
        content = unzip.decompress(payload, MOST_BYTES)
    except zlib.error as fault:
        raise ValueError(f"not gzip: {fault}") from None
    if unzip.unconsumed_tail:
        raise Refused("too_large", f"more than {MOST_BYTES} bytes when unpacked")
    if not unzip.eof or unzip.unused_data:
        raise ValueError("not one whole gzip member")
    return content


def _batch(record: dict[str, Any]) -> Batch:
    _same({f.name for f in fields(Batch)} - {"sealed_boot"} | {"format"}, record)
    if record["format"] != FORMAT:
        raise ValueError(f"format {record['format']!r:.20}, expected {FORMAT}")
    if not re.fullmatch(r"[0-9a-f]{32}", record["appliance"]) or not re.fullmatch(
        r"([0-9a-f]{64})?", record["previous"]
    ):
        raise ValueError("appliance or previous is no such name")
    meters = _meters(record["meters"])
    if len(_list(record["parts"])) + len(_list(record["restated"])) > MOST_PARTS:
        raise ValueError("too many parts")
    parts = tuple(_part(part, len(meters)) for part in record["parts"])
    restated = tuple(Restated(_whole(boot), _clock(clock)) for boot, clock in record["restated"])
    for boots in ([p.boot for p in parts], [r.boot for r in restated]):
        if any(a >= b for a, b in pairwise(boots)):
            raise ValueError("boots out of order")
    if sum(len(p.readings.ms) + len(p.receptions.ms) + len(p.events) for p in parts) > MOST_ROWS:
        raise ValueError("too many rows")
    if type(record["simulated"]) is not bool or any(m.simulated for m in meters) > record["simulated"]:
        raise ValueError("simulated is not what its meters are")
    (sealed_boot, *sealed) = record["sealed"]
    if len(position := _list(record["position"])) > MOST_POSITION:
        raise ValueError("a position of too many numbers")
    return Batch(
        appliance=record["appliance"],
        epoch=_whole(record["epoch"], 1),
        sequence=_whole(record["sequence"], 1),
        previous=record["previous"],
        simulated=record["simulated"],
        assignments=_whole(record["assignments"]),
        sealed=_clock([sealed])[0],
        sealed_boot=_whole(sealed_boot),
        position=tuple(map(_whole, position)),
        meters=meters,
        parts=parts,
        restated=restated,
    )


def _part(record: dict[str, Any], meters: int) -> Part:
    _same({f.name for f in fields(Part)}, record)
    boot_id = record["boot_id"]
    if not isinstance(boot_id, str) or len(boot_id) > 64:
        raise ValueError(f"boot_id {boot_id!r:.40}")
    return Part(
        boot=_whole(record["boot"]),
        boot_id=boot_id,
        clock=_clock(record["clock"]),
        readings=_readings(record["readings"], meters),
        receptions=_receptions(record["receptions"], meters),
        events=tuple(_happened(event, meters) for event in _list(record["events"])),
    )


def _readings(record: dict[str, Any], meters: int) -> Readings:
    _same(_READINGS, record)
    runs, count = _runs(record["runs"], meters)
    return Readings(
        meter=_meter_of_each(runs),
        ms=_moments(record["ms"], runs),
        consumption=read_runs(record["consumption"], runs, 0, LIMIT),
        tamper_phy=read_sparse(record["tamper_phy"], count, 0, 1 << 16),
        tamper_enc=read_sparse(record["tamper_enc"], count, 0, 1 << 16),
        flags=read(record["flags"], count, 0, 2),
    )


def _receptions(record: dict[str, Any], meters: int) -> Receptions:
    _same(_RECEPTIONS, record)
    runs, count = _runs(record["runs"], meters)
    ms, heard = _moments(record["ms"], runs), read(record["count"], count, 1, LIMIT)
    levels = list(map(sub, heard, read(record["without_level"], count, 0, LIMIT)))
    if min(levels, default=0) < 0:
        raise ValueError("more messages without a level than there were")
    divisors = [max(1, n) for n in levels]
    means, rests = (read(record[f"snr_{name}_cdb"], count, -LEVELS, LEVELS) for name in ("mean", "rest"))
    if any(not 0 <= rest < divisor for rest, divisor in zip(rests, divisors, strict=True)):
        raise ValueError("a mean level that leaves more than it is the mean of")
    lowest = read_sparse(record["frequency_min_hz"], count, 0, LIMIT)
    return Receptions(
        meter=_meter_of_each(runs),
        ms=ms,
        count=heard,
        corrected=read(record["corrected"], count, 0, LIMIT),
        levels=levels,
        snr_sum_cdb=list(map(add, map(mul, means, divisors), rests)),
        snr_best_cdb=_raised(read_sparse(record["snr_best_cdb"], count, -LEVELS, LEVELS), means),
        frequency_min_hz=lowest,
        frequency_max_hz=_raised(read_sparse(record["frequency_max_hz"], count, 0, LIMIT), lowest),
        last=list(map(add, ms, read(record["last"], count, 0, MS_LIMIT))),
    )


def _runs(record: Any, meters: int) -> tuple[list[int], int]:
    """How many rows each meter has, and how many these are: bounded before they are made."""
    runs = read(record, meters, 0, MOST_ROWS)
    if (count := sum(runs)) > MOST_ROWS:
        raise ValueError(f"{count} rows, at most {MOST_ROWS}")
    return runs, count


def _meter_of_each(runs: list[int]) -> list[int]:
    return list(chain.from_iterable(repeat(meter, length) for meter, length in enumerate(runs)))


def _moments(record: Any, runs: list[int]) -> list[int]:
    """The milliseconds of rows, rising in each run."""
    _, steps = record
    if steps[0] <= 0 and sum(runs) > len(runs) - runs.count(0):
        raise ValueError("rows of a meter that do not follow each other in time")
    return read_runs(record, runs, 0, MS_LIMIT)


def _raised(column: Sparse, base: Sparse | list[int]) -> Sparse:
    return [None if value is None else value + (low or 0) for value, low in zip(column, base, strict=True)]


def _meters(record: dict[str, Any]) -> tuple[Meter, ...]:
    _same(set(Meter._fields), record)
    count = len(_list(record["protocol"]))
    if count > MOST_METERS:
        raise ValueError(f"{count} meters, at most {MOST_METERS}")
    columns = (
        record["protocol"],
        read_runs(record["meter_id"], [count], 0, LIMIT),
        read(record["endpoint_type"], count, 0, LIMIT),
        _list(record["commodity"]),
        map(bool, read(record["simulated"], count, 0, 2)),
    )
    meters = tuple(starmap(Meter, zip(*columns, strict=True)))
    for meter in meters:
        if not isinstance(meter.protocol, str) or not re.fullmatch(r"[a-z0-9+]{1,16}", meter.protocol):
            raise ValueError(f"protocol {meter.protocol!r:.40}")
        if meter.commodity not in COMMODITIES:
            raise ValueError(f"commodity {meter.commodity!r:.40}")
    if len({(meter.protocol, meter.meter_id, meter.simulated) for meter in meters}) != count:
        raise ValueError("a meter stands twice")
    return meters


def _happened(record: list[Any], meters: int) -> Happened:
    event = Happened(*_list(record))
    _whole(event.number, 1)
    _whole(event.ms, 0, MS_LIMIT)
    if not isinstance(event.kind, str) or not re.fullmatch(r"[a-z][a-z_]{0,39}", event.kind):
        raise ValueError(f"kind of event {event.kind!r:.50}")
    if event.meter is not None:
        _whole(event.meter, 0, meters)
    if not isinstance(event.detail, dict) or len(json.dumps(event.detail)) > MOST_DETAIL_BYTES:
        raise ValueError("detail of an event is no object, or too long")
    return event


def _clock(record: list[list[Any]]) -> tuple[Knot, ...]:
    if len(_list(record)) > MOST_KNOTS:
        raise ValueError(f"{len(record)} knots of a clock, at most {MOST_KNOTS}")
    clock = tuple(Knot(*_list(knot)) for knot in record)
    for knot in clock:
        _whole(knot.ms, 0, MS_LIMIT)
        _whole(knot.utc_ms, 0, MS_LIMIT)
        if knot.uncertainty_ms is not None:
            _whole(knot.uncertainty_ms)
        if not isinstance(knot.source, str) or not re.fullmatch(r"[a-z]{1,16}", knot.source):
            raise ValueError(f"source of time {knot.source!r:.20}")
    if not clock or any(a.ms >= b.ms or a.utc_ms > b.utc_ms for a, b in pairwise(clock)):
        raise ValueError("no clock, or one that goes back")
    return clock


def _list(record: Any) -> list[Any]:
    if not isinstance(record, list):
        raise TypeError(f"{record!r:.40}, expected a list")
    return record


def _same(expected: set[str], record: Any) -> None:
    if not isinstance(record, dict) or record.keys() != expected:
        names = sorted(expected.symmetric_difference(record)) if isinstance(record, dict) else ["no object"]
        raise ValueError(f"missing or not known: {', '.join(map(str, names))}")


def _whole(value: Any, low: int = 0, high: int = LIMIT) -> int:
    if type(value) is not int or not low <= value < high:
        raise ValueError(f"{value!r:.30}, expected a whole number from {low} to {high - 1}")
    return value
