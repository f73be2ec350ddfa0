"""The overview: green when all is well, red only for what somebody must do, and what that is; its picture of a day."""

import json
import re
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest

from appliance.assignment import Assignment
from appliance.config import PAGE, Wrong
from appliance.errors import NotDelivered
from appliance.store.assigned import Assigned
from appliance.store.retention import FULL
from appliance.supervisor import Health
from appliance.sync.courier import HINT_WAITING, About, Courier
from appliance.sync.sealing import Sealing
from appliance.sync.transport import links_of
from appliance.web import glances
from appliance.web.first_account import FirstAccount
from appliance.web.quarters import HEIGHT, picture
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.pages import as_technician, get
from tests.web.test_browser import browser, opened, pytestmark

axe = pytest.importorskip("axe_playwright_python.async_playwright")
__all__ = ["browser", "pytestmark"]

HOUR_MS = 3_600_000
ADDRESSES = ("https://one.example", "https://two.example")


async def text(site: Site, path: str = "/") -> str:
    answer, page = await get(site, path)
    assert answer.status == 200
    return " ".join(page.split())


def courier(site: Site, sealing: Sealing | None = None) -> Courier:
    sealing = sealing or Sealing(site.store)
    return Courier(sealing, links_of(ADDRESSES, "00" * 32, ""), About("", ""), lambda *_: None, lambda: 1.0, int)


async def test_all_is_well(site: Site) -> None:
    site.hear(1)
    page = await text(site)
    assert 'class="verdict good"' in page
    assert "All is well" in page
    assert 'class="notice' not in page
    assert "Todo está bien" in await text(site, "/?lang=es")


@pytest.mark.parametrize(
    ("source", "words"),
    [("rtlsdr", "No samples from the radio."), ("rtl_tcp://10.0.0.2", "in the network"), ("a file", "does not run")],
)
async def test_a_radio_that_says_nothing_is_red_with_what_to_do(site: Site, source: str, words: str) -> None:
    site.receiver(state="retrying", reason="no dongle", source=source)
    page = await as_technician(site, "/")
    assert 'class="verdict bad"' in page
    assert words in page
    assert "No dongle." in page


async def test_what_there_is_to_do_comes_first_and_says_where(site: Site) -> None:
    site.receiver(state="retrying", reason="no dongle", simulated=True)
    site.health["store"] = Health("degraded", "the card is full")
    page = await as_technician(site, "/")
    deeds, looks, banner = (page.index(f'class="{name}"') for name in ("notice deed", "looks", "banner"))
    assert deeds < looks < banner
    for deed in (
        '<a href="/system#card">Readings are not being saved.</a></strong> Make room on the card',
        '<a href="/radio/street">No samples from the radio.</a></strong> Check that it is plugged in',
    ):
        assert deed in page


