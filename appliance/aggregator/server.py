"""The aggregator as a running program: database, API and TLS put together, served, and stopped.

Any number of workers may run against one PostgreSQL, each with a copy of the directory: key and settings.
"""

import asyncio
import contextlib
import logging
import signal
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from appliance.aggregator.api import Api
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.keys import open_key
from appliance.aggregator.pages import site
from appliance.aggregator.pages.parts import Centre
from appliance.aggregator.refusals import WRITE_EVERY_S, Refusals
from appliance.aggregator.settings import FILE, Settings, Web, read
from appliance.aggregator.tls import Certificate
from appliance.errors import ConfigError
from appliance.file_handles import allow_file_handles
from appliance.web.frame import connections

log = logging.getLogger(__name__)

# How long open requests may take to come to the end of their line.
STOPS_WITHIN_S = 8.0
HANDSHAKE_S = 10.0
BACKLOG = 1_024
# In place of the names and versions of what it is made of.
HEADERS = {"Server": "appliance"}


class Connection(connections.Connection):
    """One connection."""

    __slots__ = ()

    def refusal(self, status: int) -> web.Response:
        """In JSON, which is what appliances read."""
        said = {"failed": "bad_request", "words": "that is no request of HTTP"}
        return web.json_response(said, status=status, headers=HEADERS)


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Database]:
    """The database of an aggregator's directory, brought to today's schema. Raises ConfigError, StoreError."""
    settings = read(directory)
    try:
        database = Database(settings.database.url or directory)
    except ValueError as fault:
        raise ConfigError(f"{directory / FILE}: database.url: its port is no number") from fault
    try:
        await migrate(database.engine)
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def serving(api: Api, where: Web, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve API and pages while entered; yields the port. Raises ConfigError when the address or port cannot be had."""
    app = web.Application(middlewares=[site.admission(api.admit)])
    app.add_routes(api.routes())
    app.on_response_prepare.append(_add_headers)
    centre = Centre(database=api.database, appliances=api.appliances, ingest=api.ingest, now_utc_ms=api.now_utc_ms)
    site.set_up(app, centre, where.names)
    runner = web.AppRunner(app, shutdown_timeout=STOPS_WITHIN_S)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    limits = api.load.limits
    options = {"keepalive_timeout": limits.idle_s, "lingering_time": limits.linger_s, "auto_decompress": False}
    made = partial(Connection, runner.server, loop=loop, access_log=None, **options)
    encrypted = connections.Encrypted(context, HANDSHAKE_S) if context else None
    try:
        server = await connections.listen(made, where.host, where.port, api.load.room, encrypted, backlog=BACKLOG)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            api.load.stop()
            server.close()
    finally:
        await runner.cleanup()


async def run(directory: Path) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, StoreError, OSError."""
    settings = read(directory)
    certificate = Certificate(settings.tls, directory) if settings.tls.certificate else None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    allow_file_handles()
    async with opened(directory) as database:
        api = Api(database, open_key(directory))
        beside = [asyncio.create_task(_write_refusals(api.ingest.refusals))]
        if certificate:
            beside.append(asyncio.create_task(certificate.watch()))
        try:
            async with serving(api, settings.web, certificate.context if certificate else None) as port:
                log.info("serving %s", _address(settings, port))
                await stop.wait()
                log.info("stopping")
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await _write_once(api.ingest.refusals)


async def _write_refusals(refusals: Refusals) -> None:
    while True:
        await asyncio.sleep(WRITE_EVERY_S)
        await _write_once(refusals)


async def _write_once(refusals: Refusals) -> None:
    try:
        await refusals.write()
    except (SQLAlchemyError, OSError) as fault:
        log.warning("refusals not counted fault=%s", type(fault).__name__)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _address(settings: Settings, port: int) -> str:
    host = f"[{settings.web.host}]" if ":" in settings.web.host else settings.web.host
    return f"{'https' if settings.tls.certificate else 'http'}://{host}:{port}"
