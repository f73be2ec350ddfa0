"""Accounts are on the card or are not; sessions outlive a restart of the program, not of the machine; a card that
takes nothing keeps nobody out.
"""

import asyncio
from pathlib import Path

import pytest

from appliance.account import LOCKED, LOGGED_IN, LOGGED_OUT, Account, Session
from appliance.errors import StoreError, UsageError
from appliance.store import account_handover, people
from appliance.store.account_handover import Wanted, adopt, hand_over, waiting
from appliance.store.accounts import TECHNICIAN, Accounts
from appliance.store.schema import CATALOGUE, COPY
from appliance.store.writer import Store
from tests.store.box import Box, ask, flip
from tests.store.conftest import Remount

DAY_MS = 86_400_000


def session(accounts: Accounts, token: str, name: str = "ana") -> Session:
    return Session(token, name, TECHNICIAN, accounts.now_ms(), accounts.now_ms())


async def read_only(store: Store, card: Remount) -> None:
    # Linux does not let a card become so on demand while a file on it is open for writing.
    await store.disconnect()
    card("ro")


async def test_an_account_is_on_the_card_when_it_is_said_to_be(tmp_path: Path) -> None:
    async with Box(tmp_path).store() as store:
        accounts = Accounts(store)
        assert await accounts.are_none()
        await accounts.add("ana", "kept", "console")
        assert ask(tmp_path / CATALOGUE, "SELECT name, kept, role FROM account") == [("ana", "kept", TECHNICIAN)]
        assert await accounts.find("ana") == Account("ana", "kept", TECHNICIAN, is_given=True)
        assert await accounts.find("luis") is None
        assert not await accounts.are_none()
        with pytest.raises(UsageError, match="has an account already"):
            await accounts.add("ana", "other", "console")
    async with Box(tmp_path).store() as store:
        assert await Accounts(store).find("ana") == Account("ana", "kept", TECHNICIAN, is_given=True)


