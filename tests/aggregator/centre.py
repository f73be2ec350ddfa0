"""Commands of the aggregator, and a look into what they left in its database."""

import asyncio
from pathlib import Path

from appliance.aggregator.database import Database
from appliance.cli import main


def call(centre: Path, *words: object) -> int:
    return main(["aggregator", *map(str, words), "--directory", str(centre)])


def in_database(centre: Path, work: object) -> object:
    async def done() -> object:
        database = Database(centre)
        try:
            return await work(database)  # type: ignore[operator]
        finally:
            await database.close()

    return asyncio.run(done())
