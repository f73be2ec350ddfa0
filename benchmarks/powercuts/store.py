"""The appliance's store under power cuts: what must be there when the power is back.

- It opens by itself, and finds nothing damaged: a power cut damages nothing.
- Readings: none that was never heard or was altered, none twice, none missing that was acknowledged, none missing
  that was heard more than 60 s before the cut, thinned and dropped history excepted (which is told in events).
- Receptions: of no meter more messages than were heard, nor fewer than were acknowledged some minutes before the cut.
- Events: each acknowledged one is there once.
- What a person wrote: each acknowledged note is there once, and the password is the last one, or was on its way.
- Segments: each listed one has its SHA-256, and the one that was acknowledged under its number.
- Times: each reading resolves to the second at which it was on the air.
- It goes on: once every meter was heard again the store knows the register of each, and so after a clean restart.
"""

import asyncio
import contextlib
import hashlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.clock import BOOT_SHIFT, boot_of, ms_of
from appliance.store.rows import CARRIED, DAYS
from appliance.store.schema import segment_path
from appliance.store.writer import Store as TheStore
from appliance.store.writing import RUNNING_MS
from benchmarks.powercuts import street
from benchmarks.powercuts.cuts import Lost, Verdict
from benchmarks.powercuts.life import STEP, Time, keeper, small_limits
from benchmarks.powercuts.street import METERS, Fields

MOST_LOST_S = 60
# How often meters were heard is written every five minutes, with the next commit.
UNCOUNTED_S = RUNNING_MS // 1000 + STEP
OUTAGE_S = 600
TIME_ERROR_MS = 2000
DAMAGE = ("segment_damaged", "catalogue_restored", "live_restored")


@dataclass
class Kept:
    """What is known to be in the directory, and of the lives so far: `second` is when the next may begin.

    A reading is known by the number of the message that it comes from; `last` is the last of each meter, `tamper` the
    tamper counter it is known to have shown. `heard` and `counted` are how many messages of a meter in a boot were
    heard, and how many must be counted; `timed` are boots whose time is known to be kept.
    """

    second: int = 0
    boot: tuple[str, int] = ("", 0)
    boots: dict[int, int] = field(default_factory=dict)
    readings: set[int] = field(default_factory=set)
    last: dict[int, Fields] = field(default_factory=dict)
    tamper: dict[int, int] = field(default_factory=dict)
    tampers: set[int] = field(default_factory=set)
    tokens: set[int] = field(default_factory=set)
    noted: set[int] = field(default_factory=set)
    heard: Counter[tuple[int, int]] = field(default_factory=Counter)
    counted: Counter[tuple[int, int]] = field(default_factory=Counter)
    timed: set[int] = field(default_factory=set)


@dataclass
class Life:
    """What a life said: it heard messages `first` up to `heard`, and acknowledged those up to `kept`."""

    first: int
    heard: int
    kept: int
    boot: int = 0
    boot_second: int = 0
    tokens: set[int] = field(default_factory=set)
    noted: set[int] = field(default_factory=set)
    sealed: dict[int, str] = field(default_factory=dict)


@dataclass
class Found:
    """What the store holds: of each meter (stamp, fields, flags) in the order of time, of each event (kind, ...)."""

    readings: dict[int, list[tuple[int, Fields, int]]] = field(default_factory=dict)
    carried: dict[int, tuple[int, Fields]] = field(default_factory=dict)
    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    events: list[tuple[str, int, int, dict[str, Any]]] = field(default_factory=list)
    notes: list[int] = field(default_factory=list)
    password: int = -1
    thinned_to: int = 0
    dropped_to_utc_ms: int = 0


