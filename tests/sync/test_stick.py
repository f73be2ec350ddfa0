"""Out of the outbox onto a stick, to an aggregator, and back: also when it is full, pulled out, or somebody's trap."""

import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.stick import Stick as Ingested
from appliance.durable import write
from appliance.errors import InputError, StoreError
from appliance.store.writer import Store
from appliance.sync import stick
from appliance.sync.identity import open_identity, rotate, seen_identity
from appliance.sync.outbox import Name
from appliance.sync.returned import find, own
from appliance.sync.sealing import Sealing
from appliance.sync.stick import Exported, export, folder_of
from tests.store.box import Box, contents
from tests.sync.centre import NOW_MS, Centre
from tests.sync.sticks import KINDS, Stick
from tests.sync.test_courier import stored


@pytest.fixture
async def box(tmp_path: Path) -> Box:
    """An appliance that does not run; it has sealed five batches, and has had two keys."""
    one = Box(tmp_path / "data")
    async with one.store() as opened:
        await heard(one, opened, 3)
    rotate(one.directory, open_identity(one.directory))
    async with one.store() as opened:
        await heard(one, opened, 2)
    return one


async def heard(box: Box, store: Store, times: int) -> None:
    sealing = Sealing(store)
    for _ in range(times):
        box.hear(store, 15)
        assert await sealing.seal_now() == ""
    sealing.close()


def put(box: Box, root: Path) -> Exported:
    identity = seen_identity(box.directory)
    return export(box.directory, identity, identity.introduction("Calle 5", "0.1.0"), root)


async def ingested(there: Centre, root: Path) -> list[str]:
    """What an aggregator says of each file, and puts beside them; it approves whoever enrols."""
    said = []
    taken = Ingested(root, there.worker, Appliances(there.database))
    async for outcome in taken.take_in(NOW_MS):
        said.append(outcome.words)
        for known in await there.appliances.all("waiting"):
            await there.appliances.approve(known.identity, NOW_MS)
    taken.write_receipts()
    return said


async def test_there_and_back(box: Box, there: Centre, tmp_path: Path) -> None:
    root = tmp_path / "stick"
    root.mkdir()
    before = contents(box.directory)
    done = put(box, root)
    assert [(n.epoch, n.sequence) for n in done.names] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert (done.written, done.removed, done.damaged) == (5, 0, [])
    assert done.size == sum(path.stat().st_size for path in root.rglob("*.batch"))
    assert contents(box.directory) == before
    assert await ingested(there, root) == ["waits for your approval", "the key is known", *["stored"] * 5]
    assert await stored(there, box) == box.everything()["reading"]
    # A second time there is nothing new; what the aggregator put there stays.
    again = put(box, root)
    assert (again.written, again.removed, len(again.names)) == (0, 0, 5)
    assert len(own(root, done_by(box)).files) == 2


def done_by(box: Box) -> str:
    return seen_identity(box.directory).appliance


async def test_what_is_receipted_goes_from_the_stick(box: Box, there: Centre, tmp_path: Path) -> None:
    root = tmp_path / "stick"
    root.mkdir()
    put(box, root)
    await ingested(there, root)
    folder = folder_of(root, done_by(box))
    # The aggregator puts them beside the batches, and each epoch's lie together.
    lines = b"".join(path.read_bytes() for path in own(root, done_by(box)).files).splitlines(keepends=True)
    # The first two came by another way.
    write(box.directory / "outbox" / "receipts.jsonl", b"".join(lines[:2]))
    assert put(box, root).removed == 2
    assert len(list(folder.rglob("receipts.jsonl"))) == 2
    write(box.directory / "outbox" / "receipts.jsonl", b"".join(lines))
    (folder / "000002-0000" / "000002-00000002.batch.part").write_bytes(b"torn")
    done = put(box, root)
    assert (done.removed, done.names) == (3, [])
    assert sorted(path.name for path in folder.rglob("*.*")) == ["000002.rotation", "introduction.enrolment"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_stick_has_whole_batches_and_says_how_many(box: Box, tmp_path: Path, kind: str) -> None:
    made = Stick(tmp_path, kind, 4 << 20)
    with made.plugged() as root:
        with pytest.raises(StoreError, match=r"the stick is full; \d of 5 batches are on it") as fault:
            filled(root, leaving=9_000)
            put(box, root)
        assert "What waits stays in the outbox" in fault.value.hint
        whole = {path.name: path.read_bytes() for path in (box.directory / "outbox").glob("*.batch")}
        for path in root.rglob("*.batch"):
            assert path.read_bytes() == whole[path.name]
        assert not list(root.rglob("*.part"))
        (root / "filler").unlink()
        assert len(put(box, root).names) == 5


def filled(root: Path, leaving: int) -> None:
    about = os.statvfs(root)
    with (root / "filler").open("wb") as file:
        file.write(bytes(max(0, about.f_bavail * about.f_frsize - leaving)))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stick_that_is_write_protected_is_named_so(box: Box, tmp_path: Path, kind: str) -> None:
    with Stick(tmp_path, kind).plugged("ro") as root, pytest.raises(StoreError, match="write-protected; 0 of 5"):
        put(box, root)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [0, 2, 4])
