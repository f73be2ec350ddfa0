"""The time of rows: in Python as the appliance means it, and the same in both databases."""

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, bindparam, insert, select, update

from appliance.aggregator.database import Database
from appliance.aggregator.timing import restated_at, span_count, span_parameters, spans, times
from appliance.sync.batch import MS_LIMIT, Knot, utc_ms

MOMENT = Table("moment", MetaData(), Column("number", Integer, primary_key=True), Column("ms", BigInteger))
MOMENT.append_column(Column("at", BigInteger))
UTC = st.integers(0, 2**41)


@st.composite
def clocks(draw: st.DrawFn) -> tuple[Knot, ...]:
    """Of up to three months, told rightly or wrongly."""
    ms = sorted(draw(st.sets(st.integers(0, 2**33), min_size=1, max_size=4)))
    utc = sorted(draw(st.lists(UTC, min_size=len(ms), max_size=len(ms))))
    doubt = st.none() | st.integers(0, 2**50)
    return tuple(Knot(m, u, draw(doubt), draw(st.sampled_from(["ntp", "rtc"]))) for m, u in zip(ms, utc, strict=True))


MOMENTS = st.lists(st.integers(0, MS_LIMIT - 1), max_size=10)


@given(clocks(), MOMENTS)
def test_times_are_those_of_the_batch(clock: tuple[Knot, ...], moments: list[int]) -> None:
    """Spans that SQL could not reckon with are cut, which is a millisecond's difference."""
    found = times(clock, moments)
    expected = utc_ms(clock, moments)
    assert all(abs(at - wanted) <= 1 for (at, _, _), wanted in zip(found, expected, strict=True))
    if len(spans(clock)) <= len(clock) + 1:
        assert [at for at, _, _ in found] == expected


@given(clocks())
def test_spans_are_all_time_in_turn(clock: tuple[Knot, ...]) -> None:
    known = spans(clock)
    assert span_count(clock) == len(known)
    assert [span.to_ms for span in known] == [*(span.from_ms for span in known[1:]), MS_LIMIT]
    assert known[0].from_ms == 0


def test_a_row_is_as_uncertain_as_the_worse_end_of_its_span() -> None:
    clock = (Knot(10, 1000, 5, "ntp"), Knot(20, 1010, 50, "rtc"), Knot(30, 1020, None, "estimate"))
    assert [found[1:] for found in times(clock, [0, 10, 25, 30])] == [
        (5, "ntp"), (50, "rtc"), (None, "estimate"), (None, "estimate"),
    ]  # fmt: skip


def test_the_databases_reckon_alike(place: Path | str) -> None:
    database = Database(place)

    @settings(max_examples=40)
    @given(clocks(), MOMENTS)
    def check(clock: tuple[Knot, ...], moments: list[int]) -> None:
        assert runner.run(_asked(database, clock, moments)) == [at for at, _, _ in times(clock, moments)]

    with asyncio.Runner() as runner:
        try:
            runner.run(_prepared(database))
            check()
        finally:
            runner.run(database.close())


async def _prepared(database: Database) -> None:
    async with database.writing() as connection:
        await connection.run_sync(MOMENT.create)


async def _asked(database: Database, clock: tuple[Knot, ...], moments: list[int]) -> list[int]:
    change = update(MOMENT).where(MOMENT.c.ms >= bindparam("low_ms"), MOMENT.c.ms < bindparam("high_ms"))
    async with database.writing() as connection:
        await connection.execute(MOMENT.delete())
        if moments:
            await connection.execute(insert(MOMENT), [{"number": n, "ms": ms} for n, ms in enumerate(moments)])
        values = [span_parameters(span) for span in spans(clock)]
        await connection.execute(change.values(at=restated_at(MOMENT.c.ms)), values)
        return list(await connection.scalars(select(MOMENT.c.at).order_by(MOMENT.c.number)))