@dataclass
class Store:
    """The subject: a life of so many hours, and later ones; with `reboots` each is a boot, as after a power cut.

    `budget_bytes` holds for the data directory, of which the logs of the databases take 2 MB.
    """

    seed: int
    hours: float
    budget_bytes: int
    later_hours: float = 0.3
    reboots: bool = True
    name: str = "store"

    def command(self, directory: Path, marks: Path, kept: Kept | None) -> Sequence[str]:
        """A life in another process."""
        second = kept.second if kept else 0
        boot_id, boot_second = f"boot-{second}", second
        if kept and kept.boot[0] and not self.reboots:
            boot_id, boot_second = kept.boot
        hours = self.later_hours if kept else self.hours
        words = (directory, marks, self.seed, second, boot_second, boot_id, hours, self.budget_bytes)
        return [sys.executable, "-m", "benchmarks.powercuts.life", *map(str, words)]

    def check(self, directory: Path, said: Sequence[str], kept: Kept | None) -> Verdict:
        """Open the store as after a power-up, look at all of it, use it, open it again. Raises Lost."""
        return asyncio.run(self._check(directory, said, kept or Kept()))

    async def _check(self, directory: Path, said: Sequence[str], before: Kept) -> Verdict:
        small_limits()
        life = _life(said, before)
        time = Time(life.heard + OUTAGE_S, life.heard + OUTAGE_S - 30, "check-1")
        async with _opened(directory, time) as store:
            found = _found(store, life.sealed)
            kept, lost_s = _compare(self.seed, found, life, before)
            kept.second = time.second
            _check_times(store, found, kept)
            history = keeper(store, time, self.budget_bytes)
            await history.tend()
            begin = time.second
            for number in range(begin, begin + 3 * METERS):
                time.second = number
                store.hear(street.message(self.seed, number), simulated=False)
            if trouble := await store.commit():
                raise Lost(f"does not go on: {trouble}")
            await history.tend()
            after = _found(store, {})
            _check_presence(kept.readings, _numbers(self.seed, after, kept.boots), after, kept.boots)
            _check_counts(after, kept)
            _check_newest(self.seed, after, range(begin + 2 * METERS, begin + 3 * METERS))
            await store.close()
        async with _opened(directory, Time(time.second + OUTAGE_S, time.second + OUTAGE_S, "check-2")) as store:
            if _found(store, {}).readings != after.readings:
                raise Lost("the readings are others after a clean restart")
        return Verdict(kept, lost_s)


@contextlib.asynccontextmanager
async def _opened(directory: Path, time: Time) -> AsyncIterator[TheStore]:
    store = TheStore(directory, 45, time.clock())
    try:
        await store.open()
        if store.trouble:
            raise Lost(f"does not come up: {store.trouble}")
        yield store
    finally:
        await store.disconnect()
        store.history.close()


def _life(said: Sequence[str], before: Kept) -> Life:
    life = Life(before.second, before.second, before.second)
    for line in said:
        match line.split():
            case ["boot", number, second]:
                life.boot, life.boot_second = int(number), int(second)
            case ["hear", number]:
                life.heard = int(number)
            case ["kept", number]:
                life.kept = int(number)
            case ["told", number]:
                life.tokens.add(int(number))
            case ["noted", number]:
                life.noted.add(int(number))
            case ["sealed", number, sha256]:
                life.sealed[int(number)] = sha256
    return life


def _found(store: TheStore, sealed: dict[int, str]) -> Found:
    """All that is there, read from the segments and the live database themselves."""
    found = Found()
    with store.history.view() as view:
        meter_ids = dict(view.catalogue.execute("SELECT number, meter_id FROM meter").fetchall())
        for row in view.sealed:
            sha256 = hashlib.sha256(segment_path(store.directory, row.number).read_bytes()).hexdigest()
            if sha256 != row.sha256 or sealed.get(row.number, sha256) != sha256:
                raise Lost(f"segment {row.number} is not what it was when it was sealed")
            if row.rank >= DAYS:
                found.thinned_to = max(found.thinned_to, row.to_at)
        sources = [(view.segment(row), "") for row in view.sealed] + [(view.live, f"WHERE id > {view.live_to}")]
        for connection, where in sources:
            readings = f"SELECT meter, at, consumption, tamper_phy, tamper_enc, flags FROM reading {where}"
            for meter, at, consumption, tamper_phy, tamper_enc, flags in connection.execute(readings):
                meter_id, fields = meter_ids[meter], Fields(consumption, tamper_phy, tamper_enc)
                if flags & CARRIED:
                    found.carried[meter_id] = max((at, fields), found.carried.get(meter_id, (0, fields)))
                else:
                    found.readings.setdefault(meter_id, []).append((at, fields, flags))
            for meter, at, count in connection.execute(f"SELECT meter, at, count FROM reception {where}"):
                found.counts[meter_ids[meter], boot_of(at)] += count
        for kind, meter, at, detail in view.catalogue.execute("SELECT kind, meter, at, detail FROM event"):
            found.events.append((kind, meter_ids.get(meter, 0), at, json.loads(detail)))
        found.notes = [int(text) for (text,) in view.catalogue.execute("SELECT text FROM note")]
        for (kept,) in view.catalogue.execute("SELECT kept FROM account"):
            found.password = int(kept)
    for kind, _, _, detail in found.events:
        if kind in DAMAGE:
            raise Lost(f"damage after a power cut: {kind} {detail}")
        if kind == "history_dropped":
            found.dropped_to_utc_ms = max(found.dropped_to_utc_ms, detail["to_utc_ms"])
    for rows in found.readings.values():
        rows.sort()
    return found


