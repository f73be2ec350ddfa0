"""A data directory after whatever happened to it: the catalogue made anew, later versions untouched, cuts anywhere."""

import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import StoreTooNew
from appliance.store import files, upkeep
from appliance.store.repair import recovery
from appliance.store.schema import CATALOGUE, COPY, DAMAGED, HISTORY, LIVE, sums_path
from tests.store.box import Box, ask, contents, flip, is_whole, spoil

PAGE_BYTES = 4096


def known(directory: Path) -> dict[str, set[tuple[Any, ...]]]:
    """What only the catalogue says, apart from how each meter was last heard and what was told of damage."""
    path = directory / CATALOGUE
    return {
        "meter": set(ask(path, "SELECT number, protocol, meter_id, simulated, commodity, first_at FROM meter")),
        "boot": set(ask(path, "SELECT number, boot_id FROM boot")),
        "fix": set(ask(path, "SELECT * FROM fix")),
        "event": set(ask(path, "SELECT * FROM event WHERE kind NOT IN ('catalogue_restored', 'segment_damaged')")),
        "segment": set(ask(path, "SELECT * FROM segment")),
    }


@pytest.fixture
async def old(box: Box) -> Box:
    """Three boots, segments joined since the last copy of the catalogue, meters and events newer than it."""
    await box.sealed(2, minutes=90, meters=4)
    copy = (box.directory / COPY).read_bytes()
    box.restart()
    await box.sealed(1, minutes=90, meters=6)
    box.restart()
    async with box.store() as store:
        box.hear(store, 60, meters=8)
        assert await store.commit() == ""
        keeper = box.upkeep(store)
        await keeper.tend()
        made = await in_thread_joined(keeper)
        assert made == 2
        box.hear(store, 61, meters=9)
    (box.directory / COPY).write_bytes(copy)
    return box


async def in_thread_joined(keeper: upkeep.Upkeep) -> int:
    """Joins the first two segments; returns how many are listed then."""
    before, upkeep.JOIN = upkeep.JOIN, 2
    try:
        await keeper._join()
    finally:
        upkeep.JOIN = before
    return len(keeper._store.segments)


def header(path: Path) -> None:
    spoil(path, 0, b"?" * 100)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def no_database(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 500)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def gone(path: Path) -> None:
    path.unlink()


WAYS = [header, empty, no_database, pipe, folder, gone]


