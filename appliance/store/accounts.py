"""The accounts of the technicians: what the log-in of the site asks of its storage.

Accounts are on the card when a method returns that changes one, or it raises StoreError and nothing has changed.
Sessions are in memory first, and on the card with the next commit, which a log-in and a log-out bring on at once: so
whoever has an account can log in while the card is full, read-only, damaged or busy, and stays so until the program
ends. Those whom the card has not told of yet, since it could not be read when the program began, cannot.
Stamps of the clock are the time of sessions: a reboot ends them, a restart of the program does not.
"""

from collections.abc import Callable

import aiosqlite

from appliance.account import LOCKED, LOGGED_IN, Account, Session
from appliance.errors import StoreError, UsageError
from appliance.store import people
from appliance.store.amend import amend
from appliance.store.limits import Bucket
from appliance.store.people import MOST_ACCOUNTS, AccountRow, SessionRow, usable
from appliance.store.writer import Store

TECHNICIAN = "technician"
CONSOLE = "console"
"""Who did what a command did."""
UNREAD = "the accounts cannot be read yet"
# Whoever reaches the log-in can have a lock begin, and whoever has a password can log in again and again.
LOCKS_AT_ONCE, LOCKS_PER_S = 20, 10 / 3600
LOG_INS_AT_ONCE, LOG_INS_PER_S = 120, 60 / 3600
LIST = "Look who there is with 'appliance account list'."


class Accounts:
    """The accounts of a store: an `Accounts` of the log-in. Times are stamps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks = Bucket(LOCKS_AT_ONCE, LOCKS_PER_S)
        self._log_ins = Bucket(LOG_INS_AT_ONCE, LOG_INS_PER_S)

    @property
    def trouble(self) -> str:
        """Why nobody can log in who could, or an empty text: the card has not been read since the program began."""
        return "" if self._store.people.is_known else f"{UNREAD}: {self._store.trouble}"

    def now_ms(self) -> int:
        """The time of sessions."""
        return self._store.clock.now()

    async def find(self, name: str) -> Account | None:
        """The account of that name, None if there is none that could log in."""
        account = self._store.people.accounts.get(name)
        if account is None or account.disabled_at is not None:
            return None
        return Account(account.name, account.kept, account.role, account.changed_at == account.made_at)

    def kept_of(self, name: str) -> str:
        """The password of an account in the form in which it is kept; "" where nobody could log in to it."""
        account = self._store.people.accounts.get(name)
        return account.kept if account and account.disabled_at is None else ""

    async def are_none(self) -> bool:
        """Whether nobody could log in; not as long as that is not known."""
        return self._store.people.is_known and not usable(self._store.people.accounts.values())

    async def all(self) -> list[AccountRow]:
        """All accounts, those that are disabled too, by name."""
        return sorted(self._store.people.accounts.values())

    async def add(self, name: str, kept: str, who: str) -> None:
        """Let somebody log in, with a password as it is kept. Raises UsageError, StoreError."""

        def added() -> AccountRow:
            known, now = self._store.people.accounts.get(name), self._store.clock.now()
            if known is not None and known.disabled_at is None:
                raise UsageError(f"{name} has an account already", "Set a new password, or choose another name.")
            return AccountRow(name, kept, TECHNICIAN, now, now)

        await self._keep(added, "account_added", who)

    async def set_password(self, name: str, kept: str, now_ms: int, who: str = "") -> None:
        """Give an account another password and end its sessions; done by themselves if nobody else is said.

        Raises UsageError, StoreError.
        """

        def changed() -> AccountRow:
            return self._account(name)._replace(kept=kept, changed_at=now_ms)

        await self._keep(changed, "password_changed", who or name)

    async def disable(self, name: str, who: str) -> None:
        """Let somebody log in no more. Raises UsageError, also for the last one who can; StoreError."""

        def disabled() -> AccountRow:
            account = self._account(name)
            if len(usable(self._store.people.accounts.values())) == 1:
                raise UsageError(f"{name} is the last who can log in", "Add another account first.")
            return account._replace(disabled_at=self._store.clock.now())

        await self._keep(disabled, "account_removed", who)

    async def renew(self, name: str, kept: str, was: str) -> None:
        """Keep the same password in a new form, with the next commit; until then the old form is as good."""
        held = self._store.people
        if (account := held.accounts.get(name)) and account.kept == was:
            held.accounts[name] = account._replace(kept=kept)
            held.unwritten_accounts.add(name)
            self._store.wake()

    async def begin(self, session: Session, forget_before_ms: int) -> None:
        """Add a session, and remove all that were made before then."""
        made = SessionRow(session.token_sha256, session.name, session.made_ms, session.used_ms, session.used_ms)
        self._store.people.begin(made, forget_before_ms)
        self._store.wake(at_once=True)

    async def session(self, token_sha256: str) -> Session | None:
        """The session of a token; None when it has ended or its account is disabled or gone."""
        found = self._store.people.sessions.get(token_sha256)
        account = await self.find(found.name) if found else None
        if found is None or account is None:
            return None
        return Session(token_sha256, found.name, account.role, found.made_at, found.used_at)

    async def touch(self, token_sha256: str, used_ms: int) -> None:
        """The session was used then; the card is told once in a quarter of an hour."""
        if self._store.people.touch(token_sha256, used_ms):
            self._store.wake()

    async def end(self, token_sha256: str) -> None:
        """Remove a session; one that is not there is no fault."""
        if self._store.people.end(token_sha256):
            self._store.wake(at_once=True)

    async def note(self, name: str, what: str, address: str, now_ms: int) -> None:
        """An event for a log-in and for the beginning of a lock; so many an hour, whoever tries how often."""
        detail = {"who": name, "from": address[:64]}
        if what == LOGGED_IN and self._log_ins.take(now_ms):
            self._store.record("logged_in", detail)
        elif what == LOCKED and self._locks.take(now_ms):
            self._store.record("log_in_refused", detail)

    def _account(self, name: str) -> AccountRow:
        account = self._store.people.accounts.get(name)
        if account is None or account.disabled_at is not None:
            raise UsageError(f"{name} has no account", LIST)
        return account

    def _out_for(self, name: str) -> list[str]:
        """Who was removed longest ago, where there is no room for one more; else nobody. Raises UsageError."""
        accounts = self._store.people.accounts
        if name in accounts or len(accounts) < MOST_ACCOUNTS:
            return []
        disabled = [account for account in accounts.values() if account.disabled_at is not None]
        if not disabled:
            raise UsageError(f"there are {MOST_ACCOUNTS} accounts already", "Remove one that is not needed.")
        return [min(disabled, key=lambda account: account.disabled_at or 0).name]

    async def _keep(self, change: Callable[[], AccountRow], what: str, who: str) -> None:
        """Have the card take an account as `change` gives it, without sessions; then it counts, and an event tells so.

        That is asked when no other change is under way: of two who remove each other at once one stays.
        """
        if self.trouble:
            raise StoreError(self.trouble)
        made: list[AccountRow] = []
        out: list[str] = []

        async def work(writer: aiosqlite.Connection) -> None:
            made.append(account := change())
            out.extend(self._out_for(account.name))
            await writer.executemany(people.ACCOUNT_GONE, [(name,) for name in out])
            await writer.execute(people.ACCOUNT, account)
            await writer.execute(people.SESSIONS_GONE, (account.name,))

        def then() -> None:
            for name in out:
                self._store.people.accounts.pop(name, None)
            self._store.people.put(made[0])
            self._store.record("changed", {"who": who, "what": what, "account": made[0].name})

        await amend(self._store, "the account", work, then)