async def test_pulled_out_halfway_nothing_is_torn_and_nothing_lands_beside(
    box: Box, tmp_path: Path, kind: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Stick(tmp_path, kind)
    with made.plugged() as root:
        handle = os.open(root, os.O_RDONLY)
        count = 0

        def pull(done: int, _total: int | None) -> None:
            nonlocal count
            count += 1
            if done == after:
                # As a device that is gone: it takes nothing more.
                subprocess.run(["mount", "-o", "remount,ro", root], check=True)
                made.pull()

        identity = seen_identity(box.directory)
        with pytest.raises(StoreError, match=f"; {after} of 5 batches are on it"):
            export(box.directory, identity, identity.introduction(), Path(f"/proc/self/fd/{handle}"), pull)
        os.close(handle)
    assert list(made.root.iterdir()) == []
    with made.plugged() as root:
        there = sorted(path.name for path in root.rglob("*.batch"))
        assert len(there) == after
        assert put(box, root).written == 5 - after


def test_where_there_is_no_stick_or_no_outbox_it_is_said(box_free: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no key yet"):
        seen_identity(box_free)
    identity = open_identity(box_free)
    with pytest.raises(StoreError, match="holds no outbox yet"):
        export(box_free, identity, b"", tmp_path)


@pytest.fixture
def box_free(tmp_path: Path) -> Path:
    """A data directory in which nothing ran yet."""
    return tmp_path / "data"


async def test_no_folder_or_a_file_in_the_way_is_said(box: Box, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        put(box, tmp_path / "nowhere")
    (tmp_path / "meter-appliance").write_text("in the way")
    with pytest.raises(InputError, match="is no folder, but a link or a file"):
        put(box, tmp_path)


async def test_nothing_is_written_through_links(box: Box, tmp_path: Path) -> None:
    root, victim = tmp_path / "stick", tmp_path / "victim"
    root.mkdir()
    victim.mkdir()
    (victim / "000001-00000001.batch").write_text("precious")
    (root / "meter-appliance").symlink_to(victim)
    with pytest.raises(InputError, match="a link"):
        put(box, root)
    (root / "meter-appliance").unlink()
    folder = folder_of(root, done_by(box)) / "000001-0000"
    folder.mkdir(parents=True)
    (folder / "000001-00000001.batch").symlink_to(victim / "000001-00000001.batch")
    (folder / "000001-00000002.batch.part").symlink_to(victim / "000001-00000001.batch")
    os.mkfifo(folder / "000001-00000003.batch")
    os.mkfifo(folder / "receipts.jsonl")
    assert put(box, root).written == 5
    assert (victim / "000001-00000001.batch").read_text() == "precious"
    assert all(path.is_file() and not path.is_symlink() for path in folder.glob("*.batch"))
    assert find(root, done_by(box)).files == []
    shutil.rmtree(folder)
    folder.symlink_to(victim)
    with pytest.raises(InputError, match="a link"):
        put(box, root)
    assert [path.name for path in victim.iterdir()] == ["000001-00000001.batch"]


async def test_a_file_of_line_ends_costs_no_more_than_its_size(box: Box, tmp_path: Path) -> None:
    root = tmp_path / "stick"
    folder = folder_of(root, seen_identity(box.directory).appliance)
    folder.mkdir(parents=True)
    (folder / "receipts.jsonl").write_bytes(b"\n" * (16 << 20))
    tracemalloc.start()
    put(box, root)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()


async def test_a_batch_that_is_damaged_on_the_card_or_goes_meanwhile_is_left_out(box: Box, tmp_path: Path) -> None:
    root = tmp_path / "stick"
    root.mkdir()
    damaged = box.directory / "outbox" / "000002-00000001.batch"
    damaged.write_bytes(damaged.read_bytes().replace(b'"payload":"', b'"payload":"AAAA'))
    identity = seen_identity(box.directory)

    def receipted(done: int, _total: int | None) -> None:
        if done == 0:
            (box.directory / "outbox" / "000001-00000002.batch").unlink()

    done = export(box.directory, identity, identity.introduction(), root, receipted)
    assert done.damaged == [Name(2, 1)]
    assert [(n.epoch, n.sequence) for n in done.names] == [(1, 1), (1, 3), (2, 2)]
    assert stick.waiting_in(box.directory) == [Name(1, 1), Name(1, 3), Name(2, 1), Name(2, 2)]


def test_each_file_goes_to_the_stick_once(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stick takes some tens of milliseconds for that, and a year without a link is 35,000 batches."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    root = tmp_path / "stick"
    root.mkdir()
    done = put(box, root)
    folder = folder_of(root, seen_identity(box.directory).appliance)
    folders = [root, folder.parent, folder, folder / "000001-0000", folder / "000002-0000"]
    assert sorted(synced[-5:]) == sorted(map(str, folders))
    # The batches, who it is, and its second key; whole before they have their names.
    assert len(synced) == len(done.names) + 2 + len(folders)
    assert all(path.endswith(".part") for path in synced[:-5])


def test_so_many_lie_together_that_a_fat_folder_has_room_for_their_names() -> None:
    # Three entries of 32 bytes for each name, of which a folder has 65,536.
    assert 3 * stick.ON_A_SHELF < 65_536
    assert [stick.shelf_of(Name(2, n)) for n in (1, 9_999, 10_000, 35_040)] == [
        "000002-0000", "000002-0000", "000002-0001", "000002-0003",
    ]  # fmt: skip
