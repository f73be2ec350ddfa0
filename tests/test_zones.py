"""The zone of the program: the one that is set, else the machine's, else UTC; whatever is set wrongly."""

import asyncio
import contextlib
import socket
import sys
import zoneinfo
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from appliance import zones
from appliance.config import PAGE, parse, read
from appliance.errors import ConfigError
from appliance.lasting import FILE
from appliance.store.retention import local_day
from tests.test_app import WITH_PASSWORD, Start, start

__all__ = ["start"]

SANTIAGO = "America/Santiago"
# 2026-03-02 01:30 UTC, which is the evening before in Santiago.
LATE_MS = 1_772_415_000_000


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the database, and Python without its copy."""
    for module in ("tzdata", *(known for known in sys.modules if known.startswith("tzdata."))):
        monkeypatch.setitem(sys.modules, module, None)
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    zones.places.cache_clear()


@pytest.fixture(autouse=True)
def as_before() -> object:
    """Later tests have the database again."""
    yield
    zoneinfo.reset_tzpath()
    zones.places.cache_clear()


@pytest.mark.parametrize(
    ("variable", "link", "name"),
    [
        (SANTIAGO, "UTC", SANTIAGO),
        (f":{SANTIAGO}", "UTC", SANTIAGO),
        ("", "/usr/share/zoneinfo/Pacific/Easter", "Pacific/Easter"),
        ("", "../usr/share/zoneinfo/Etc/UTC", "UTC"),
        ("Mars/Base", "/usr/share/zoneinfo/Pacific/Easter", "Pacific/Easter"),
        ("CLT4CLST", "nowhere", "UTC"),
        ("America", None, "UTC"),
        ("/etc/passwd", None, "UTC"),
    ],
)
def test_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, link: str | None, name: str
) -> None:
    monkeypatch.setenv("TZ", variable)
    monkeypatch.setattr(zones, "LINK", tmp_path / "localtime")
    if link is not None:
        zones.LINK.symlink_to(link)
    assert (zones.machines(), zones.name()) == (name, name)
    with zones.chosen(SANTIAGO):
        assert (zones.machines(), zones.name()) == (name, SANTIAGO)
        with zones.chosen(""):
            assert zones.name() == name
    assert zones.name() == name


def test_what_is_chosen_holds_for_every_part() -> None:
    assert local_day(LATE_MS) == date(2026, 3, 2)
    with zones.chosen(SANTIAGO):
        assert local_day(LATE_MS) == date(2026, 3, 1)
        assert zones.minutes_ahead() in (-180, -240)
    with zones.chosen("Asia/Kolkata"):
        assert zones.minutes_ahead() == 330
    assert local_day(LATE_MS) == date(2026, 3, 2)


def test_places_to_choose_from() -> None:
    offered = zones.places()
    assert tuple(offered) == zones.REGIONS
    assert SANTIAGO in offered["America"]
    assert all(zones.is_known(name) for names in offered.values() for name in names)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("America/Santigo", "or empty (did you mean America/Santiago?)"),
        ("Mars/Base", "site.zone = 'Mars/Base' must be the name of a time zone such as America/Santiago, or empty"),
        ("america/santiago", "(did you mean America/Santiago?)"),
        ("America", "must be the name"),
        ("../../etc/passwd", "must be the name"),
        ("localtime", "must be the name"),
        ("right/UTC", "must be the name"),
        ("UTC-4", "must be the name"),
        ("x" * 65, "must be the name"),
        (-4, "site.zone = -4 must be the name"),
    ],
)
def test_what_is_no_zone_is_refused_by_name(told: object, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse({"site": {"zone": told}})
    assert words in str(refused.value)


def test_a_zone_that_the_machine_no_longer_knows(tmp_path: Path) -> None:
    """Set on the page by an earlier system, it is left out and told; all else that was set holds."""
    path = tmp_path / "appliance.toml"
    path.write_text(f"[store]\ndirectory = '{tmp_path}'\n[site]\nzone = '{SANTIAGO}'\n")
    (tmp_path / FILE).write_text("[site]\nname = 'Pozo'\nzone = 'America/Atlantis'\n")
    draft = read(path)
    assert (draft.config.site.name, draft.config.site.zone, draft.keeps) == ("Pozo", SANTIAGO, True)
    assert [wrong.part for wrong in draft.wrong] == [PAGE]
    assert "site.zone = 'America/Atlantis' must be the name of a time zone" in draft.wrong[0].words
    path.write_text(f"[store]\ndirectory = '{tmp_path}'\n[site]\nzone = 'America/Atlantis'\nname = 'Calle'\n")
    (tmp_path / FILE).write_text("")
    draft = read(path)
    assert (draft.config.site.name, draft.config.site.zone, draft.keeps) == ("Calle", "", True)
    assert [wrong.part for wrong in draft.wrong] == ["site"]


async def test_the_program_runs_in_the_zone_that_is_set(start: Start, tmp_path: Path) -> None:
    """One that is set wrongly keeps nothing from running; put right, it is taken up."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    appliance = await start(port=port, more="[site]\nzone = 'America/Santigo'\n", web=WITH_PASSWORD)
    await appliance.until_heard(20)
    settings = tmp_path / "appliance.toml"
    async with appliance.logged_in() as session:
        page, told = await status(session, appliance.url)
        assert "site.zone = &#39;America/Santigo&#39; must be the name of a time zone" in page
        assert told["zone"] == zones.machines()
        settings.write_text(settings.read_text().replace("Santigo", "Santiago"))
        async with asyncio.timeout(60):
            while told["zone"] != SANTIAGO:
                await asyncio.sleep(0.2)
                with contextlib.suppress(aiohttp.ClientError):
                    page, told = await status(session, appliance.url)
    assert told["time"][-6:] in ("-03:00", "-04:00")
    assert "site.zone" not in page


async def status(session: aiohttp.ClientSession, url: str) -> tuple[str, dict[str, str]]:
    """The overview, and what is told of the clock."""
    async with session.get(url) as answer:
        page = await answer.text()
    async with session.get(url + "api/v1/status") as answer:
        return page, (await answer.json())["clock"]


@pytest.mark.usefixtures("bare")
def test_a_machine_without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", SANTIAGO)
    assert zones.places() == {}
    assert (zones.name(), zones.minutes_ahead()) == ("UTC", 0)
    assert local_day(LATE_MS) == date(2026, 3, 2)
    assert parse({"site": {"zone": "UTC"}}).site.zone == "UTC"
    with pytest.raises(ConfigError, match="this machine knows none but UTC: install its package tzdata"):
        parse({"site": {"zone": SANTIAGO}})
