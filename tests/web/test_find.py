"""Finding a meter, over real HTTP: by its number, by its dial, by a load; and what is none of these."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.assignment import Assignment
from appliance.errors import InputError
from appliance.store.assigned import Assigned
from appliance.store.ledger import Meter
from appliance.store.multiplier import dial
from appliance.store.rows import MeterKey
from appliance.web.site import serving
from appliance.web.typed import reading
from appliance.web.views.find.load import LEAST_W, MOST_W, power_of
from tests.machine import FREE, Machine
from tests.web.conftest import TEN_YEARS_MS, Site, served
from tests.web.pages import get
from tests.web.test_events import Stream

ID = 60243827
EVIL = "<script>alert(1)</script>"


async def page(site: Site, path: str, status: int = 200) -> str:
    answer, text = await get(site, path)
    assert answer.status == status, text
    return " ".join(text.split())


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Site]:
    """Eight hours of six meters, the last of which begins to use much at the end of them."""
    async with served(Site(tmp_path)) as site:
        for five in range(12 * 8):
            for n in range(5):
                hear_nth(site, n, five)
            site.hear(70000001, consumption=9000 + five)
            site.pass_time(300)
        await site.keep()
        yield site


def hear_nth(site: Site, n: int, five: int) -> None:
    gas: dict[str, Any] = {"commodity": "gas", "endpoint_type": 12} if n == 0 else {}
    site.hear(ID + n * 131, consumption=1_234_500 + n * 77_777 + five * n, snr_db=10.0 + n, **gas)


async def test_a_number_leads_to_its_level(site: Site) -> None:
    site.hear(ID)
    for typed in (str(ID), "60%20243%20827", f"00{ID}"):
        answer, _ = await get(site, f"/find?id={typed}")
        assert (answer.status, answer.headers["Location"]) == (303, f"/find/{ID}")
    for address in (f"/find/{ID}", f"/find/scm/{ID}"):
        text = await page(site, address)
        assert "<b>23.5</b>" in text
        assert "strong" in text
        assert f'href="/meters/scm/{ID}"' in text
    assert "<b>23,5</b>" in await page(site, f"/find/{ID}?lang=es")


async def test_how_often_it_is_heard(site: Site) -> None:
    told = []
    for _ in range(4):
        site.pass_time(30)
        site.hear(ID)
        told.append("heard every 30 s, about" in await page(site, f"/find/{ID}"))
    assert told == [False, False, True, True]


async def test_how_often_it_is_heard_is_not_told_of_messages_before_the_start(site: Site) -> None:
    for _ in range(60):
        site.pass_time(30)
        site.hear(ID)
    async with serving(replace(site.parts(), started_s=site.machine.ms / 1000), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        site.pass_time(10)
        assert "about" not in await page(site, f"/find/{ID}")
        site.pass_time(1800)
        assert "about" not in await page(site, f"/find/{ID}")
        for _ in range(60):
            site.pass_time(30)
            site.hear(ID)
        assert "about" in await page(site, f"/find/{ID}")


async def test_a_level_of_minutes_ago_is_old(site: Site) -> None:
    site.hear(ID)
    site.pass_time(170)
    assert 'id="level" data-old' in await page(site, f"/find/{ID}")
    site.pass_time(20)
    assert 'id="level" class="old"' in await page(site, f"/find/{ID}")
    assert "Hace <time" in await page(site, f"/find/{ID}?lang=es")


async def test_a_meter_that_was_never_heard_is_waited_for(site: Site) -> None:
    site.store.assigned = Assigned(1, 1, (Assignment.of(77, "", "Pozo <7>", "Km 3", "1"),))
    text = await page(site, "/find/77")
    assert "Not heard yet." in text
    assert "Listening for" in text
    assert "Pozo &lt;7&gt;" in text
    site.receiver(state="retrying", reason="No dongle found")
    assert "No radio runs" in await page(site, "/find/77")
    assert 'href="/find/77"' in await page(site, "/find")


async def test_several_meters_of_one_number(site: Site) -> None:
    site.hear(5, snr_db=9.0)
    site.pass_time(10)
    site.hear(5, protocol="idm", snr_db=30.0)
    site.pass_time(10)
    site.hear(5, simulated=True, snr_db=14.0)
    text = await page(site, "/find/5")
    assert "<b>14.0</b>" in text
    assert all(f'href="/find/{name}"' in text for name in ("scm/5", "idm/5", "scm/5-simulated"))
    assert "<b>9.0</b>" in await page(site, "/find/scm/5")
    assert "<b>30.0</b>" in await page(site, "/find/idm/5")
    assert "simulated" in await page(site, "/find/scm/5-simulated")


async def test_what_measures_no_level_is_told_of_all_the_same(site: Site) -> None:
    site.hear(5, snr_db=None, frequency_hz=None)
    text = await page(site, "/find/5")
    assert "measures no level" in text
    assert "MHz" not in text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "it has digits only"),
        ("abc", "it has digits only"),
        ("-5", "it has digits only"),
        ("5.0", "it has digits only"),
        ("%D9%A3", "it has digits only"),
        (EVIL, "it has digits only"),
        ("9" * 5000, "it has digits only"),
        ("0", "No meter has the number 0."),
        ("4294967296", "too large"),
        ("9" * 40, "too large"),
    ],
)
async def test_what_is_no_number(site: Site, typed: str, words: str) -> None:
    text = await page(site, f"/find?id={typed}", 422)
    assert words in text
    assert EVIL not in text


@pytest.mark.parametrize(
    "path",
    ["/find/xyz/5", "/find/scm/5", "/find/scm/5-simulated", "/find/9999999999999999", "/find/scm/9999999999999999"],
)
async def test_an_address_of_no_meter_says_so_in_words(site: Site, path: str) -> None:
    site.hear(6)
    text = await page(site, path, 404)
    assert "No such meter has been heard" in text
    assert ('href="/find/5"' in text) == path.startswith(("/find/xyz/5", "/find/scm/5"))


@pytest.mark.parametrize("path", ["/find/0", "/find/-5", "/find/abc", "/find/scm/abc", "/find/SCM/5", f"/find/{EVIL}"])
async def test_an_address_that_cannot_be(site: Site, path: str) -> None:
    answer, text = await get(site, path)
    assert answer.status == 404
    assert EVIL not in text


async def test_the_loudest_and_the_missing(site: Site) -> None:
    site.hear(1, snr_db=50.0)
    site.pass_time(3600)
    for n in range(2, 13):
        site.hear(n, snr_db=float(n))
    site.store.assigned = Assigned(1, 1, tuple(Assignment.of(n, "", f"Casa {n}", "", "1") for n in range(12, 40)))
    text = await page(site, "/find")
    loudest = text.partition("loudest-title")[2].partition("missing-title")[0]
    assert [n for n in range(1, 13) if f'href="/find/scm/{n}"' in loudest] == [5, 6, 7, 8, 9, 10, 11, 12]
    assert loudest.index("/12") < loudest.index("/11")
    assert "Casa 13" in text
    assert "and others: 19" in text
    assert '<option value="39">' in text


async def test_the_loudest_are_told_again_and_again(site: Site) -> None:
    site.hear(5, snr_db=20.0)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/find/events?lang=es") as answer:
        told = await Stream(answer).next()
        assert 'href="/find/scm/5"' in told["html"]
        assert "20,0" in told["html"]


async def test_a_message_is_told_at_once(site: Site) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/find/{ID}/events") as answer:
        stream = Stream(answer)
        first = await stream.next()
        assert (first["heard"], first["db"]) == ("", None)
        assert "Not heard yet." in first["html"]
        site.hear(1)
        site.hear(ID, snr_db=12.25)
        second = await stream.next()
        assert second["db"] == 12.25
        assert second["heard"] == str(heard(site).last_at)
        assert "<b>12.3</b>" in second["html"]
        site.pass_time(30)
        site.hear(ID, protocol="idm", snr_db=40.0)
        third = await stream.next()
        assert third["db"] == 40.0
        assert 'href="/find/scm/60243827"' in third["html"]


async def test_events_of_one_protocol_tell_of_no_other(site: Site) -> None:
    site.hear(ID)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/find/scm/{ID}/events?lang=es") as answer:
        stream = Stream(answer)
        assert "fuerte" in (await stream.next())["html"]
        site.pass_time(30)
        site.hear(ID, protocol="idm", snr_db=40.0)
        site.pass_time(30)
        site.hear(ID, snr_db=20.5)
        told = [await stream.next(), await stream.next()]
        assert 20.5 in [one["db"] for one in told]
        assert 40.0 not in [one["db"] for one in told]


async def test_events_go_on_with_other_data(site: Site) -> None:
    """A restore gives the store another ledger, which has not heard what the one before had."""
    site.hear(ID)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/find/{ID}/events") as answer:
        stream = Stream(answer)
        edition = (await stream.next())["edition"]
        site.store.ledger = type(site.store.ledger)(site.store.clock.utc_ms)
        second = await stream.next()
        assert (second["heard"], second["edition"] != edition) == ("", True)


def heard(site: Site) -> Meter:
    found = site.store.ledger.get(MeterKey("scm", ID, False))
    assert found is not None
    return found


async def test_a_dial(street: Site) -> None:
    register = 1_234_500 + 3 * 77_777 + 95 * 3
    shown = f"{(register + 4) / 100:.2f}"
    text = await page(street, f"/find/dial?shown={shown}")
    assert "This one fits" in text
    assert f'href="/find/scm/{ID + 3 * 131}"' in text
    assert f'href="/meters/scm/{ID + 3 * 131}"' in text
    assert f"{register:,} × 0.01" in text
    spanish = await page(street, f"/find/dial?shown=0{shown.replace('.', ',')}%20kWh&lang=es")
    assert "× 0,01" in spanish
    assert "Este calza" in spanish


async def test_a_dial_of_another_commodity(street: Site) -> None:
    shown = f"{1_234_500 / 100:.2f}"
    assert "This one fits" in await page(street, f"/find/dial?shown={shown}&commodity=gas")
    assert "This one fits" in await page(street, f"/find/dial?shown={shown}%20m%C2%B3")
    for other in (f"{shown}&commodity=water", f"{shown}&commodity=electric", f"{shown}kWh"):
        text = await page(street, f"/find/dial?shown={other}")
        assert "None of the meters heard fits" in text
        assert 'href="/find/load"' in text


async def test_a_known_multiplier_is_the_one_that_counts(street: Site) -> None:
    register = 1_234_500 + 77_777 + 95
    meters = (Assignment.of(ID + 131, "", "Casa", "", "0.01"), Assignment.of(ID + 262, "", "", "", "40"))
    street.store.assigned = Assigned(1, 1, meters)
    text = await page(street, f"/find/dial?shown={register / 100:.2f}")
    assert "known multiplier" in text
    text = await page(street, f"/find/dial?shown={(1_234_500 + 2 * 77_777 + 2 * 95) / 100:.2f}")
    assert "It is known by another multiplier." in text


async def test_two_that_fit_alike(street: Site) -> None:
    for meter_id in (81, 82):
        street.hear(meter_id, consumption=444_444)
    await street.keep()
    assert "Several meters fit" in await page(street, "/find/dial?shown=4444.44")


async def test_comparing_is_for_who_has_logged_in(street: Site) -> None:
    register = 1_234_500 + 77_777 + 95
    address = f"{street.url}/find/dial?shown=0{register / 100:.2f}"
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert 'method="post"' not in await answer.text()
    origin = {"Origin": street.url}
    async with aiohttp.ClientSession(cookies=street.logs_in(), headers=origin) as session:
        async with session.get(address) as answer:
            assert f'name="shown" value="0{register / 100:.2f}"' in await answer.text()
        form = {"shown": f"0{register / 100:.2f}"}
        async with session.post(f"{street.url}/meters/scm/{ID + 131}/dial", data=form) as answer:
            assert f"0{register / 100:.2f}" in await answer.text()
    assert street.store.people.worked[MeterKey("scm", ID + 131, False)].multiplier == Decimal("0.01")


@pytest.mark.parametrize("typed", ["", "many", "-5", "1e9", "12345678901", "1.2345", "5 gallons", EVIL, "9" * 4000])
async def test_what_is_no_dial(site: Site, typed: str) -> None:
    text = await page(site, f"/find/dial?shown={typed}", 422)
    assert "That is no reading of a dial." in text
    assert EVIL not in text


async def test_a_dial_without_a_history(site: Site) -> None:
    """The store was never opened."""
    assert "cannot be read just now" in await page(site, "/find/dial?shown=5.0", 503)
    assert "Which fits?" in await page(site, "/find/dial")


def loaded(site: Site) -> None:
    for n in range(5):
        hear_nth(site, n, 12 * 8 + 2)
    site.hear(70000001, consumption=9000 + 12 * 8 + 52)


async def test_a_load(street: Site) -> None:
    text = await page(street, "/find/load?power=2%20kW")
    assert "2 h 5 min" in text
    answer, _ = await get(street, "/find/load?power=2%20kW&on=now")
    begun = answer.headers["Location"]
    assert (answer.status, begun) == (303, f"/find/load?power=2000&on={street.store.clock.now()}")
    assert "Too early to tell" in await page(street, begun)
    street.pass_time(900)
    assert "None stands out yet" in await page(street, begun)
    loaded(street)
    text = await page(street, begun)
    assert "This one stands out" in text
    assert 'href="/find/scm/70000001"' in text
    assert "usually" in text
    assert "A count would be about 10 Wh." in text
    assert "This one stands out" in await page(street, begun)
    answer, _ = await get(street, f"{begun}&off=now")
    ended = answer.headers["Location"]
    assert ended == f"{begun}&off={street.store.clock.now()}"
    assert "The last updates come within" in await page(street, ended)


async def test_nothing_stands_out_too_early(street: Site) -> None:
    """Rows wait to be written: in the first minutes the ledger knows of more than there was when it was switched on."""
    begun = (await get(street, "/find/load?on=now"))[0].headers["Location"]
    street.pass_time(240)
    loaded(street)
    text = await page(street, begun)
    assert "Too early to tell" in text
    assert "70000001" not in text
    street.pass_time(60)
    assert "This one stands out" in await page(street, begun)


async def test_nothing_stands_out_while_nobody_knows_what_is_usual(site: Site) -> None:
    site.hear(ID, consumption=100)
    await site.keep()
    begun = (await get(site, "/find/load?on=now"))[0].headers["Location"]
    site.pass_time(900)
    site.hear(ID, consumption=150)
    await site.keep()
    text = await page(site, begun)
    assert "known only after some hours" in text
    assert "None stands out" in text
    assert "perhaps" in text
    assert "badge approved" not in text


async def test_what_comes_after_a_load_does_not_count(street: Site) -> None:
    begun = (await get(street, "/find/load?on=now"))[0].headers["Location"]
    street.pass_time(900)
    loaded(street)
    ended = (await get(street, f"{begun}&off=now"))[0].headers["Location"]
    street.pass_time(3600)
    street.hear(ID + 131, consumption=1_234_500 + 77_777 + 900)
    street.hear(70000001, consumption=9000 + 12 * 9 + 60)
    await street.keep()
    text = await page(street, ended)
    assert "This one stands out" in text
    assert "70000001" in text
    assert "A count would be" not in text


async def test_a_load_outlives_the_program(street: Site, tmp_path: Path) -> None:
    begun = (await get(street, "/find/load?power=2000&on=now"))[0].headers["Location"]
    street.pass_time(900)
    loaded(street)
    async with serving(street.parts(), "127.0.0.1", 0) as port:
        street.url = f"http://127.0.0.1:{port}"
        assert "This one stands out" in await page(street, begun)


async def test_how_a_load_goes_on_is_told(street: Site) -> None:
    begun = (await get(street, "/find/load?power=2000&on=now"))[0].headers["Location"]
    street.pass_time(900)
    loaded(street)
    address = street.url + begun.replace("/find/load?", "/find/load/events?")
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        told: dict[str, Any] = await Stream(answer).next()
        assert "70000001" in told["html"]
    for query in ("", "?on=x", "?on=99999999999999999999", "?on=5&off=x"):
        assert (await get(street, f"/find/load/events{query}"))[0].status == 404


async def test_a_load_while_the_clock_is_set(tmp_path: Path) -> None:
    """When it was switched is kept by what the machine counts, whatever its clock said then."""
    machine = Machine(system_off_ms=-TEN_YEARS_MS, kernel=FREE)
    async with served(Site(tmp_path, machine)) as site:
        for five in range(60):
            site.hear(ID, consumption=100 + five)
            site.pass_time(300)
        await site.keep()
        begun = (await get(site, "/find/load?on=now"))[0].headers["Location"]
        site.pass_time(600)
        machine.set_clock()
        site.store.clock.poll()
        site.pass_time(300)
        site.hear(ID, consumption=100 + 60 + 50)
        await site.keep()
        text = await page(site, begun)
        assert re.search("Switched on, ago</dt><dd[^>]*><time[^>]*>15 min", text)
        assert "This one stands out" in text


@given(
    st.text(alphabet="0123456789.,  kKwWhm³3-eé\n\x00", max_size=60) | st.text(max_size=60),
    st.sampled_from(["en", "es"]),
)
def test_whatever_is_typed_of_a_dial_is_understood_or_refused(typed: str, language: str) -> None:
    try:
        digits, unit = reading(typed, language)
    except InputError:
        return
    assert dial(digits).unit == 10 ** (6 - len(digits.partition(".")[2]))
    assert unit in ("", "kwh", "m")


@given(st.text(alphabet="0123456789.,  kKwW-e", max_size=30) | st.text(max_size=60))
def test_whatever_is_typed_of_a_power_is_one_or_none(typed: str) -> None:
    power_w = power_of(typed)
    assert power_w is None or LEAST_W <= power_w <= MOST_W


@pytest.mark.parametrize("power", ["much", "-5", "0", "5", "1000001", "1e3", "2000 V", EVIL, "9" * 4000])
async def test_what_is_no_power(site: Site, power: str) -> None:
    text = await page(site, f"/find/load?power={power}", 422)
    assert "That is no power of a load." in text
    assert EVIL not in text


@pytest.mark.parametrize(
    "times", ["on=x", "on=-1", "off=5", "on=9999999999999999999", f"on={EVIL}", f"on={'9' * 4000}"]
)
async def test_what_are_no_times(site: Site, times: str) -> None:
    text = await page(site, f"/find/load?{times}", 422)
    assert "Those are no times of this appliance." in text
    assert EVIL not in text


async def test_times_out_of_order_or_long_ago(site: Site) -> None:
    on = site.store.clock.now()
    assert "no times of this appliance" in await page(site, f"/find/load?on={on}&off={on - 1}", 422)
    site.pass_time(6 * 3600 + 1)
    assert "more than six hours ago" in await page(site, f"/find/load?on={on}", 422)


async def test_without_log_in_where_it_is_not_open(tmp_path: Path) -> None:
    async with served(Site(tmp_path, is_open=False)) as site:
        site.hear(ID)
        for path in ("/find", f"/find/{ID}", f"/find/{ID}/events", "/find/dial?shown=5", "/find/load?on=now"):
            answer, _ = await get(site, path)
            assert (answer.status, answer.headers["Location"].startswith("/login")) == (303, True)


async def test_the_revision_is_looked_at_often_and_costs_nothing(site: Site) -> None:
    """Nothing is told, and nothing is rendered, while nothing is heard."""
    site.hear(ID)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/find/{ID}/events") as answer:
        stream = Stream(answer)
        await stream.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await stream.next()
        assert json.dumps(stream.id) == '""'
