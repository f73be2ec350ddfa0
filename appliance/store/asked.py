"""A question to the history on behalf of a page: what cannot be answered is said in words, as every other fault is."""

import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from appliance.errors import StoreError
from appliance.store.history import History
from appliance.store.schema import in_words
from appliance.store.writer import Store

P = ParamSpec("P")
T = TypeVar("T")


async def asked(store: Store, question: Callable[Concatenate[History, P], T], *args: P.args, **options: P.kwargs) -> T:
    """The answer to one of `queries` and its neighbours, beside the event loop. Raises StoreError."""
    try:
        return await store.ask(question, *args, **options)
    except (sqlite3.Error, OSError) as fault:
        raise StoreError(f"the history cannot be read: {in_words(fault)}") from fault
