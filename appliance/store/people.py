"""Who may log in and who has, as the catalogue has it and as it is held in memory.

All is held in memory, so that a log-in works while the card does not. Accounts change on the card first
(`accounts.py`), sessions in memory first: what of them is not written yet goes along with the next commit.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from appliance.account import is_account_name
from appliance.store.rows import MeterKey

MOST_ACCOUNTS, MOST_SESSIONS = 50, 200
# In a session every request is a use of it: that is written so often at most.
TOUCH_MS = 900_000

ACCOUNT = """
INSERT INTO account VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET kept = excluded.kept, role = excluded.role, made_at = excluded.made_at,
    changed_at = excluded.changed_at, disabled_at = excluded.disabled_at
"""
ACCOUNT_GONE = "DELETE FROM account WHERE name = ?"
SESSION = "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?)"
SESSION_GONE = "DELETE FROM session WHERE token_sha256 = ?"
SESSIONS_GONE = "DELETE FROM session WHERE name = ?"

Steps = list[tuple[str, list[tuple[object, ...]]]]


class AccountRow(NamedTuple):
    """An account; `kept` is its password as it is kept, `changed_at` since when, `disabled_at` set once it is out."""

    name: str
    kept: str
    role: str
    made_at: int
    changed_at: int
    disabled_at: int | None = None


@dataclass(slots=True)
class SessionRow:
    """A session, and when the card was last told of its use."""

    token_sha256: str
    name: str
    made_at: int
    used_at: int
    written_at: int


class Worked(NamedTuple):
    """The multiplier that a comparison with the dial told, and what was assigned to the meter then, if anything."""

    multiplier: Decimal
    assigned: str


@dataclass
class People:
    """All of them. `is_known` once the catalogue was read; `unwritten` are sessions that changed, and accounts."""

    is_known: bool = False
    accounts: dict[str, AccountRow] = field(default_factory=dict)
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    worked: dict[MeterKey, Worked] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    unwritten_accounts: set[str] = field(default_factory=set)

    def begin(self, session: SessionRow, forget_before: int) -> None:
        """Add a session; those that were made before then end, and of too many the one used longest ago."""
        for known in [s for s in self.sessions.values() if s.made_at < forget_before]:
            self.end(known.token_sha256)
        while len(self.sessions) >= MOST_SESSIONS:
            self.end(min(self.sessions.values(), key=lambda s: s.used_at).token_sha256)
        self.sessions[session.token_sha256] = session
        self.unwritten.add(session.token_sha256)

    def touch(self, token_sha256: str, used_at: int) -> bool:
        """A session was used; whether that is to be written."""
        session = self.sessions.get(token_sha256)
        if session is None:
            return False
        session.used_at = max(session.used_at, used_at)
        if session.used_at - session.written_at < TOUCH_MS:
            return False
        session.written_at = session.used_at
        self.unwritten.add(token_sha256)
        return True

    def end(self, token_sha256: str) -> bool:
        """Remove a session; whether there was one."""
        if self.sessions.pop(token_sha256, None) is None:
            return False
        self.unwritten.add(token_sha256)
        return True

    def end_all(self) -> None:
        """Remove all sessions: those of a backup may have ended since it was made."""
        for token in list(self.sessions):
            self.end(token)

    def put(self, account: AccountRow) -> None:
        """The card has this account, and no session of it."""
        self.accounts[account.name] = account
        self.sessions = {token: s for token, s in self.sessions.items() if s.name != account.name}

    def write_again(self) -> None:
        """Take all for not yet written, because the card holds other files than before."""
        self.unwritten |= self.sessions.keys()
        self.unwritten_accounts |= self.accounts.keys()

    def take(self) -> tuple[set[str], set[str]]:
        """What is not written: the caller's to write by `steps`, or to `put_back`."""
        taken = self.unwritten, self.unwritten_accounts
        self.unwritten, self.unwritten_accounts = set(), set()
        return taken

    def put_back(self, taken: tuple[set[str], set[str]]) -> None:
        """It could not be written."""
        self.unwritten |= taken[0]
        self.unwritten_accounts |= taken[1]

    def steps(self, taken: tuple[set[str], set[str]]) -> Steps:
        """The statements that bring the card up to what is held, as far as `taken` goes."""
        tokens, names = taken
        here = [s for token in sorted(tokens) if (s := self.sessions.get(token))]
        rows: list[tuple[object, ...]] = [(s.token_sha256, s.name, s.made_at, s.used_at) for s in here]
        gone: list[tuple[object, ...]] = [(token,) for token in sorted(tokens - self.sessions.keys())]
        accounts: list[tuple[object, ...]] = [self.accounts[name] for name in sorted(names & self.accounts.keys())]
        return [step for step in ((ACCOUNT, accounts), (SESSION_GONE, gone), (SESSION, rows)) if step[1]]


def read(known: sqlite3.Connection) -> People:
    """What the catalogue holds. Raises sqlite3.DatabaseError for what was never written there."""
    people = People(is_known=True)
    for row in known.execute("SELECT name, kept, role, made_at, changed_at, disabled_at FROM account"):
        # A backup that somebody made up may hold any name.
        if is_account_name(row[0]):
            people.accounts[row[0]] = AccountRow(*row)
    for token, name, made_at, used_at in known.execute("SELECT token_sha256, name, made_at, used_at FROM session"):
        if name in people.accounts:
            people.sessions[token] = SessionRow(token, name, made_at, used_at, used_at)
    people.worked.update(worked(known))
    return people


def worked(known: sqlite3.Connection) -> Iterator[tuple[MeterKey, Worked]]:
    """What comparisons told of a multiplier, a meter's last one last. Raises sqlite3.DatabaseError."""
    question = (
        "SELECT protocol, meter_id, simulated, multiplier, assigned FROM dial WHERE multiplier != '' ORDER BY number"
    )
    for protocol, meter_id, simulated, multiplier, assigned in known.execute(question):
        if not is_number(multiplier):
            raise sqlite3.DatabaseError("the database is damaged")
        yield MeterKey(protocol, meter_id, bool(simulated)), Worked(Decimal(multiplier), assigned)


def is_number(text: str) -> bool:
    """Whether a text is a number as they are written down here."""
    whole, _, decimals = text.partition(".")
    return text.isascii() and whole.isdecimal() and (not decimals or decimals.isdecimal()) and len(text) < 20


def usable(accounts: Iterable[AccountRow]) -> list[AccountRow]:
    """Those that can log in."""
    return [account for account in accounts if account.disabled_at is None]
