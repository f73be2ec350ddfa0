"""A database that holds nothing yet: whether one does, and how it becomes so again.

What a test or a restore puts into a database must not come among what somebody has there.
"""

from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import Database

# Tables, partitioned ones, views, materialized views, foreign tables and sequences, but those of an extension.
_OBJECTS = text(
    """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relkind IN ('r', 'p') AS is_table
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1
    """
)


async def is_blank(database: Database) -> bool:
    """Whether there is nothing in it. Raises sqlalchemy.exc.DBAPIError, OSError."""
    async with database.reading() as connection:
        return not await _names(connection)


async def clear(database: Database) -> None:
    """Take away all tables of a database that was blank. Raises sqlalchemy.exc.DBAPIError, OSError."""
    async with database.writing() as connection:
        if names := await _names(connection, tables_only=True):
            await connection.exec_driver_sql(f"DROP TABLE {', '.join(names)} CASCADE")


async def _names(connection: AsyncConnection, *, tables_only: bool = False) -> list[str]:
    if connection.dialect.name != "postgresql":
        return await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    return [row.name for row in await connection.execute(_OBJECTS) if row.is_table or not tables_only]