def _number(at: int, boots: Mapping[int, int]) -> int | None:
    """The message that was on the air at a stamp; None if that was in the check's own time. Raises Lost."""
    if boot_of(at) not in boots:
        return None
    if ms_of(at) % 1000:
        raise Lost(f"nothing was on the air at {boot_of(at)}:{ms_of(at)}")
    return boots[boot_of(at)] + ms_of(at) // 1000


def _numbers(seed: int, found: Found, boots: Mapping[int, int]) -> set[int]:
    """The messages that the readings come from: each was heard so, and is there once."""
    numbers = set()
    for meter_id, rows in found.readings.items():
        latest: tuple[int, Fields | None] = (0, None)
        for at, fields, flags in rows:
            what = f"meter {meter_id} has a reading of {boot_of(at)}:{ms_of(at)}, {fields},"
            if (number := _number(at, boots)) is None:
                continue
            if street.meter_id(number) != meter_id or street.fields(seed, number) != fields:
                raise Lost(f"{what} that was never heard")
            if flags:
                raise Lost(f"{what} flagged {flags}, though nothing is wrong with it")
            if number in numbers or fields == latest[1]:
                raise Lost(f"{what} that it has already, of {boot_of(latest[0])}:{ms_of(latest[0])}")
            latest = (at, fields)
            numbers.add(number)
    return numbers


def _changes(seed: int, numbers: range, last: dict[int, Fields]) -> Iterator[int]:
    """The messages that say something else than the meter's `last`, which is kept up to date."""
    for number in numbers:
        fields, meter_id = street.fields(seed, number), street.meter_id(number)
        if last.get(meter_id) != fields:
            last[meter_id] = fields
            yield number


def _compare(seed: int, found: Found, life: Life, before: Kept) -> tuple[Kept, float]:
    """What is there against what was said; returns what is known now, and how long before the cut readings are gone."""
    kept = Kept(
        boot=(f"boot-{life.boot_second}", life.boot_second) if life.boot else before.boot,
        boots=before.boots | ({life.boot: life.boot_second} if life.boot else {}),
        last=dict(before.last),
        tokens=before.tokens | life.tokens,
        heard=before.heard + _by_meter(life.boot, range(life.first, life.heard)),
        counted=before.counted + _by_meter(life.boot, range(life.first, life.kept - UNCOUNTED_S)),
        timed=before.timed | ({life.boot} if life.kept > life.first else set()),
    )
    kept.readings = _numbers(seed, found, kept.boots)
    if beyond := sorted(number for number in kept.readings if number >= life.heard):
        raise Lost(f"readings of messages that were not on the air yet: {beyond[:5]}")
    acknowledged = before.readings.union(_changes(seed, range(life.first, life.kept), kept.last))
    _check_presence(acknowledged, kept.readings, found, kept.boots)
    risked = _changes(seed, range(life.kept, life.heard), dict(kept.last))
    lost_s = life.heard - next((number for number in risked if number not in kept.readings), life.heard)
    if lost_s > MOST_LOST_S:
        raise Lost(f"readings of the last {lost_s} s are gone")
    for number in sorted(number for number in kept.readings if number >= life.kept):
        kept.last[street.meter_id(number)] = street.fields(seed, number)
    _check_events(seed, found, life, before, kept)
    _check_written(found, life, before, kept)
    return kept, lost_s


def _by_meter(boot: int, numbers: range) -> Counter[tuple[int, int]]:
    return Counter((street.meter_id(number), boot) for number in numbers)


