"""What technicians note about a meter: short texts, each with who and when, removed by who wrote it.

Bounded, since the card is: so long, so many of a meter, in a day and in all.
"""

from typing import NamedTuple

import aiosqlite

from appliance.errors import InputError
from appliance.store.amend import amend
from appliance.store.history import History
from appliance.store.rows import MeterKey
from appliance.store.writer import Store
from appliance.timeline import DAY_MS

LONGEST_NOTE = 500
MOST_OF_METER, MOST_A_DAY, MOST_NOTES = 50, 200, 5_000
# What a note is refused by, and what to do: the pages have these sentences in their languages.
EMPTY, WRITE = "the note is empty", "Write something."
LONG, SHORTEN = f"the note has more than {LONGEST_NOTE} characters", "Make it shorter, or two of it."
UNSHOWN, ANEW = "the note has characters that cannot be shown", "Type it anew."
GONE, RELOAD = "the note is not there any more", "Load the page again."
OTHERS, WHOSE = "the note is somebody else's", "Only who wrote it can remove it."
REMOVE, TOMORROW = "Remove some that are not needed any more.", "Go on tomorrow."
OF_ONE, TODAY, IN_ALL = "about this meter", "in a day", "in all"
OF_METER = "meter_id = ? AND protocol = ? AND simulated = ?"


class Note(NamedTuple):
    """A note, and its number, by which it is removed."""

    number: int
    at: int
    who: str
    text: str


def of_meter(key: MeterKey) -> tuple[int, str, int]:
    """What `OF_METER` takes."""
    return key.meter_id, key.protocol, int(key.simulated)


def notes(history: History, meter: MeterKey) -> list[Note]:
    """The notes about a meter, the latest first. Raises sqlite3.Error."""
    question = f"SELECT number, at, who, text FROM note WHERE {OF_METER} ORDER BY number DESC"
    return history.answer(lambda view: [Note(*row) for row in view.catalogue.execute(question, of_meter(meter))])


async def add_note(store: Store, meter: MeterKey, who: str, text: str) -> None:
    """Keep a note. Raises InputError when it is empty, too long, or one too many; StoreError."""
    text = clean(text)
    now = store.clock.now()
    day_ago = store.clock.timeline.stamp_at(store.clock.utc_ms(now) - DAY_MS)

    async def work(writer: aiosqlite.Connection) -> None:
        await refuse_beyond(writer, "note", meter, day_ago, (MOST_OF_METER, MOST_A_DAY, MOST_NOTES))
        values = (*of_meter(meter), now, who, text)
        statement = "INSERT INTO note (meter_id, protocol, simulated, at, who, text) VALUES (?, ?, ?, ?, ?, ?)"
        await writer.execute(statement, values)

    def then() -> None:
        store.record("changed", {"who": who, "what": "note_added"} | named(meter))

    await amend(store, "the note", work, then)


async def remove_note(store: Store, number: int, who: str) -> None:
    """Remove a note of one's own. Raises InputError when it is another's, or not there any more; StoreError."""
    found: list[MeterKey] = []

    async def work(writer: aiosqlite.Connection) -> None:
        question = "SELECT who, protocol, meter_id, simulated FROM note WHERE number = ?"
        rows = list(await writer.execute_fetchall(question, (number,)))
        if not rows:
            raise InputError(GONE, RELOAD)
        if rows[0][0] != who:
            raise InputError(OTHERS, WHOSE)
        await writer.execute("DELETE FROM note WHERE number = ?", (number,))
        found.append(MeterKey(rows[0][1], rows[0][2], bool(rows[0][3])))

    def then() -> None:
        store.record("changed", {"who": who, "what": "note_removed"} | named(found[0]))

    await amend(store, "the note", work, then)


def clean(text: str) -> str:
    """A note as it is kept. Raises InputError."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    text = "\n".join(lines)
    if not text:
        raise InputError(EMPTY, WRITE)
    if len(text) > LONGEST_NOTE:
        raise InputError(LONG, SHORTEN)
    if not all(line.isprintable() for line in lines):
        raise InputError(UNSHOWN, ANEW)
    return text


async def refuse_beyond(
    writer: aiosqlite.Connection, table: str, meter: MeterKey, day_ago: int, most: tuple[int, int, int]
) -> None:
    """Raises InputError when a meter, the last day or all have as many rows of a table as they may."""
    for where, values, bound, words, hint in (
        (OF_METER, of_meter(meter), most[0], OF_ONE, REMOVE),
        ("at >= ?", (day_ago,), most[1], TODAY, TOMORROW),
        ("true", (), most[2], IN_ALL, REMOVE),
    ):
        # Of those of a day the last ones are counted: they are the last by number, too.
        question = f"SELECT count(*) FROM (SELECT at FROM {table} ORDER BY number DESC LIMIT {bound}) WHERE {where}"
        if where != "at >= ?":
            question = f"SELECT count(*) FROM {table} WHERE {where}"
        ((count,),) = await writer.execute_fetchall(question, values)
        if count >= bound:
            raise InputError(enough(bound, words), hint)


def enough(bound: int, where: str) -> str:
    """Why no more is taken.

    >>> enough(50, OF_ONE)
    'there are 50 about this meter already'
    """
    return f"there are {bound} {where} already"


def named(meter: MeterKey) -> dict[str, object]:
    """A meter in the detail of an event: it may be one that was never heard."""
    return {"protocol": meter.protocol, "meter_id": meter.meter_id, "simulated": meter.simulated}


REFUSALS = (
    *(EMPTY, WRITE, LONG, SHORTEN, UNSHOWN, ANEW, GONE, RELOAD, OTHERS, WHOSE, REMOVE, TOMORROW),
    *map(enough, (MOST_OF_METER, MOST_A_DAY, MOST_NOTES), (OF_ONE, TODAY, IN_ALL)),
)
"""All that may be said of it."""
