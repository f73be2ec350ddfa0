"""Notes are bounded, belong to who wrote them, and go with the meter also through a restart."""

from pathlib import Path

import pytest

from appliance.errors import InputError
from appliance.store import notes
from appliance.store.notes import LONGEST_NOTE, MOST_A_DAY, MOST_OF_METER, add_note, remove_note
from appliance.store.rows import MeterKey
from appliance.store.schema import CATALOGUE
from tests.store.box import Box, ask

METER, OTHER = MeterKey("scm", 1000, False), MeterKey("", 5, False)
DAY_S = 86_400


async def test_notes_of_a_meter_the_latest_first(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        await add_note(store, METER, "ana", "  behind   the gate\n ask at nº 14 ")
        box.now_s += 60
        await add_note(store, METER, "luis", "dog")
        await add_note(store, OTHER, "luis", "not found")
        assert [(one.who, one.text) for one in await store.ask(notes.notes, METER)] == [
            ("luis", "dog"),
            ("ana", "behind the gate\nask at nº 14"),
        ]
    async with box.store() as store:
        latest, first = await store.ask(notes.notes, METER)
        assert latest.at - first.at == 60_000
        assert await store.ask(notes.notes, MeterKey("scm", 1000, True)) == []
        with pytest.raises(InputError, match="somebody else's"):
            await remove_note(store, latest.number, "ana")
        await remove_note(store, latest.number, "luis")
        with pytest.raises(InputError, match="not there any more"):
            await remove_note(store, latest.number, "luis")
        assert await store.ask(notes.notes, METER) == [first]
        assert store.copy_wanted
    assert box.events("changed")[-2:] == [
        '{"who":"luis","what":"note_added","protocol":"","meter_id":5,"simulated":false}',
        '{"who":"luis","what":"note_removed","protocol":"scm","meter_id":1000,"simulated":false}',
    ]
    assert not any("gate" in detail for detail in box.events("changed"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), (" \n ", "empty"), ("x" * (LONGEST_NOTE + 1), "more than 500"), ("a\x07b", "cannot be shown"),
     ("a\u202eb", "cannot be shown"), ("\ud800", "cannot be shown")],
)  # fmt: skip
async def test_what_is_no_note(tmp_path: Path, text: str, words: str) -> None:
    async with Box(tmp_path).store() as store:
        with pytest.raises(InputError, match=words):
            await add_note(store, METER, "ana", text)
        assert await store.ask(notes.notes, METER) == []


async def test_how_many_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        for _ in range(MOST_OF_METER):
            await add_note(store, METER, "ana", "again")
        with pytest.raises(InputError, match="50 about this meter already"):
            await add_note(store, METER, "ana", "again")
        for n in range(MOST_A_DAY - MOST_OF_METER):
            await add_note(store, MeterKey("scm", n, False), "ana", "again")
        with pytest.raises(InputError, match="200 in a day already"):
            await add_note(store, OTHER, "ana", "again")
        box.now_s += DAY_S + 1
        await add_note(store, OTHER, "ana", "again")
        monkeypatch.setattr(notes, "MOST_NOTES", 201)
        with pytest.raises(InputError, match="201 in all already"):
            await add_note(store, OTHER, "ana", "again")
    assert ask(tmp_path / CATALOGUE, "SELECT count(*) FROM note") == [(201,)]
