"""The first account of an appliance, made when there is none, so that there is no password that two machines share.

It stands in the set-up file, or is made and printed once. It is kept nowhere else; who has lost it sets another on the
console. One that goes on standing in the file can be read by whoever has the card: as long as it opens the account the
site says so.
"""

import asyncio
from collections.abc import Awaitable, Callable

from appliance.errors import InputError, StoreError, UsageError
from appliance.store.accounts import CONSOLE, Accounts
from appliance.web.frame.passwords import check_new, generated, is_right, kept

NAME = "technician"
FIRST_PASSWORD = "web.first_password"  # noqa: S105 - the name of the setting
AGAIN_S = 5.0
HINT_TOLD = "Set another in the configuration file, or remove it, and start again."
HINT = "It is tried again by itself as soon as the card can be read and written."


class FirstAccount:
    """Makes it. `told` is the password in the set-up file, "" for none; `say` prints a line on the console."""

    def __init__(
        self,
        accounts: Accounts,
        told: str,
        say: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._accounts = accounts
        self._told = told
        self._say = say
        self._sleep = sleep
        self._kept = ""

    def stands_in_file(self) -> bool:
        """Whether the password that stands in the file still opens the account."""
        return bool(self._kept) and self._accounts.kept_of(NAME) == self._kept

    async def run(self, report: Callable[..., None]) -> None:
        """Make the account unless there is one; until that can be known, or done, it is tried again and again."""
        while True:
            try:
                if words := _trouble_with(self._told):
                    report(f"{FIRST_PASSWORD}: {words}", HINT_TOLD)
                    await asyncio.Event().wait()
                if not self._accounts.trouble and await self._made():
                    report("")
                    return
                report(self._accounts.trouble, HINT)
            except StoreError as fault:
                report(str(fault), HINT)
            await self._sleep(AGAIN_S)

    async def _made(self) -> bool:
        """Make it, or find that there is one; whether either was so. Raises StoreError."""
        if not await self._accounts.are_none():
            known = self._accounts.kept_of(NAME)
            if self._told and known:
                self._kept = known if await asyncio.to_thread(is_right, self._told, known) else ""
            return True
        password = self._told or generated()
        as_kept = await asyncio.to_thread(kept, password)
        try:
            await self._accounts.add(NAME, as_kept, CONSOLE)
        except UsageError:
            # From the console, just now.
            return True
        if self._told:
            self._kept = as_kept
            self._say(f"Log in as {NAME}, with first_password from the settings. Change it then, and remove it there.")
        else:
            self._say(f"Log in as {NAME}, password {password}")
            self._say(f"This is shown only now. To set another: appliance account password {NAME}")
        return True


def _trouble_with(told: str) -> str:
    """Why a password in the set-up file cannot be one, or an empty text."""
    try:
        if told:
            check_new(told, NAME)
    except InputError as fault:
        return str(fault)
    return ""