async def test_each_change_is_an_event_with_who_and_what_and_no_password(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept one", "console")
        await accounts.add("luis", "kept two", "ana")
        await accounts.set_password("ana", "kept three", accounts.now_ms())
        await accounts.disable("luis", "ana")
        await accounts.note("ana", LOGGED_IN, "192.0.2.7", accounts.now_ms())
        await accounts.note("ana", LOGGED_OUT, "192.0.2.7", accounts.now_ms())
        await accounts.note("ana", LOCKED, "192.0.2.8", accounts.now_ms())
        await store.commit()
    assert box.events("changed") == [
        '{"who":"console","what":"account_added","account":"ana"}',
        '{"who":"ana","what":"account_added","account":"luis"}',
        '{"who":"ana","what":"password_changed","account":"ana"}',
        '{"who":"ana","what":"account_removed","account":"luis"}',
    ]
    assert box.events("logged_in") == ['{"who":"ana","from":"192.0.2.7"}']
    assert box.events("log_in_refused") == ['{"who":"ana","from":"192.0.2.8"}']


async def test_who_is_removed_is_out_at_once_and_can_be_added_again(tmp_path: Path) -> None:
    async with Box(tmp_path).store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        with pytest.raises(UsageError, match="the last who can log in"):
            await accounts.disable("ana", "console")
        await accounts.add("luis", "kept", "console")
        await accounts.begin(session(accounts, "t1"), 0)
        await accounts.begin(session(accounts, "t2", "luis"), 0)
        await store.commit()
        await accounts.disable("ana", "luis")
        assert await accounts.session("t1") is None
        assert await accounts.session("t2") is not None
        assert await accounts.find("ana") is None
        with pytest.raises(UsageError, match="ana has no account"):
            await accounts.set_password("ana", "x", accounts.now_ms())
        await store.commit()
        assert ask(tmp_path / CATALOGUE, "SELECT token_sha256 FROM session") == [("t2",)]
        await accounts.add("ana", "new", "console")
        assert [(one.name, one.kept, one.disabled_at) for one in await accounts.all()] == [
            ("ana", "new", None),
            ("luis", "kept", None),
        ]


async def test_of_two_who_remove_each_other_at_once_one_stays(tmp_path: Path) -> None:
    async with Box(tmp_path).store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await accounts.add("luis", "kept", "console")
        ends = await asyncio.gather(
            accounts.disable("ana", "luis"), accounts.disable("luis", "ana"), return_exceptions=True
        )
        assert [isinstance(end, UsageError) for end in ends] == [False, True]
        assert not await accounts.are_none()
        ends = await asyncio.gather(
            *(accounts.add("ana", f"kept {n}", "luis") for n in range(2)), return_exceptions=True
        )
        assert [isinstance(end, UsageError) for end in ends] == [False, True]
        assert accounts.kept_of("ana") == "kept 0"


async def test_sessions_outlive_the_program_and_not_the_machine(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await accounts.begin(session(accounts, "t1"), 0)
        await accounts.begin(session(accounts, "t2"), 0)
        await accounts.end("t2")
        await accounts.end("t2")
    async with box.store() as store:
        accounts = Accounts(store)
        kept = await accounts.session("t1")
        assert kept is not None
        assert (kept.name, kept.role) == ("ana", TECHNICIAN)
        assert await accounts.session("t2") is None
    box.restart()
    async with box.store() as store:
        accounts = Accounts(store)
        kept = await accounts.session("t1")
        assert kept is not None
        # By the stamps, what is a minute to the clock on the wall is for ever.
        assert accounts.now_ms() - kept.made_ms > 1000 * DAY_MS
        await accounts.begin(session(accounts, "t3"), accounts.now_ms() - DAY_MS)
    assert ask(tmp_path / CATALOGUE, "SELECT token_sha256 FROM session") == [("t3",)]


async def test_a_session_that_is_used_is_written_each_quarter_of_an_hour_at_most(tmp_path: Path) -> None:
    box = Box(tmp_path)
    written = []
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await accounts.begin(session(accounts, "t1"), 0)
        for _ in range(120):
            box.now_s += 60
            await accounts.touch("t1", accounts.now_ms())
            found = await accounts.session("t1")
            assert found is not None
            assert found.used_ms == accounts.now_ms()
            await store.commit()
            written += ask(tmp_path / CATALOGUE, "SELECT used_at FROM session")
        await accounts.touch("nobody's", accounts.now_ms())
    assert len(set(written)) == 120 // 15 + 1


async def test_how_much_anyone_can_cause_is_bounded(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        for n in range(1000):
            box.now_s += 1
            await accounts.note("ana", LOCKED, "192.0.2.8" * 100, accounts.now_ms())
            await accounts.note("ana", LOGGED_IN, "192.0.2.8", accounts.now_ms())
            await accounts.begin(session(accounts, f"t{n}"), 0)
        assert len(store.people.sessions) == people.MOST_SESSIONS
        assert await accounts.session("t999") is not None
        assert await accounts.session("t0") is None
        await store.commit()
        for n in range(people.MOST_ACCOUNTS - 1):
            await accounts.add(f"a{n}", "kept", "console")
        with pytest.raises(UsageError, match="50 accounts already"):
            await accounts.add("one-more", "kept", "console")
        await accounts.disable("a7", "console")
        await accounts.add("one-more", "kept", "console")
        assert "a7" not in store.people.accounts
    assert 20 <= len(box.events("log_in_refused")) <= 25
    assert 100 < len(box.events("logged_in")) < 140
    assert all(len(detail) < 120 for detail in box.events("log_in_refused"))
    names = ask(tmp_path / CATALOGUE, "SELECT count(*), sum(name = 'a7'), sum(name = 'one-more') FROM account")
    assert names == [(50, 0, 1)]
    assert ask(tmp_path / CATALOGUE, "SELECT count(*) FROM session") == [(200,)]


async def test_a_card_that_takes_nothing_keeps_nobody_out(tmp_path: Path, small_card: Remount) -> None:
    box = Box(tmp_path / "data")
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await read_only(store, small_card)
        await accounts.begin(session(accounts, "t1"), 0)
        await accounts.note("ana", LOGGED_IN, "192.0.2.7", accounts.now_ms())
        assert await store.commit() == "the card is read-only"
        assert await accounts.session("t1") is not None
        await accounts.renew("ana", "not kept", "what was before")
        await accounts.renew("ana", "kept anew", "kept")
        assert await accounts.find("ana") == Account("ana", "kept anew", TECHNICIAN, is_given=True)
        for change in (
            accounts.add("luis", "kept", "ana"),
            accounts.set_password("ana", "other", accounts.now_ms()),
        ):
            with pytest.raises(StoreError, match="the account cannot be kept: the card is read-only"):
                await change
        assert await accounts.find("luis") is None
        assert await accounts.session("t1") is not None
        small_card("rw")
        assert await store.commit() == ""
    assert ask(tmp_path / "data" / CATALOGUE, "SELECT token_sha256 FROM session") == [("t1",)]
    assert ask(tmp_path / "data" / CATALOGUE, "SELECT kept FROM account") == [("kept anew",)]
    assert len(box.events("logged_in")) == 1


async def test_while_the_card_cannot_be_read_nobody_is_taken_for_the_first(tmp_path: Path, small_card: Remount) -> None:
    box = Box(tmp_path / "data")
    async with box.store() as store:
        await Accounts(store).add("ana", "kept", "console")
    small_card("ro")
    async with box.store() as store:
        accounts = Accounts(store)
        assert not await accounts.are_none()
        assert accounts.trouble == "the accounts cannot be read yet: the card is read-only"
        with pytest.raises(StoreError, match="cannot be read yet"):
            await accounts.add("eve", "kept", "console")
        small_card("rw")
        assert await store.commit() == ""
        assert not Accounts(store).trouble
        assert await accounts.find("ana") is not None


async def test_of_a_lost_catalogue_the_running_program_knows_better(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await box.upkeep(store)._copy()
        await accounts.set_password("ana", "new", accounts.now_ms())
        await accounts.begin(session(accounts, "t1"), 0)
        (tmp_path / CATALOGUE).unlink()
        assert await store.commit() == ""
        assert ask(tmp_path / CATALOGUE, "SELECT kept FROM account") == [("new",)]
        assert ask(tmp_path / CATALOGUE, "SELECT token_sha256 FROM session") == [("t1",)]


async def test_no_session_comes_back_with_a_copy_or_a_restore(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await accounts.begin(session(accounts, "t1"), 0)
        assert store.copy_wanted
        upkeep = box.upkeep(store)
        await store.commit()
        await upkeep._copy()
        assert not store.copy_wanted
        await accounts.end("t1")
    flip(tmp_path / CATALOGUE, 18, 0xFF)
    async with box.store() as store:
        assert await Accounts(store).find("ana") is not None
        assert await Accounts(store).session("t1") is None
        handed = tmp_path / "handover" / "restore"
        (handed / "history").mkdir(parents=True)
        (handed / "backup.json").write_text('{"made": "2026", "name": "Calle 5"}')
        (tmp_path / COPY).rename(handed / CATALOGUE)
        await box.upkeep(store)._take_up_restore()
        assert await Accounts(store).find("ana") is not None
        assert await Accounts(store).session("t1") is None
        await store.commit()
    assert ask(tmp_path / CATALOGUE, "SELECT * FROM session") == []


async def test_a_copy_is_made_soon_after_a_change(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        upkeep = box.upkeep(store)
        await upkeep._copy()
        await Accounts(store).add("ana", "kept", "console")
        for minutes, expected in ((14, []), (1, [("ana",)])):
            box.now_s += 60 * minutes
            await upkeep._copy()
            assert ask(tmp_path / COPY, "SELECT name FROM account") == expected


async def test_what_a_command_leaves_is_done(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        for wanted in (
            Wanted("add", "ana", "one"), Wanted("add", "luis", "two"), Wanted("password", "ana", "three"),
            Wanted("remove", "luis"), Wanted("remove", "ana"), Wanted("add", "ana", "four"), Wanted("remove", "nobody"),
        ):  # fmt: skip
            path = hand_over(tmp_path, wanted)
            assert path.stat().st_mode & 0o777 == 0o600
            await box.upkeep(store).tend()
            assert waiting(tmp_path) == []
        assert [(one.name, one.kept, one.disabled_at is None) for one in await Accounts(store).all()] == [
            ("ana", "three", True),
            ("luis", "two", False),
        ]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"\xff", b'{"what": "add", "name": "ana", "kept": ""}', b"[" * 5000,
     b'{"what": "own", "name": "ana", "kept": "x"}', b'{"what": "add", "name": "a b", "kept": "x"}',
     b'{"what": "add", "name": 5, "kept": "x"}', b'{"what": "add", "name": "ana", "kept": 5}', b"x" * 10_000],
)  # fmt: skip
async def test_what_nobody_here_left_is_removed(tmp_path: Path, content: bytes) -> None:
    async with Box(tmp_path).store() as store:
        path = hand_over(tmp_path, Wanted("remove", "ana"))
        path.write_bytes(content)
        await adopt(store)
        assert waiting(tmp_path) == []
        assert await Accounts(store).are_none()


async def test_a_change_waits_while_the_card_takes_nothing(tmp_path: Path, small_card: Remount) -> None:
    box = Box(tmp_path / "data")
    async with box.store() as store:
        await store.commit()
        hand_over(box.directory, Wanted("add", "ana", "kept"))
        await read_only(store, small_card)
        with pytest.raises(OSError, match="Read-only"):
            await adopt(store)
        small_card("rw")
        await adopt(store)
        assert await Accounts(store).find("ana") is not None
    with pytest.raises(StoreError, match="handover"):
        account_handover.hand_over(tmp_path / "none" / "there", Wanted("remove", "ana"))


async def test_who_waits_no_longer_leaves_memory_and_card_as_one(tmp_path: Path) -> None:
    async with Box(tmp_path).store() as store:
        await Accounts(store).add("ana", "kept", "console")
        for n in range(30):
            change = asyncio.create_task(Accounts(store).set_password("ana", f"kept {n}", store.clock.now()))
            for _ in range(n % 6):
                await asyncio.sleep(0)
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
            assert await _kept(store) == ask(tmp_path / CATALOGUE, "SELECT kept FROM account")[0][0]


async def _kept(store: Store) -> str:
    account = await Accounts(store).find("ana")
    assert account is not None
    return account.kept


async def test_of_a_restore_that_is_taken_up_by_the_way_its_accounts_count(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        accounts = Accounts(store)
        await accounts.add("ana", "kept", "console")
        await accounts.begin(session(accounts, "t1"), 0)
        await store.commit()
        await box.upkeep(store)._copy()
        await accounts.set_password("ana", "new", accounts.now_ms())
        handed = tmp_path / "handover" / "restore"
        (handed / "history").mkdir(parents=True)
        (handed / "backup.json").write_text('{"made": "2026", "name": "Calle 5"}')
        (tmp_path / COPY).rename(handed / CATALOGUE)
        # As after a fault of the card: nobody asked for the restore, it is found.
        await store.disconnect()
        assert await store.commit() == ""
        assert await accounts.find("ana") == Account("ana", "kept", TECHNICIAN, is_given=True)
        assert await accounts.session("t1") is None
