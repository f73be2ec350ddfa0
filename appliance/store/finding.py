"""Which of the meters heard is the one that somebody stands before: by its dial, by a load, or by IDs near by.

- By its dial: what it shows is the register times a multiplier that there is (`multiplier.py`).
- By a load that is switched on: the register that moved most in the last minutes, against what it usually does. A meter
  brings its register up to date about every five minutes, so a load has to be on for ten.
- By ID: a meter may own two or three consecutive IDs, and meters of one delivery hang in one street.
"""

import json
import math
from collections.abc import Container, Iterable, Mapping
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from appliance.model import COMMODITIES, Commodity
from appliance.store import catalogue
from appliance.store.dials import register_modulus
from appliance.store.history import History, View
from appliance.store.last_day import Day
from appliance.store.multiplier import BEHIND, TENS, Compared, dial, fitting, named
from appliance.store.rows import SUSPECT, MeterKey, MeterRow

MOST_FOUND = 50
MOST_APART = 100
LONGEST_MS = 6 * 3_600_000
HOUR_MS, UPDATE_MS = 3_600_000, 300_000
# Most registers move within so much time: the rows of the live database are gone through so far back, the others looked
# for by their meter.
LATELY_MS = 1_200_000

_LAST_ROWS = f"SELECT meter, at, consumption FROM reading WHERE id > ? AND NOT flags & {SUSPECT} ORDER BY id DESC"
_LONGER_AGO = (
    f"SELECT meter, consumption, max(at) FROM reading WHERE id > ? AND at <= ? AND NOT flags & {SUSPECT} "
    "AND meter IN (SELECT value FROM json_each(?)) GROUP BY meter"
)
_BEFORE = (
    "SELECT m.value, coalesce((SELECT consumption FROM reading "
    f"WHERE meter = m.value AND at <= ?2 AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1), -1) "
    "FROM json_each(?1) AS m"
)


class Fits(NamedTuple):
    """A meter that a dial may be of, by these multipliers, the most usual first."""

    meter: MeterRow
    multipliers: tuple[Decimal, ...]


class Moved(NamedTuple):
    """A meter and by how many counts its register moved, and `usually` moves in as much time; None if not known.

    `score` is how many times what chance explains it moved more than usual; 3 is much.
    """

    meter: MeterKey
    counts: int
    usually: float | None
    score: float


def siblings(history: History, meter: MeterKey, apart: int = 10) -> list[MeterRow]:
    """The meters whose IDs are at most so far from a meter's, without itself, by ID. Raises sqlite3.Error."""
    apart = max(0, min(apart, MOST_APART))
    span = (meter.meter_id - apart, meter.meter_id + apart)
    where = "WHERE meter_id BETWEEN ? AND ? AND simulated = ? ORDER BY meter_id, protocol"

    def question(view: View) -> list[MeterRow]:
        rows = catalogue.meters(view.catalogue, where, (*span, int(meter.simulated)))
        return [row for row in rows if row.key != meter]

    return history.answer(question)


def by_dial(
    history: History,
    typed: str,
    registers: Mapping[MeterKey, int],
    commodities: Container[Commodity] = COMMODITIES,
) -> list[Fits]:
    """The meters of some commodities whose register fits what a dial shows, the likeliest first; at most 50.

    `registers` are newer than the catalogue's, which learns of them once in a quarter of an hour. Raises InputError,
    sqlite3.Error.
    """
    shown = dial(typed)

    def question(view: View) -> list[Fits]:
        found: list[tuple[tuple[bool, int, float], MeterRow, set[int]]] = []
        for row in catalogue.meters(view.catalogue):
            if row.commodity not in commodities:
                continue
            register = registers.get(row.key, row.consumption)
            if fits := fitting(Compared(shown, register), register_modulus(row.key.protocol)):
                off = min(abs(shown.shown - c * register) / (c * BEHIND + shown.unit) for c in fits)
                # One that rolled over is as good as none by this, and comes after those that did not.
                found.append(((not fits & TENS, len(fits), off), row, fits))
        found.sort(key=lambda one: (one[0], one[1].key))
        return [Fits(row, named(fits)) for _, row, fits in found[:MOST_FOUND]]

    return history.answer(question)


def by_load(
    history: History, since_ms: int, now_ms: int, registers: Mapping[MeterKey, int], days: list[Day]
) -> list[Moved]:
    """The meters whose register moved most since an instant, against what `days` tell of them; at most 50.

    `registers` are as they are now. At most the last six hours. Raises sqlite3.Error.
    """
    since_ms = max(since_ms, now_ms - LONGEST_MS)
    usual = {day.meter.key: _usual(day) for day in days}

    def question(view: View) -> list[Moved]:
        numbers = {row.number: row.key for row in catalogue.meters(view.catalogue) if row.key in registers}
        found = []
        for number, before in _registers_at(view, list(numbers), since_ms).items():
            key = numbers[number]
            counts = (registers[key] - before) % register_modulus(key.protocol)
            an_hour = usual.get(key)
            usually = None if an_hour is None else an_hour * (now_ms - since_ms) / HOUR_MS
            # Of as many counts as usual about the root is chance, and whether one more update falls within the time.
            chance = math.sqrt(1 + (usually or 0)) + (an_hour or 0) * UPDATE_MS / HOUR_MS
            score = (counts - (usually or 0)) / chance
            if 0 < counts < register_modulus(key.protocol) // 2:
                found.append(Moved(key, counts, usually, score))
        return sorted(found, key=lambda one: one.score, reverse=True)[:MOST_FOUND]

    return history.answer(question)


def registers_at(history: History, meters: Iterable[MeterKey], utc_ms: int) -> dict[MeterKey, int]:
    """The registers of meters at an instant within the last hours; without those not known. Raises sqlite3.Error."""
    wanted = frozenset(meters)

    def question(view: View) -> dict[MeterKey, int]:
        numbers = {row.number: row.key for row in catalogue.meters(view.catalogue) if row.key in wanted}
        return {numbers[number]: register for number, register in _registers_at(view, list(numbers), utc_ms).items()}

    return history.answer(question)


def _usual(day: Day) -> float | None:
    """Counts an hour, of the last day but the running hour."""
    known = [used for used in day.used[:-1] if used is not None]
    return float(median(known)) if len(known) >= 3 else None


def _registers_at(view: View, numbers: list[int], utc_ms: int) -> dict[int, int]:
    """The registers of meters at an instant within the last hours; those that are not known are left out."""
    stamp = view.timeline.stamp_at(utc_ms)
    found: dict[int, int] = {}
    for number, at, consumption in view.live.execute(_LAST_ROWS, (view.live_to,)):
        if at < stamp - LATELY_MS:
            break
        if at <= stamp:
            found.setdefault(number, consumption)
    for known in (_longer_ago, _sealed):
        missing = json.dumps(sorted(set(numbers) - found.keys()))
        found |= known(view, missing, stamp)
    return {number: found[number] for number in numbers if number in found}


def _longer_ago(view: View, numbers: str, stamp: int) -> dict[int, int]:
    rows = view.live.execute(_LONGER_AGO, (view.live_to, stamp, numbers)) if numbers != "[]" else ()
    return {number: consumption for number, consumption, _ in rows}


def _sealed(view: View, numbers: str, stamp: int) -> dict[int, int]:
    before = next((row for row in reversed(view.sealed) if row.from_at <= stamp), None)
    rows = view.rows(before, _BEFORE, (numbers, stamp)) if before else []
    return {number: consumption for number, consumption in rows if consumption >= 0}
