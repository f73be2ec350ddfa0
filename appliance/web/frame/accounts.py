"""Who may log in, and what the storage of a site must do for that: the aggregator's tables, the appliance's catalogue.

Times are ms on the clock that the site gives its `Sessions`.
"""

from typing import Protocol

from aiohttp import web

from appliance.account import LOCKED, LOGGED_IN, LOGGED_OUT, LONGEST_NAME, Account, Session, account_name

__all__ = [
    "LOCKED", "LOGGED_IN", "LOGGED_OUT", "LONGEST_NAME", "SESSION", "Account", "Accounts", "Session", "account_name",
]  # fmt: skip

# Who sent a request, where they have logged in.
SESSION = web.RequestKey("SESSION", Session)


class Accounts(Protocol):
    """The storage. What is written is on the disk when the method returns."""

    @property
    def trouble(self) -> str:
        """Why nobody can log in who could, in English; empty if that is not so."""

    async def find(self, name: str) -> Account | None:
        """The account of that name, as `account_name` gives it; None for none, or one that is disabled."""

    async def are_none(self) -> bool:
        """Whether there is no account that could log in."""

    async def renew(self, name: str, kept: str, was: str) -> None:
        """Keep the same password in a new form, if it is still kept as it `was`; sessions go on."""

    async def set_password(self, name: str, kept: str, now_ms: int) -> None:
        """Give an account another password, end all of its sessions, and write down that it did so itself."""

    async def begin(self, session: Session, forget_before_ms: int) -> None:
        """Add a session, and remove all that were made before then."""

    async def session(self, token_sha256: str) -> Session | None:
        """The session of that token; None when it has ended or its account is disabled or gone."""

    async def touch(self, token_sha256: str, used_ms: int) -> None:
        """The session was used then."""

    async def end(self, token_sha256: str) -> None:
        """Remove a session; one that is not there is no fault."""

    async def note(self, name: str, what: str, address: str, now_ms: int) -> None:
        """Write down a log-in, a log-out, or that an account's password is being guessed, as seen from an address."""