async def test_what_there_is_to_do_is_for_who_has_logged_in(site: Site) -> None:
    """Where the page is open to read, strangers learn that there is something, and nothing that they could use."""
    site.receiver(state="retrying", reason="refused by 10.0.0.2")
    first = FirstAccount(site.parts().accounts, "", print)
    first.stands_in_file = lambda: True  # type: ignore[method-assign]
    wrong = (Wrong("radio", "radio.gain_db = <x> must be a number"), Wrong(PAGE, "[sync.key] is none"))
    parts = replace(site.parts(), first_account=first, wrong=wrong, config_file="/etc/appliance.toml")
    async with serving(parts, "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        secrets = ("first_password", "/etc/appliance.toml", "10.0.0.2", "gain_db", "sync.key")
        page = await as_technician(site, "/")
        assert [secret in page for secret in secrets] == [True] * len(secrets)
        page = await text(site)
        assert [secret in page for secret in secrets] == [False] * len(secrets)
        assert "A technician has something to do" in page
        assert "Un técnico tiene algo que hacer" in await text(site, "/?lang=es")
        told = json.loads(await text(site, "/api/v1/status"))
        assert (told["condition"], told["to_do"], told["wrong_settings"]) == ("bad", [], [])
        told = json.loads(await as_technician(site, "/api/v1/status"))
        assert [deed["what"] for deed in told["to_do"]] == ["configuration", "usb", "settings", "password"]
        radio = told["to_do"][1]
        assert (radio["of"], radio["words"]) == ("street", "refused by 10.0.0.2")
        assert radio["hint"].startswith("Check that it is plugged in")
        assert told["wrong_settings"] == ["radio.gain_db = <x> must be a number"]


async def test_programs_are_told_all_that_is_red(site: Site) -> None:
    site.health["store"] = Health("degraded", "the card is full")
    site.health["history"] = Health("degraded", FULL)
    told = json.loads(await as_technician(site, "/api/v1/status"))
    assert told["condition"] == "bad"
    assert [(deed["what"], deed["words"]) for deed in told["to_do"]] == [("store", "the card is full"), ("room", FULL)]


async def test_meters_that_are_missing_are_worth_a_look(site: Site) -> None:
    site.hear(5)
    listed = tuple(Assignment.of(n, "", f"Casa {n}", "", "1") for n in (5, 6))
    site.store.assigned = Assigned(1, 1, listed)
    page = await text(site)
    assert 'class="verdict fair"' in page
    assert '<p class="value">1 <span class="of">/ 2</span></p>' in page


async def test_silence_is_worth_a_look_though_the_radio_runs(site: Site) -> None:
    site.hear(5)
    site.pass_time(1700)
    assert 'class="verdict good"' in await text(site)
    site.pass_time(200)
    page = await text(site)
    assert 'class="verdict fair"' in page
    assert "Nothing heard lately" in page


@pytest.mark.parametrize(
    ("hint", "verdict", "words"),
    [(NotDelivered.hint, "fair", ""), (HINT_WAITING, "bad", "Diga al operador el número y el código")],
)
async def test_a_link_that_is_away_is_worth_a_look_and_an_approval_is_to_do(
    site: Site, hint: str, verdict: str, words: str
) -> None:
    carrier = courier(site)
    async with serving(replace(site.parts(), courier=carrier), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        for contact in carrier.contacts.values():
            contact.fault, contact.hint = "https://one.example: <timed out>", hint
        page = await text(site, "/?lang=es")
        assert f'class="verdict {verdict}"' in page
        assert ('<a href="#delivery">Entrega: no se alcanza el agregador</a>' in page) == (verdict == "fair")
        page = await as_technician(site, "/?lang=es")
        assert words in page
        assert ("https://one.example: &lt;timed out&gt;." in page) == (verdict == "fair")
        delivery = await text(site, "/delivery?lang=es")
        assert ("El último intento falló." in delivery) == (verdict == "fair")
        assert words in delivery
        # One that answers is enough.
        first = carrier.contacts[ADDRESSES[0]]
        first.fault, first.hint, first.answered_s = "", "", carrier.now_s()
        assert 'class="verdict good"' in await text(site)
        assert "Last contact <time" in await text(site)


async def test_who_waits_for_approval_reads_the_code(site: Site) -> None:
    """Who has logged in stands beside it; where the page is open to read, whoever comes does not."""
    await site.keep()
    sealing = Sealing(site.store)
    identity = await sealing.of(lambda outbox: outbox.identity)
    carrier = courier(site, sealing)
    for contact in carrier.contacts.values():
        contact.fault, contact.hint = f"waits: code {identity.claim_code}", HINT_WAITING
    async with serving(replace(site.parts(), courier=carrier, sealing=sealing), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        page = await as_technician(site, "/?lang=es")
        assert '<a href="/delivery">La entrega espera la aprobación del operador.</a>' in page
        assert f'<p class="code mono">{identity.claim_code[:4]} {identity.claim_code[4:]}</p>' in page
        assert identity.fingerprint in page
        page = await text(site)
        assert 'class="verdict bad"' in page
        assert identity.claim_code[4:] not in page
        told = json.loads(await as_technician(site, "/api/v1/status"))
        assert [deed["what"] for deed in told["to_do"]] == ["approval"]
        assert identity.claim_code not in str(told)
    sealing.close()


async def test_what_was_heard_is_drawn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "PICTURE_S", 0.0)
    assert "The history gives no answer at this moment." in await text(site)
    for _ in range(3):
        site.hear(1)
        site.pass_time(1800)
    await site.keep()
    page = await text(site)
    assert "In all: 3 · at most in a quarter of an hour: 1" in page
    assert page.count("<rect x=") == 3
    assert 'href="/api/v1/quarters.csv"' in page


async def test_a_street_that_is_made_up_is_not_well(site: Site) -> None:
    site.hear(5, simulated=True)
    site.receiver(simulated=True)
    page = await text(site)
    assert 'class="verdict fair"' in page
    assert '<a href="#radio">Radio: simulated, no real meter is heard</a>' in page


async def test_a_set_up_that_is_not_finished_is_worth_a_look_to_who_can_go_on_with_it(site: Site) -> None:
    site.hear(5)
    _, page = await get(site, "/", Cookie=f"session={site.logs_in()['session']}")
    assert 'class="verdict fair"' in page


async def test_meters_whose_tamper_counter_changed_are_counted(site: Site) -> None:
    for tampers in (0, 1):
        site.hear(5, tamper_phy=tampers)
        site.hear(6)
        site.pass_time(30)
    page = await text(site, "/?lang=es")
    assert '<a class="alarm" href="/meters?tampered=1">1 con alteración</a>' in page


async def test_how_long_ago_is_said_to_be_ago(site: Site) -> None:
    site.hear(5)
    assert "</time> ago" in await text(site)
    page = await text(site, "/?lang=es")
    assert "Último mensaje hace <time" in page
    assert re.search("error de a lo más [0-9]+,[0-9] s", page)
    assert "1 mar 2026, " in page.replace("\u00a0", " ")


async def test_only_the_time_in_which_it_ran_can_have_been_quiet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "PICTURE_S", 0.0)
    for _ in range(2):
        site.hear(1)
        site.pass_time(1800)
    await site.keep()
    page = await text(site)
    assert "quarters of an hour without any: 3" in page
    assert "the appliance did not run" in page


def test_a_picture() -> None:
    now_ms = 1_774_008_000_000  # 2026-03-20 12:00 UTC
    here = timezone(timedelta(hours=-3))
    drawn = picture([(now_ms, 4), (now_ms - HOUR_MS, 8), (now_ms - 48 * HOUR_MS, 99)], now_ms, here)
    assert [(bar.x, bar.y, bar.height, bar.begins, bar.messages) for bar in drawn.bars] == [
        (91, 0.0, HEIGHT, "08:00", 8), (95, 50.0, 50.0, "09:00", 4)
    ]  # fmt: skip
    assert (drawn.most, drawn.messages, drawn.quiet) == (8, 12, 94)
    assert [hour for hour, _ in drawn.marks] == ["12:00", "18:00", "00:00", "06:00"]
    assert picture([], now_ms, here).bars == ()
    ran = [(now_ms - 3 * HOUR_MS, now_ms - 2 * HOUR_MS), (now_ms - HOUR_MS, now_ms)]
    drawn = picture([(now_ms - HOUR_MS, 8)], now_ms, here, ran)
    assert (drawn.quiet, drawn.away) == (9, ((0, 83), (88, 91)))


@pytest.mark.parametrize(
    ("width", "lang", "scheme"), [(390, "es", "dark"), (1280, "en", "light"), (320, "en", "light")]
)
@pytest.mark.parametrize("path", ["/", "/delivery", "/login", "/password"])
@pytest.mark.parametrize("ill", [False, True], ids=["well", "ill"])
async def test_everybody_can_use_it(
    browser: Any, site: Site, ill: bool, path: str, width: int, lang: str, scheme: str
) -> None:
    """axe-core finds nothing in either theme, and nothing is wider than the screen."""
    site.hear(5)
    carrier = courier(site)
    if ill:
        site.receiver(state="retrying", reason="no RTL-SDR dongle found " * 4)
        site.health["store"] = Health("degraded", "the card is full")
        for contact in carrier.contacts.values():
            contact.fault, contact.hint = "waits for the operator's approval " + "x" * 90, HINT_WAITING
    async with serving(replace(site.parts(), courier=carrier), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        if path == "/login":
            # Who has logged in is led on.
            site.logs_in = dict  # type: ignore[method-assign]
        size = {"width": width, "height": 800}
        tab = await opened(browser, site, f"{path}?lang={lang}", viewport=size, color_scheme=scheme)
        found = await axe.Axe().run(tab.page)
        assert found.violations_count == 0, found.generate_report()
        assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.complaints == []
        await tab.page.context.close()