@pytest.mark.parametrize("copy", ["copy", "damaged copy", "no copy"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_lost_catalogue_is_made_anew(old: Box, way: Callable[[Path], None], copy: str) -> None:
    before, rows = known(old.directory), old.everything()
    states = ask(old.directory / CATALOGUE, "SELECT number, consumption, tamper_enc FROM meter")
    way(old.directory / CATALOGUE)
    if copy == "damaged copy":
        no_database(old.directory / COPY)
    elif copy == "no copy":
        (old.directory / COPY).unlink()
    async with old.store() as store:
        assert store.trouble == ""
        assert {m.key.meter_id: (m.consumption, m.tamper_enc) for m in store.ledger.meters} == {
            999 + number: (consumption, tamper) for number, consumption, tamper in states
        }
        assert await store.commit() == ""
        assert known(old.directory) == before
        assert old.everything() == rows
        old.hear(store, 1, meters=10)
    (restored,) = old.events("catalogue_restored")
    assert restored == ('{"from":"copy"}' if copy == "copy" else '{"from":"segments"}')
    assert old.events("segment_damaged") == []
    assert {row for row in old.meters() if row[2] < 1009} == {row[:4] for row in before["meter"]}
    assert is_whole(old.directory)
    assert recovery.prepare(old.directory) == []


async def test_each_page_of_the_catalogue_in_turn(old: Box, tmp_path: Path) -> None:
    before, rows = known(old.directory), old.everything()
    chance = random.Random(5)
    pages = (old.directory / CATALOGUE).stat().st_size // PAGE_BYTES
    assert pages > 8
    for page in range(pages):
        for content in (bytes(PAGE_BYTES), chance.randbytes(PAGE_BYTES)):
            data = shutil.copytree(old.directory, tmp_path / "copy")
            spoil(data / CATALOGUE, page * PAGE_BYTES, content)
            findings = recovery.prepare(data)
            assert [kind for kind, _ in findings] == ["catalogue_restored"]
            assert known(data) == before
            assert Box(data).everything() == rows
            shutil.rmtree(data)


async def test_each_byte_of_the_header_and_bits_anywhere(old: Box, tmp_path: Path) -> None:
    """A flipped bit within a row cannot be noticed; whatever it is, the store comes up and its segments stay."""
    rows, meters = old.everything()["reading"], len(old.meters())
    chance = random.Random(6)
    size = (old.directory / CATALOGUE).stat().st_size
    places = [*range(0, 100, 3), 18, 19, 60, 61, 62, 63, *(chance.randrange(size) for _ in range(40))]
    for place in places:
        data = shutil.copytree(old.directory, tmp_path / "copy")
        flip(data / CATALOGUE, place, 1 << chance.randrange(8))
        recovery.prepare(data)
        assert Box(data).everything()["reading"] == rows, place
        assert len(Box(data).meters()) == meters
        assert recovery.prepare(data) == []
        shutil.rmtree(data)


@pytest.mark.parametrize("statement", [
    "UPDATE meter SET commodity = 'elektric' WHERE number = 2",
    "UPDATE event SET detail = '{\"' WHERE number = 1",
    "UPDATE fix SET source = 'nto'",
    "UPDATE segment SET live_to = live_to + 1048576",
    "UPDATE segment SET from_at = from_at + 1048576",
    "UPDATE segment SET readings = 1",
    "DELETE FROM segment WHERE number = 1",
    "PRAGMA user_version = 0",
    "PRAGMA user_version = 129",
])  # fmt: skip
async def test_what_was_never_written_there_is_damage(old: Box, statement: str) -> None:
    before, rows = known(old.directory), old.everything()
    with contextlib.closing(sqlite3.connect(old.directory / CATALOGUE)) as connection:
        connection.execute(statement)
        connection.commit()
    async with old.store() as store:
        assert store.trouble == ""
        assert await store.commit() == ""
    assert known(old.directory) == before
    assert old.everything() == rows


async def test_a_damaged_catalogue_does_not_replace_its_copy(old: Box) -> None:
    async with old.store() as store:
        assert await store.commit() == ""
        copy = (old.directory / COPY).read_bytes()
        old.now_s += 10**6
        assert store.catalogue is not None
        await store.catalogue.execute("UPDATE meter SET commodity = 'elektric' WHERE number = 2")
        keeper = old.upkeep(store)
        old.now_s += 10**6
        with pytest.raises(sqlite3.DatabaseError, match="damaged"):
            await keeper.tend()
        assert (old.directory / COPY).read_bytes() == copy
        assert await store.commit() == ""
        await keeper.tend()
        assert (old.directory / COPY).read_bytes() != copy
    assert len(old.events("catalogue_restored")) == 1


async def test_a_segment_that_ends_before_its_time_is_missed(old: Box) -> None:
    row = old.listed()[0]
    old.segment(row).unlink()
    sums_path(old.segment(row)).unlink()
    ((kind, detail),) = recovery.prepare(old.directory)
    span = {"from_at": row.from_at, "to_at": row.to_at}
    told = {"segment": row.number, "readings": row.readings, "missing": True} | span
    assert (kind, detail) == ("segment_damaged", told)
    assert row not in old.listed()


@pytest.mark.parametrize("name", [CATALOGUE, COPY, LIVE, f"{HISTORY}/000009.db", "listed"])
async def test_what_a_later_version_wrote_is_left_untouched(old: Box, name: str) -> None:
    (old.directory / "catalogue.db.part").write_text("unfinished")
    path = old.segment(old.listed()[-1]) if name == "listed" else old.directory / name
    if not path.exists():
        shutil.copyfile(old.segment(old.listed()[-1]), path)
    path.chmod(0o600)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE later (x)")
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    before = contents(old.directory)
    with pytest.raises(StoreTooNew, match="format 99 of a later version"):
        async with old.store():
            pass
    assert contents(old.directory) == before
    assert not (old.directory / DAMAGED).exists()


async def test_an_empty_directory_has_nothing_to_tell(tmp_path: Path) -> None:
    assert recovery.prepare(tmp_path / "data") == []
    assert recovery.prepare(tmp_path / "data") == []
    assert is_whole(tmp_path / "data")


async def test_strays_are_entered_and_what_they_replace_goes(box: Box, tmp_path: Path) -> None:
    """Cut short between the making of a segment and its listing, or its listing and the removal of others."""
    await box.sealed(3, minutes=60)
    before = box.everything()
    data = shutil.copytree(box.directory, tmp_path / "copy")
    copy = box.at(data)
    with contextlib.closing(files.create(data / CATALOGUE, "catalogue")) as catalogue:
        catalogue.execute("DELETE FROM segment WHERE number = 3")
    assert recovery.prepare(data) == []
    assert copy.everything() == before
    kept = {path: path.read_bytes() for path in (data / HISTORY).glob("0*")}
    async with copy.store() as store:
        assert await in_thread_joined(copy.upkeep(store)) == 2
    for path, content in kept.items():
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert recovery.prepare(data) == []
    assert copy.everything()["reading"] == before["reading"]
    assert {row.number for row in copy.listed()} == {int(p.stem) for p in (data / HISTORY).glob("0*.db")}


class Cut(Exception):
    """The power failed."""


@pytest.mark.parametrize("what", ["catalogue", "live", "segment"])
async def test_a_cut_between_any_two_steps_of_a_repair(
    old: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    newest = old.segment(old.listed()[-1])
    path = {"catalogue": old.directory / CATALOGUE, "live": old.directory / LIVE, "segment": newest}[what]
    spoil(path, 3 * PAGE_BYTES, bytes(PAGE_BYTES))
    shutil.copytree(old.directory, tmp_path / "whole")
    recovery.prepare(tmp_path / "whole")
    expected, meters = Box(tmp_path / "whole").everything(), Box(tmp_path / "whole").meters()
    for step in range(200):
        data = shutil.copytree(old.directory, tmp_path / "cut")
        with monkeypatch.context() as patched:
            steps = cut_at(patched, step)
            try:
                recovery.prepare(data)
                is_cut = False
            except Cut:
                is_cut = True
        recovery.prepare(data)
        assert Box(data).everything() == expected, step
        assert Box(data).meters() == meters
        assert is_whole(data)
        shutil.rmtree(data)
        if not is_cut:
            break
    else:
        pytest.fail("never came to the end")
    assert steps[0] > 3


def cut_at(patched: pytest.MonkeyPatch, step: int) -> list[int]:
    """The power fails before the step of that number that changes names or waits for the card; counts them."""
    count = [0]

    def cutting(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **options: Any) -> Any:
            if count[0] == step:
                raise Cut
            count[0] += 1
            return real(*args, **options)

        return act

    for name in ("rename", "unlink", "mkdir", "write_bytes", "chmod"):
        patched.setattr(Path, name, cutting(getattr(Path, name)))
    patched.setattr(os, "fsync", cutting(os.fsync))
    return count
