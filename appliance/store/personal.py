"""What the store knows of people: for whoever hands something out, to look whether it is in there."""

import contextlib
from itertools import chain
from typing import NamedTuple

from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.store.history import History, View
from appliance.store.writer import Store


class Personal(NamedTuple):
    """What log-ins are proved by; and names, addresses and notes."""

    proofs: set[str]
    words: set[str]


async def personal(store: Store) -> Personal:
    """All of it; without the notes when they cannot be read, which are in no log and no event."""
    people, assigned = store.people, store.assigned.meters
    noted: set[str] = set()
    with contextlib.suppress(StoreError):
        noted = await asked(store, _notes)
    return Personal(
        {*people.sessions, *(account.kept for account in people.accounts.values())},
        {
            *people.accounts,
            *(session.name for session in people.sessions.values()),
            *chain.from_iterable((meter.name, meter.address) for meter in assigned),
            *noted,
        },
    )


def _notes(history: History) -> set[str]:
    def question(view: View) -> set[str]:
        return set(chain.from_iterable(view.catalogue.execute("SELECT who, text FROM note").fetchall()))

    return history.answer(question)


def versions(history: History) -> dict[str, int]:
    """The version of each kind of database that is open, and how many segments there are of each."""

    def question(view: View) -> dict[str, int]:
        return {
            "catalogue": int(view.catalogue.execute("PRAGMA user_version").fetchone()[0]),
            "live": int(view.live.execute("PRAGMA user_version").fetchone()[0]),
            "segments": len(view.sealed) + len(view.past),
        }

    return history.answer(question)
