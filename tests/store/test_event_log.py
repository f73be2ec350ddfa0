"""The log: every kind, page by page, in the order of time; what another version wrote, and what a card made of it."""

import contextlib
import sqlite3
from collections.abc import Sequence

from appliance.store.event_log import Logged, logged
from appliance.store.schema import CATALOGUE
from appliance.store.writer import Store
from tests.store.box import Box


async def pages(store: Store, kinds: Sequence[str] = (), limit: int = 3) -> list[Logged]:
    """All of them, a page after the other."""
    found: list[Logged] = []
    while True:
        before = found[-1].number if found else None
        page = await store.ask(logged, kinds, before=before, limit=limit)
        found += page
        if len(page) < limit:
            return found


async def test_page_by_page(box: Box) -> None:
    async with box.store() as store:
        for n in range(8):
            box.now_s += 60
            store.record("changed" if n % 2 else "radio_failed", {"n": n})
        store.hear(box.message(1, 1), False)
        box.now_s += 60
        store.hear(box.message(1, 1, tamper_phy=1), False)
        await store.commit()
        everything = await pages(store)
        assert [event.kind for event in everything] == ["tamper", *["changed", "radio_failed"] * 4, "boot"]
        assert everything[0].meter is not None
        assert [event.detail["n"] for event in await pages(store, ["changed"])] == [7, 5, 3, 1]
        some = await pages(store, ["radio_failed", "boot", "clock_set"])
        assert [event.kind for event in some] == [*["radio_failed"] * 4, "boot"]
        assert await store.ask(logged, limit=0) == []


async def test_what_another_version_wrote(box: Box) -> None:
    async with box.store() as store:
        await store.commit()
        with contextlib.closing(sqlite3.connect(box.directory / CATALOGUE)) as card:
            at = store.clock.now()
            rows = [(90, "moved_house", None, '{"to": 1}'), (91, "boot", 99, "[1]"), (92, "boot", None, "{")]
            card.executemany(f"INSERT INTO event VALUES (?, {at}, ?, ?, ?)", rows)
            card.commit()
        found = await store.ask(logged)
        assert [(event.kind, event.meter, event.detail) for event in found[:3]] == [
            ("boot", None, {}),
            ("boot", None, {}),
            ("moved_house", None, {"to": 1}),
        ]


async def test_a_log_that_goes_over_several_starts_and_what_was_imported(box: Box) -> None:
    async with box.store() as store:
        store.record("changed", {"n": 1})
        await store.commit()
    box.restart()
    async with box.store() as store:
        store.record("changed", {"n": 2})
        await store.commit()
        with contextlib.closing(sqlite3.connect(box.directory / CATALOGUE)) as card:
            utc_ms = store.clock.utc_ms(store.clock.now())
            card.execute("INSERT INTO event VALUES (95, ?, 'changed', NULL, '{\"n\": 0}')", (utc_ms - 3_600_000,))
            card.commit()
        assert [event.detail["n"] for event in await pages(store, ["changed"], limit=1)] == [2, 1, 0]