def _check_presence(expected: set[int], numbers: set[int], found: Found, boots: Mapping[int, int]) -> None:
    """Whether all readings are there but for those thinned or dropped."""
    newest = {meter_id: at for meter_id, (at, _) in found.carried.items()}
    for meter_id, rows in found.readings.items():
        newest[meter_id] = max(newest.get(meter_id, 0), rows[-1][0])
    starts = sorted((second, boot) for boot, second in boots.items())
    for number in sorted(expected - numbers):
        second, boot = max(start for start in starts if start[0] <= number)
        dropped = street.BEGIN_UTC_MS + number * 1000 <= found.dropped_to_utc_ms
        at = (boot << BOOT_SHIFT) + (number - second) * 1000
        if not dropped and not (at <= found.thinned_to and newest.get(street.meter_id(number), 0) > at):
            raise Lost(f"the reading of meter {street.meter_id(number)} at {number} s was acknowledged and is gone")


def _check_events(seed: int, found: Found, life: Life, before: Kept, kept: Kept) -> None:
    """Whether each acknowledged event is there, once, and no tamper was made up."""
    tokens = [detail["token"] for kind, _, _, detail in found.events if kind == "radio_failed"]
    if len(set(tokens)) < len(tokens) or not kept.tokens <= set(tokens):
        raise Lost(f"events told: {sorted(kept.tokens)}, events there: {tokens}")
    kept.tokens = set(tokens)
    kept.tamper = dict(before.tamper)
    tampers: list[int] = []
    for kind, meter_id, at, detail in found.events:
        if kind == "tamper" and (number := _number(at, kept.boots)) is not None:
            if street.meter_id(number) != meter_id or street.fields(seed, number).tamper_phy != detail["phy"][1]:
                raise Lost(f"tamper that never was: meter {meter_id} at {number} s, {detail}")
            tampers.append(number)
    expected = set(before.tampers)
    for number in range(life.first, life.kept):
        meter_id, tamper = street.meter_id(number), street.fields(seed, number).tamper_phy
        if kept.tamper.get(meter_id, tamper) != tamper:
            expected.add(number)
        kept.tamper[meter_id] = tamper
    kept.tampers = set(tampers)
    if len(kept.tampers) < len(tampers) or not expected <= kept.tampers:
        raise Lost(f"tamper told: {sorted(expected)}, tamper there: {sorted(tampers)}")
    for number in sorted(number for number in kept.readings | kept.tampers if number >= life.kept):
        kept.tamper[street.meter_id(number)] = street.fields(seed, number).tamper_phy


def _check_written(found: Found, life: Life, before: Kept, kept: Kept) -> None:
    """Whether what a person wrote is there."""
    noted = before.noted | life.noted
    if len(set(found.notes)) < len(found.notes) or not noted <= set(found.notes):
        raise Lost(f"notes acknowledged: {sorted(noted)}, notes there: {found.notes}")
    if noted and found.password < max(noted):
        raise Lost(f"the password of {max(noted)} was acknowledged, it is that of {found.password}")
    kept.noted = set(found.notes)


def _check_times(store: TheStore, found: Found, kept: Kept) -> None:
    """Whether the readings of boots whose time was kept are at the seconds at which they were on the air."""
    for rows in found.readings.values():
        for at, _, _ in rows[:1] + rows[-1:]:
            number = _number(at, kept.boots)
            if number is not None and boot_of(at) in kept.timed:
                error_ms = store.clock.utc_ms(at) - street.BEGIN_UTC_MS - number * 1000
                if abs(error_ms) > TIME_ERROR_MS:
                    raise Lost(f"{boot_of(at)}:{ms_of(at)} is shown {error_ms} ms from its time")


def _check_counts(found: Found, kept: Kept) -> None:
    """Whether of no meter more messages are counted than were heard, nor fewer than acknowledged."""
    whole = not found.thinned_to and not found.dropped_to_utc_ms
    for key in kept.heard.keys() | {key for key in found.counts if key[1] in kept.boots}:
        if found.counts[key] > kept.heard[key] or (whole and found.counts[key] < kept.counted[key]):
            limits = f"{kept.counted[key]} to {kept.heard[key]}"
            raise Lost(f"meter {key[0]} was heard {limits} times in boot {key[1]}, {found.counts[key]} are counted")


def _check_newest(seed: int, found: Found, numbers: range) -> None:
    """Whether the newest reading of each meter is what it said last."""
    for number in numbers:
        meter_id = street.meter_id(number)
        rows = [(at, fields) for at, fields, _ in found.readings.get(meter_id, [])[-1:]]
        rows += [found.carried[meter_id]] if meter_id in found.carried else []
        if not rows or max(rows)[1] != street.fields(seed, number):
            raise Lost(
                f"meter {meter_id} says {street.fields(seed, number)} for 15 minutes, its newest reading: {rows}"
            )
