"""The System page over HTTP: what it tells of a Raspberry Pi and of a machine that tells nothing, and what it does."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from appliance.machine import Machine as Told
from appliance.store.schema import HISTORY
from appliance.supervisor import Health
from appliance.web.parts import Parts
from tests.doctor.machines import Pi
from tests.machine import FREE, Machine
from tests.web.conftest import Site, recorded, served

TEN_YEARS_MS = 315_360_000_000


@dataclass
class Box(Site):
    """A site on a made machine; how often its program was told to start anew is counted."""

    told: Told = field(default_factory=Told)
    begun: int = 0

    def parts(self) -> Parts:
        return replace(super().parts(), machine=self.told, start_anew=self.begin)

    def begin(self) -> None:
        self.begun += 1


def raspberry(root: Path) -> Pi:
    """One that tells all there is to tell."""
    pi = Pi(root)
    for path, content in {
        "proc/device-tree/serial-number": "10000000a1b2c3d4\0",
        "proc/meminfo": "MemTotal:  3884000 kB\nMemAvailable:    3212000 kB\n",
        "proc/loadavg": "0.31 0.42 0.40 1/200 3",
        "proc/uptime": "86400.0 3",
        "proc/net/wireless": "Inter-|\n face |\nwlan0: 0000   54.  -56.  -256\n",
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "58420",
        "sys/class/net/eth0/type": "1",
        "sys/class/net/eth0/operstate": "up",
        "sys/class/net/eth0/device/x": "",
        "sys/class/net/wlan0/operstate": "down",
        "sys/class/net/wlan0/device/x": "",
        "sys/class/net/wlan0/wireless/x": "",
        "run/avahi-daemon/socket": "",
    }.items():
        pi.write(path, content)
    about = root.parent.stat()
    device = f"{about.st_dev >> 8 & 0xFFF}:{about.st_dev & 0xFF | about.st_dev >> 12 & 0xFFF00}"
    pi.write(f"sys/dev/block/{device}/stat", "1 1 1 1 1 1 2000000 1 1 1 1")
    return pi


@asynccontextmanager
async def box(tmp_path: Path, told: Told, *, lost: bool = False, is_open: bool = True) -> AsyncIterator[Box]:
    machine = Machine(system_off_ms=-TEN_YEARS_MS, kernel=FREE) if lost else Machine()
    async with served(Box(tmp_path / "data", machine, is_open=is_open, told=told)) as one:
        assert isinstance(one, Box)
        yield one


def systemd(pi: Pi, script: str) -> Told:
    """A machine whose systemctl is this."""
    pi.write("run/systemd/system/x", "")
    pi.write("systemctl", f"#!/bin/sh\n{script}\n")
    (pi.root / "systemctl").chmod(0o755)
    return replace(pi.machine, systemctl=str(pi.root / "systemctl"))


async def ask(
    site: Site, path: str = "/system", fields: dict[str, str] | None = None, log_in: bool = True, lang: str = "en"
) -> tuple[aiohttp.ClientResponse, str]:
    headers = {"Origin": site.url, "Accept-Language": lang}
    async with (
        aiohttp.ClientSession(cookies=site.logs_in() if log_in else {}, headers=headers) as client,
        client.request(
            "GET" if fields is None else "POST", site.url + path, data=fields, allow_redirects=False
        ) as answer,
    ):
        return answer, " ".join((await answer.text()).split())


def facts(page: str) -> dict[str, str]:
    """What stands under each label."""
    pairs = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", page)
    return {label: " ".join(re.sub("<[^>]*>", "", told).split()) for label, told in pairs}


async def test_a_raspberry_pi_tells_of_itself(tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine) as site:
        await site.keep()
        site.pass_time(125)
        _, page = await ask(site)
        told = facts(page)
        assert told["The program runs for"] == "2 min"
        assert told["The machine runs for"] == "24 h"
        assert told["Processor temperature"] == "58 °C"
        assert told["Supply voltage"] == "is and was enough"
        assert told["Memory free"] == "3.3 GB / 4.0 GB"
        assert told["Model"] == "Raspberry Pi 4 Model B Rev 1.5"
        assert told["Serial number"] == "10000000a1b2c3d4"
        assert told["Load"].startswith("0.42 of ")
        assert told["Way out"] == "eth0 by 192.168.1.1"
        assert told["Names are asked of"] == "192.168.1.1"
        assert told["Reached by the names"].endswith(".local · meters.example")
        assert "192.168.1.20" in page
        assert "signal −56 dBm" in page
        assert "24 h ago: <b>1.0 GB</b>, which is 1.0 GB a day." in page
        assert "At this pace a new card lasts" in page
        assert "not a Raspberry Pi" not in page
        assert 'class="notice"' not in page


async def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    async with box(tmp_path, Told(nothing, nothing, nothing, nothing, nothing, ipv4_addresses=list)) as site:
        _, page = await ask(site)
        told = facts(page)
        assert told["The machine runs for"] == told["Memory free"] == told["Load"] == "not known"
        assert told["Processor temperature"] == told["Supply voltage"] == "not measured"
        assert told["Model"] == "not told (not a Raspberry Pi)"
        assert told["Way out"] == "none"
        assert "Not measured yet" in page
        assert "The kernel keeps no account" in page
        assert "No interface has an address." in page
        assert "This cannot be done from here" in page
        assert "/system/restart/machine" not in page


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ("1", "The voltage is too low now."),
        ("10000", "The voltage has been too low since the machine was started."),
        ("4", "The processor is slowed down now."),
    ],
)
async def test_too_little_power_is_said_with_what_to_do(tmp_path: Path, bits: str, words: str) -> None:
    pi = raspberry(tmp_path / "pi")
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", bits)
    async with box(tmp_path, pi.machine) as site:
        assert f"<strong>{words}</strong>" in (await ask(site))[1]


async def test_heat_is_said(tmp_path: Path) -> None:
    pi = raspberry(tmp_path / "pi")
    pi.write("sys/class/thermal/thermal_zone0/temp", "81200")
    async with box(tmp_path, pi.machine) as site:
        assert "The processor is hot." in (await ask(site))[1]


async def test_each_part_with_its_trouble_the_worst_first(tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine) as site:
        site.health = {
            "store": Health(),
            "delivery": Health("degraded", "no <answer>", "The network comes and goes", 2),
            "receiver kitchen": Health("failed", "no dongle", "Plug it in", 7),
            "unheard of": Health(),
        }
        _, page = await ask(site)
        parts = page[page.index('id="parts"') : page.index('id="clock"')]
        assert re.findall("<b>(.*?)</b>", parts) == ["Receiver kitchen", "Delivery", "Storage", "unheard of"]
        assert '<p class="told" lang="en">No &lt;answer&gt;.</p>' in parts
        assert "Failed since the start: 7" in parts
        _, spanish = await ask(site, lang="es")
        assert "<b>Receptor kitchen</b>" in spanish
        assert "no funciona" in spanish


async def test_who_only_reads_sees_no_log_and_does_nothing(tmp_path: Path) -> None:
    async with box(tmp_path, systemd(raspberry(tmp_path / "pi"), "true")) as site:
        await site.keep()
        site.health = {"configuration": Health("degraded", "/etc/appliance.toml: x = <5>", "Correct it")}
        assert "/etc/appliance.toml" in (await ask(site))[1]
        _, page = await ask(site, log_in=False)
        assert "works less than it should" in page
        for words in (
            "/etc/appliance.toml",
            "<form method",
            'id="phone"',
            "What happened last",
            "/system/restart",
            "/system/keeping",
            "system.js",
        ):
            assert words not in page
        for path in ("/system/clock", "/system/restart/program", "/system/log"):
            answer, _ = await ask(site, path, log_in=False)
            assert (answer.status, answer.headers["Location"][:6]) == (303, "/login")
        for path in ("/system/clock", "/system/restart/program", "/system/restart/machine"):
            assert (await ask(site, path, {"time": "2026-03-01T12:00"}, log_in=False))[0].status == 303
        assert site.begun == 0


async def test_a_closed_site_shows_nothing(tmp_path: Path) -> None:
    async with box(tmp_path, Told(), is_open=False) as site:
        assert (await ask(site, log_in=False))[0].status == 303


async def test_the_last_events_stand_there(tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine) as site:
        await site.keep()
        site.store.record("logged_in", {"who": "ana", "from": "192.0.2.1"})
        await site.store.commit()
        assert "ana logged in, from 192.0.2.1." in (await ask(site))[1]


async def test_a_history_that_grows_and_one_that_is_full(tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine) as site:
        await site.keep(budget_bytes=10)
        assert facts((await ask(site))[1])["Used up, as it grows now"] == "now"
    assert (tmp_path / "data" / HISTORY).is_dir()


async def phone(site: Box, ahead_ms: int = 0, **changed: str) -> tuple[aiohttp.ClientResponse, str]:
    """A phone whose clock is right, or so far ahead."""
    stamp = (await ask(site, "/system/clock"))[1].split('"')[3]
    fields = {"stamp": stamp, "utc_ms": str(site.machine.utc_ms + ahead_ms), "round_trip_ms": "80"}
    return await ask(site, "/system/clock", fields | changed)


async def test_a_phone_tells_the_time(tmp_path: Path) -> None:
    async with box(tmp_path, Told(), lost=True) as site:
        noted = recorded(site.store)
        before = facts((await ask(site))[1])
        assert before["The appliance's time"].startswith("≈ ")
        assert (before["Off by at most"], before["Last told, ago"]) == ("not known", "never since the start")
        answer, _ = await phone(site)
        assert (answer.status, answer.headers["Location"]) == (303, "/system?clock=taken#clock")
        _, page = await ask(site, "/system?clock=taken")
        after = facts(page)
        assert "<strong>The time has been taken.</strong>" in page
        assert after["The appliance's time"] == "Mar 1, 2026, 12:00:00 UTC"
        assert (after["Known"], after["Off by at most"]) == ("by a phone or browser", "3 s")
        ((kind, detail),) = noted
        assert (kind, detail["who"], detail["what"], detail["uncertainty_ms"]) == ("changed", "ana", "clock_told", 2040)
        assert site.store.clock.has_changes
        answer, _ = await phone(site, 700)
        assert answer.headers["Location"] == "/system?clock=agreed#clock"
        assert len(noted) == 1


async def test_a_phone_that_is_wrong_where_ntp_holds_the_clock(tmp_path: Path) -> None:
    async with box(tmp_path, Told()) as site:
        noted = recorded(site.store)
        assert "held by a source that is better than a phone" in (await ask(site))[1]
        answer, _ = await phone(site, 3_600_000)
        assert answer.headers["Location"] == "/system?clock=better#clock"
        assert "the other clock is wrong" in (await ask(site, "/system?clock=better"))[1]
        assert site.store.clock.utc_ms(site.store.clock.now()) == site.machine.utc_ms
        assert noted == []


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("outcome", ["taken", "agreed", "better", "contradicted", "too many"])
async def test_each_outcome_has_its_words(tmp_path: Path, outcome: str, lang: str) -> None:
    async with box(tmp_path, Told()) as site:
        _, page = await ask(site, f"/system?clock={outcome}", lang=lang)
        assert page.count('role="status"><strong>') == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stamp": "0", "utc_ms": "1", "round_trip_ms": "1"}, "The page has waited too long"),
        ({"stamp": "x"}, "Type date and time as in"),
        ({}, "Type date and time as in"),
        ({"time": "yesterday", "zone": "UTC"}, "Type date and time as in"),
        ({"time": "2026-03-01T12:00", "zone": "Mars/Base"}, "Type date and time as in"),
        ({"time": "2026-03-01T12:00", "zone": "../../etc/passwd"}, "Type date and time as in"),
        ({"time": "1999-03-01T12:00", "zone": "UTC"}, "before 2025 or after 2099"),
        ({"time": "2026-04-04T23:30", "zone": "America/Santiago"}, "comes twice or not at all"),
        ({"time": "<script>alert(1)</script>", "zone": "<b>"}, "Type date and time as in"),
    ],
)
async def test_what_is_no_time_is_said(tmp_path: Path, fields: dict[str, str], words: str) -> None:
    async with box(tmp_path, Told(), lost=True) as site:
        noted = recorded(site.store)
        answer, page = await ask(site, "/system/clock", fields)
        assert (answer.status, words in page) == (422, True)
        assert "<script>alert" not in page
        assert site.store.clock.moment(site.store.clock.now()).source == "estimate"
        assert noted == []


async def test_a_time_is_typed_in_a_zone(tmp_path: Path) -> None:
    async with box(tmp_path, Told(), lost=True) as site:
        answer, _ = await ask(site, "/system/clock", {"time": "2026-03-01T09:00", "zone": "America/Santiago"})
        assert answer.headers["Location"] == "/system?clock=taken#clock"
        _, page = await ask(site)
        assert facts(page)["Off by at most"] == "2 min"
        assert facts(page)["The appliance's time"] == "≈ Mar 1, 2026, 12:00:30 UTC"


async def test_a_page_of_another_site_tells_no_time_and_starts_nothing(tmp_path: Path) -> None:
    async with box(tmp_path, Told(), lost=True) as site:
        headers = {"Origin": "http://evil.example"}
        async with aiohttp.ClientSession(cookies=site.logs_in(), headers=headers) as client:
            for path in ("clock", "restart/program", "restart/machine"):
                async with client.post(f"{site.url}/system/{path}", data={"time": "2026-03-01T12:00"}) as answer:
                    assert answer.status == 403
        assert site.begun == 0


async def test_the_program_is_started_anew_after_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.web.views.system.restart.AFTER_S", 0)
    async with box(tmp_path, Told()) as site:
        noted = recorded(site.store)
        _, page = await ask(site, "/system/restart/program")
        assert "Restart the program?" in page
        assert (site.begun, noted) == (0, [])
        answer, page = await ask(site, "/system/restart/program", {})
        assert (answer.status, "The program restarts" in page) == (200, True)
        async with asyncio.timeout(10):
            while not site.begun:
                await asyncio.sleep(0.01)
        assert noted == [("changed", {"who": "ana", "what": "program_restarted"})]


async def test_the_machine_is_started_anew_where_that_can_be(tmp_path: Path) -> None:
    pi = raspberry(tmp_path / "pi")
    async with box(tmp_path, systemd(pi, 'echo "$@" > "$0.asked"')) as site:
        noted = recorded(site.store)
        assert 'href="/system/restart/machine"' in (await ask(site))[1]
        assert "Restart the machine?" in (await ask(site, "/system/restart/machine"))[1]
        _, page = await ask(site, "/system/restart/machine", {})
        assert "The machine restarts" in page
        assert "reboot" in (pi.root / "systemctl.asked").read_text()
        assert noted == [("changed", {"who": "ana", "what": "machine_restarted"})]
        assert site.begun == 0


async def test_a_machine_that_refuses_says_why(tmp_path: Path) -> None:
    told = systemd(raspberry(tmp_path / "pi"), "echo 'Interactive <b>authentication required'; exit 1")
    async with box(tmp_path, told) as site:
        noted = recorded(site.store)
        answer, page = await ask(site, "/system/restart/machine", {})
        assert answer.status == 503
        assert '<p class="told" lang="en">Interactive &lt;b&gt;authentication required.</p>' in page
        assert noted == []


async def test_what_cannot_be_started_is_not_there(tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine) as site:
        for path in ("/system/restart/machine", "/system/restart/universe"):
            assert (await ask(site, path))[0].status == 404
            assert (await ask(site, path, {}))[0].status == 404
