"""The site asks itself: it answers, hangs, is gone, or is full."""

import asyncio
from collections.abc import Callable

import pytest

from appliance.errors import ApplianceError
from appliance.web import connections, probe
from appliance.web.site import serving
from tests.web.conftest import Site


async def test_a_site_that_answers(site: Site) -> None:
    assert await probe.ask("127.0.0.1", site.port) == ""


async def test_a_part_that_failed_is_no_fault_of_the_site(site: Site) -> None:
    from appliance.supervisor import Health

    site.health = {"store": Health("failed", "x")}
    assert await probe.ask("127.0.0.1", site.port) == ""


async def test_a_site_that_hangs_or_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_S", 0.05)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()
        await writer.wait_closed()
        left.set()

    left = asyncio.Event()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ApplianceError, match="does not answer within"):
        await probe.ask("127.0.0.1", port)
    await asyncio.wait_for(left.wait(), 20)
    server.close()
    await server.wait_closed()
    with pytest.raises(ApplianceError, match="cannot be reached"):
        await probe.ask("127.0.0.1", port)


async def test_a_crowd_is_no_reason_to_end_the_program(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever opens enough connections could have the watchdog kill it."""
    monkeypatch.setattr(connections, "MOST", 0)
    async with serving(site.parts(), "127.0.0.1", 0) as port:
        assert "too many connections" in await probe.ask("127.0.0.1", port)


async def test_it_reports_each_time(site: Site) -> None:
    reports: list[str] = []

    async def sleep(seconds: float) -> None:
        assert seconds == probe.EVERY_S
        if len(reports) == 3:
            raise asyncio.CancelledError

    report: Callable[[str], None] = reports.append
    with pytest.raises(asyncio.CancelledError):
        await probe.watch(report, "127.0.0.1", site.port, sleep)
    assert reports == ["", "", ""]
