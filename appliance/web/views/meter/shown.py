"""What the page of a meter shows: the rows of its tables and lists, and what they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from appliance.store.dials import Comparison, alone
from appliance.store.ledger import Meter
from appliance.store.notes import Note
from appliance.store.queries import Period
from appliance.store.readings import Kept
from appliance.store.reception import Heard
from appliance.store.rows import Event, MeterKey, MeterRow
from appliance.tamper import happened
from appliance.web.parts import Parts
from appliance.web.quantities import Scale
from appliance.web.typed import Either
from appliance.web.views.meter.one_meter import At, at_of, at_stamp, is_unsure, local
from appliance.web.views.meters import rows as meter_rows
from appliance.web.views.meters.sparks import Spark


@dataclass(frozen=True, slots=True)
class Facts:
    """For _facts.html: the meter as it is now."""

    row: meter_rows.MeterRow
    endpoint_type: int
    frequency_mhz: float | None
    first: At


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """For _periods.html: a day or a month. `is_unsure`: when it began is an estimate."""

    first: date
    used: Decimal | int | None
    register: int | None
    quantity: Decimal | None
    breaks: tuple[str, ...]
    is_unsure: bool


@dataclass(frozen=True, slots=True)
class HeardRow:
    """For meter.html: how the meter was heard on a day."""

    day: date
    heard: Heard
    level: str
    bar_percent: int


@dataclass(frozen=True, slots=True)
class TamperRow:
    """For meter.html: a change of the counters; how often at least it `happened`, None where that cannot be told."""

    at: At
    phy: tuple[int | None, int | None]
    enc: tuple[int | None, int | None]
    phy_happened: int | None
    enc_happened: int | None


@dataclass(frozen=True, slots=True)
class BreakRow:
    """For meter.html: something that happened to the register."""

    at: At
    kind: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """For _readings.html: a reading as it is kept."""

    at: At
    kept: Kept
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class NoteRow:
    """For meter.html: a note, and when it was written."""

    at: At
    of: Note


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """For meter.html: a comparison with the dial, and when; the multiplier that it tells `alone`, if it is disputed."""

    at: At
    of: Comparison
    alone: Decimal | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was refused: in `part` "note" or "dial", as "dial" for what is none, else in `words`; and what was typed.

    `is_card`: the card did not take it, for the reason that the words say; `either`: it may be read in two ways.
    """

    part: str = ""
    words: str = ""
    hint: str = ""
    typed: str = ""
    is_card: bool = False
    either: Either | None = None


@dataclass(frozen=True, slots=True)
class MeterPage:
    """For meter.html. `who` has logged in, else ""; `lost` says why the history gives no answer, else ""."""

    facts: Facts
    scale: Scale
    who: str
    now_ms: int
    now_text: str
    cursor: str
    first_ms: int
    zone: str
    lost: str
    days: Sequence[PeriodRow]
    days_until: str
    days_before: str
    days_after: str
    months: Sequence[PeriodRow]
    heard: Sequence[HeardRow]
    breaks: Sequence[BreakRow]
    phy_meaning: str
    enc_meaning: str
    tamper: Sequence[TamperRow]
    readings: Sequence[ReadingRow]
    siblings: Sequence[tuple[str, MeterRow, str]]
    notes: Sequence[NoteRow]
    longest_note: int
    comparisons: Sequence[ComparisonRow]
    trouble: Trouble


def facts(parts: Parts, meter: Meter, spark: Spark | None) -> Facts:
    """A meter as it is now."""
    row = meter_rows.meter_row(parts, meter, parts.store.assigned.of(meter.key), spark, parts.times)
    frequency_mhz = None if meter.frequency_hz is None else meter.frequency_hz / 1e6
    return Facts(row, meter.endpoint_type, frequency_mhz, at_stamp(parts, meter.first_at, seconds=False))


def period_row(parts: Parts, period: Period, scale: Scale) -> PeriodRow:
    """A day or a month."""
    used = scale.quantity(period.used) if scale.multiplier is not None else period.used
    return PeriodRow(
        local(period.from_ms).date(),
        used,
        period.register,
        scale.quantity(period.register),
        period.breaks,
        is_unsure(parts, period.from_ms),
    )


def tamper_row(parts: Parts, key: MeterKey, event: Event) -> TamperRow:
    """A change of tamper counters."""
    phy, enc = ((event.detail.get(name) or [None, None]) for name in ("phy", "enc"))
    return TamperRow(
        at_stamp(parts, event.at),
        (phy[0], phy[1]),
        (enc[0], enc[1]),
        happened(key.protocol, phy[0], phy[1]),
        happened(key.protocol, enc[0], enc[1]),
    )


def reading_row(kept: Kept, scale: Scale) -> ReadingRow:
    """A reading."""
    return ReadingRow(at_of(kept.moment), kept, scale.quantity(kept.consumption))


def heard_row(heard: Heard) -> HeardRow:
    """How it was heard on a day."""
    mean_db = heard.snr_mean_db
    percent = round(100 * min(1.0, max(0.0, (mean_db or 0.0) / meter_rows.FULL_BAR_DB)))
    return HeardRow(local(heard.from_ms).date(), heard, meter_rows.level_of(mean_db), percent)


def break_row(parts: Parts, event: Event) -> BreakRow:
    """Something that happened to its register."""
    return BreakRow(at_stamp(parts, event.at), event.kind, event.detail["before"], event.detail["after"])


def sibling(parts: Parts, row: MeterRow) -> tuple[str, MeterRow, str]:
    """A meter near by: its address here, itself, and where it hangs."""
    of = parts.store.assigned.of(row.key)
    return f"/meters/{meter_rows.name_of(row.key)}", row, f"{of.name} {of.address}".strip() if of else ""


def comparison_row(parts: Parts, key: MeterKey, one: Comparison) -> ComparisonRow:
    """A comparison with the dial."""
    return ComparisonRow(
        at_stamp(parts, one.at, seconds=False), one, alone(one, key) if one.verdict == "disputed" else None
    )
