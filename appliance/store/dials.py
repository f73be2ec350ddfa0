"""Comparisons of a meter's register with its dial, and the multiplier that they told.

The register is the one that was last heard. A multiplier that is worked out is used on this appliance's site and
nowhere else: registers are kept and delivered as they are. It counts until the aggregator assigns another one than it
did at the time of the comparison.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import aiosqlite

from appliance.errors import InputError
from appliance.store.amend import amend
from appliance.store.history import History
from appliance.store.multiplier import MOST_DECIMALS, MOST_DIGITS, Compared, Sure, Verdict, dial, work_out
from appliance.store.notes import (
    IN_ALL,
    OF_METER,
    OF_ONE,
    RELOAD,
    REMOVE,
    TODAY,
    TOMORROW,
    enough,
    named,
    of_meter,
    refuse_beyond,
)
from appliance.store.people import Worked
from appliance.store.rows import MeterKey
from appliance.store.writer import Store
from appliance.timeline import DAY_MS

# Of each meter the last ones are kept; so many a day and in all.
KEPT_OF_METER, MOST_A_DAY, MOST_DIALS = 8, 500, 20_000
UNHEARD, LATER = "the meter has not been heard yet", "Compare it once it has."
GONE = "the comparison is not there any more"
REFUSALS = (
    UNHEARD,
    LATER,
    GONE,
    REMOVE,
    TOMORROW,
    enough(MOST_A_DAY, TODAY),
    enough(MOST_DIALS, OF_ONE),
    enough(MOST_DIALS, IN_ALL),
)
"""All that a comparison may be refused by."""
_COLUMNS = "number, at, who, shown, register, verdict, multiplier"


class Comparison(NamedTuple):
    """A comparison as it is kept: what was typed of the dial, the register then, and what both told, "" for nothing."""

    number: int
    at: int
    who: str
    shown: str
    register: int
    verdict: Sure
    multiplier: str


def register_modulus(protocol: str) -> int:
    """Where a register begins at zero again: 24 bits in SCM, 32 in the others."""
    return 1 << (24 if protocol == "scm" else 32)


def comparisons(history: History, meter: MeterKey) -> list[Comparison]:
    """The comparisons of a meter, the latest first. Raises sqlite3.Error."""
    question = f"SELECT {_COLUMNS} FROM dial WHERE {OF_METER} ORDER BY number DESC"
    return history.answer(lambda view: [Comparison(*row) for row in view.catalogue.execute(question, of_meter(meter))])


async def compare(store: Store, meter: MeterKey, who: str, typed: str) -> Verdict:
    """Keep what a dial shows now, and say what it tells with those before. Raises InputError, StoreError."""
    shown = dial(typed)
    heard = store.ledger.get(meter)
    if heard is None:
        raise InputError(UNHEARD, LATER)
    register, now = heard.consumption, store.clock.now()
    day_ago = store.clock.timeline.stamp_at(store.clock.utc_ms(now) - DAY_MS)
    assignment = store.assigned.of(meter)
    assigned = "" if assignment is None else str(assignment.multiplier)
    told: list[Verdict] = []

    async def work(writer: aiosqlite.Connection) -> None:
        await refuse_beyond(writer, "dial", meter, day_ago, (MOST_DIALS, MOST_A_DAY, MOST_DIALS))
        question = f"SELECT shown, register FROM dial WHERE {OF_METER} ORDER BY number DESC LIMIT {KEPT_OF_METER - 1}"
        rows = list(await writer.execute_fetchall(question, of_meter(meter)))
        earlier = [Compared(dial(text), counts) for text, counts in reversed(rows)]
        verdict = _verdict([*earlier, Compared(shown, register)], meter)
        told.append(verdict)
        multiplier = "" if verdict.multiplier is None else str(verdict.multiplier)
        head = (*of_meter(meter), now, who, typed.strip()[: MOST_DIGITS + MOST_DECIMALS])
        await writer.execute(
            "INSERT INTO dial (meter_id, protocol, simulated, at, who, shown, register, verdict, multiplier, assigned) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*head, register, verdict.sure, multiplier, assigned),
        )
        await writer.execute(
            f"DELETE FROM dial WHERE {OF_METER} AND number NOT IN "
            f"(SELECT number FROM dial WHERE {OF_METER} ORDER BY number DESC LIMIT {KEPT_OF_METER})",
            of_meter(meter) * 2,
        )

    def then() -> None:
        if told[0].multiplier is not None:
            store.people.worked[meter] = Worked(told[0].multiplier, assigned)
        store.record("changed", {"who": who, "what": "dial_compared", "verdict": told[0].sure} | named(meter))

    await amend(store, "the comparison", work, then)
    return told[0]


async def remove(store: Store, meter: MeterKey, number: int, who: str) -> None:
    """Remove a wrong comparison; what those after it tell is worked out anew. Raises InputError, StoreError."""
    told: list[Worked] = []

    async def work(writer: aiosqlite.Connection) -> None:
        question = f"SELECT number, shown, register, multiplier, assigned FROM dial WHERE {OF_METER} ORDER BY number"
        rows = [tuple(row) for row in await writer.execute_fetchall(question, of_meter(meter))]
        if number not in [row[0] for row in rows]:
            raise InputError(GONE, RELOAD)
        await writer.execute("DELETE FROM dial WHERE number = ?", (number,))
        until: list[Compared] = []
        for kept, shown, register, multiplier, assigned in rows:
            if kept == number:
                continue
            until.append(Compared(dial(shown), register))
            if kept > number:
                verdict = _verdict(until, meter)
                multiplier = "" if verdict.multiplier is None else str(verdict.multiplier)
                changes = (verdict.sure, multiplier, kept)
                await writer.execute("UPDATE dial SET verdict = ?, multiplier = ? WHERE number = ?", changes)
            if multiplier:
                told.append(Worked(Decimal(multiplier), assigned))

    def then() -> None:
        store.people.worked.pop(meter, None)
        if told:
            store.people.worked[meter] = told[-1]
        store.record("changed", {"who": who, "what": "dial_removed"} | named(meter))

    await amend(store, "that", work, then)


def alone(compared: Comparison, meter: MeterKey) -> Decimal | None:
    """The multiplier that a comparison tells by itself."""
    return _verdict([Compared(dial(compared.shown), compared.register)], meter).multiplier


def multiplier_of(store: Store, meter: MeterKey) -> tuple[Decimal | None, str]:
    """The multiplier to show a meter by, and whose it is: "dial", "assigned", or None and ""."""
    assignment = store.assigned.of(meter)
    assigned = "" if assignment is None else str(assignment.multiplier)
    worked = store.people.worked.get(meter)
    if worked is not None and worked.assigned == assigned:
        return worked.multiplier, "dial"
    return (assignment.multiplier, "assigned") if assignment else (None, "")


def _verdict(compared: Sequence[Compared], meter: MeterKey) -> Verdict:
    """What comparisons tell, in the order of time: those of the meter that hangs there now.

    A register that went back by more than it rolls over was exchanged.
    """
    modulus = register_modulus(meter.protocol)
    registers = [one.register for one in compared]
    begin = 0
    for n in range(1, len(registers)):
        if (registers[n] - registers[n - 1]) % modulus > modulus // 2:
            begin = n
    return work_out(compared[begin:], modulus)
