"""The site over real HTTP: pages, headers, names and languages."""

import json
import re
from dataclasses import replace

import aiohttp
import pytest

from appliance.errors import ConfigError
from appliance.store.retention import FULL
from appliance.supervisor import Health
from appliance.web.site import serving
from appliance.web.views.meters.page import MOST_ROWS
from tests.web.conftest import STATUS, Site
from tests.web.pages import Cells, as_technician, get


async def test_a_meter_in_the_table(site: Site) -> None:
    site.hear(60243827)
    site.pass_time(90)
    site.hear(60243827, consumption=31161)
    site.pass_time(12)
    _, page = await get(site, "/meters")
    row = Cells(page).rows[1]
    assert [" ".join(cell.split()) for cell in row] == [
        *("60243827 scm", "electric", "31,161", "–", "12 s ago", "12 s ago", "23.5 dB", "2", "physical 0 /· encoder 3")
    ]


async def test_odd_values_have_their_place(site: Site) -> None:
    site.hear(
        9_876_543_210, commodity="unknown", endpoint_type=6, consumption=2**53 - 1, snr_db=None, frequency_hz=None,
        tamper_phy=None, tamper_enc=None, protocol="<b>&\"'",
    )  # fmt: skip
    _, page = await get(site, "/meters")
    row = Cells(page).rows[1]
    assert row[0] == "9876543210 <b>&\"'"
    assert row[1:3] == ["unknown", "9,007,199,254,740,991"]
    assert [cell.strip() for cell in row[3:7]] == ["–", "0 s ago", "–", "–"]
    assert row[8] == "–"
    assert "<b>&" not in page


async def test_a_tampered_meter_stands_out(site: Site) -> None:
    site.hear(1)
    site.pass_time(30)
    site.hear(1, tamper_phy=1)
    _, page = await get(site, "/meters")
    assert 'class="tampered"' in page
    assert "physical 1 /· encoder 3 changed 0 s" in " ".join(Cells(page).rows[1][8].split())


async def test_of_very_many_meters_those_heard_last_are_shown(site: Site) -> None:
    """Anyone can transmit any number of IDs."""
    for meter_id in range(1, MOST_ROWS + 201):
        site.pass_time(0.01)
        site.hear(meter_id)
    _, page = await get(site, "/meters?sort=id&lang=es")
    rows = Cells(page).rows
    assert rows[1][0].split()[0] == "201"
    assert rows[-1][0].split()[0] == str(MOST_ROWS + 200)
    assert '<span id="count">1200</span>' in page
    assert "La tabla muestra los últimos escuchados:" in page


async def test_nothing_heard_yet(site: Site) -> None:
    site.pass_time(75)
    _, page = await get(site, "/meters")
    assert "No meter heard yet." in page
    assert ">1 min</time>" in page
    assert ("table", True) in [(tag, "hidden" in attributes) for tag, attributes in Cells(page).tags]


async def test_a_radio_that_is_not_there(site: Site) -> None:
    site.receiver(state="retrying", reason="no RTL-SDR dongle found", status=None, restarts=3)
    page = await as_technician(site, "/")
    assert '<p class="told" lang="en">No RTL-SDR dongle found.</p>' in page
    assert "keeps trying by itself" in page


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("rtlsdr", "su cable"),
        ("rtlsdr:00000001", "su cable"),
        ("rtl_tcp://10.0.0.2:1234", "Revise la red"),
        ("rtlamr -format=json", "Revise su configuración"),
    ],
)
async def test_advice_fits_the_source(site: Site, source: str, advice: str) -> None:
    """The page's own words carry the meaning, in its language; those of the receiver are English small print."""
    site.receiver(state="retrying", reason="[Errno 111] Connection refused", source=source)
    page = await as_technician(site, "/?lang=es")
    assert advice in page
    assert '<p class="told" lang="en">[Errno 111] Connection refused.</p>' in page


async def test_what_the_radio_does(site: Site) -> None:
    status = replace(STATUS, gain_db=40.2, dropped_samples=2_359_296, refused={"checksum": 12_345, "empty": 1})
    site.receiver(status=status, messages=1_234_567, garbage={"not JSON": 2})
    _, page = await get(site, "/", **{"Accept-Language": "es"})
    text = " ".join(page.split())
    numbers = ("912,600", "2,359", "−52,3", "40,2", "1.234.567", "1,00")
    for words in (*numbers, "Descartadas: 12.346", "suma de control 12.345", "no es JSON 2"):
        assert words in text, words


async def test_what_a_receiver_says_is_text_and_nothing_else(site: Site) -> None:
    """Neither markup nor a format: a path may hold a percent sign."""
    evil = "<i>%s %(x)s 100%"
    status = replace(STATUS, source=evil, refused={evil: 1})
    site.receiver(state="retrying", reason=evil, status=status, garbage={evil: 1})
    site.health["store"] = Health("degraded", evil)
    page = await as_technician(site, "/")
    assert page.count("&lt;i&gt;%s %(x)s 100%") == 6
    assert "<i>" not in page


@pytest.mark.parametrize("simulated", [True, False])
async def test_the_simulated_neighbourhood_is_called_so(site: Site, simulated: bool) -> None:
    site.receiver(simulated=simulated)
    _, page = await get(site, "/")
    assert ("Simulated neighbourhood." in page) is simulated
    _, text = await get(site, "/healthz")
    assert json.loads(text)["simulated"] is simulated


async def test_a_card_that_cannot_be_written_to(site: Site) -> None:
    site.hear(1)
    site.health["store"] = Health("degraded", "the card is full")
    page = await as_technician(site, "/", **{"Accept-Language": "es"})
    assert "La tarjeta está llena." in page
    assert "Lecturas en espera en memoria: 1." in page
    answer, text = await get(site, "/healthz")
    assert answer.status == 200
    health = json.loads(text)
    assert health["state"] == "degraded"
    assert health["readings_waiting"] == 1
    assert health["parts"]["store"]["reason"] == "the card is full"
    site.health["receiver street"] = Health("failed", "no dongle", "Plug it in.", 2)
    answer, text = await get(site, "/healthz")
    assert (answer.status, json.loads(text)["state"]) == (503, "failed")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The history is not being looked after: the card reports errors."),
        ("es", "No se está cuidando el historial: la tarjeta informa errores."),
    ],
)
async def test_a_history_that_nobody_looks_after(site: Site, language: str, words: str) -> None:
    site.health["history"] = Health("degraded", "the card reports errors")
    page = await as_technician(site, f"/?lang={language}")
    assert words in page
    # One trouble of the card is told once, the graver one.
    site.health["store"] = site.health["history"]
    page = await as_technician(site, f"/?lang={language}")
    assert words not in page
    assert page.count('class="notice deed"') == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The card is full of other files."),
        ("es", "La tarjeta está llena de otros archivos."),
    ],
)
async def test_a_card_that_others_fill(site: Site, language: str, words: str) -> None:
    site.health["history"] = Health("degraded", FULL)
    page = await as_technician(site, f"/?lang={language}")
    assert words in page
    assert page.count('class="notice deed"') == 1


async def test_a_history_that_was_damaged(site: Site) -> None:
    site.hear(1)
    await site.keep()
    assert "damaged" not in (await get(site, "/"))[1]
    away = site.directory / "damaged"
    away.mkdir()
    for name in ("1-000003.db", "1-000003.sums", "2-catalogue.db", "2-catalogue.db-wal"):
        (away / name).write_bytes(b"x")
    await site.keep()
    _, page = await get(site, "/")
    assert "A part of the history was damaged." in page
    assert "Damaged files, set aside: 2." in page
    assert "Archivos dañados, apartados: 2." in (await get(site, "/?lang=es"))[1]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("id", "1 2 3"),
        ("heard", "2 3 1"),
        ("level", "1 3 2"),
        ("strongest", "3 1 2"),
        ("rate", "1 2 3"),
        ("x", "1 2 3"),
    ],
)
async def test_orders(site: Site, sort: str, expected: str) -> None:
    for meter_id, level_db, times in ((1, 5.0, 3), (3, 10.0, 1), (2, None, 2)):
        for _ in range(times):
            site.pass_time(5)
            site.hear(meter_id, snr_db=level_db)
    _, page = await get(site, f"/meters?sort={sort}")
    assert [row[0].split()[0] for row in Cells(page).rows[1:]] == expected.split()


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/events/overview", "/nothing", "/static/site.css", "/static/nothing"]
)
async def test_every_answer_is_locked_down(site: Site, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(site.url + path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "aiohttp" not in answer.headers["Server"]


async def test_a_page_needs_nothing_that_the_policy_forbids(site: Site) -> None:
    site.hear(1)
    _, page = await get(site, "/meters")
    for tag, attributes in Cells(page).tags:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, tag
        assert tag != "style"
        assert tag != "script" or attributes["src"]
        for name in ("src", "href"):
            assert (attributes.get(name) or "/").startswith(("/", "#", "?")), attributes
            assert not (attributes.get(name) or "").startswith("//")


async def test_three_hundred_meters_are_a_small_page(site: Site) -> None:
    for n in range(300):
        site.hear(10_000_000 + 7919 * n)
    request = {"Accept-Encoding": "gzip"}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        total = 0
        _, page = await get(site, "/meters")
        loaded = set(re.findall(r'"(/static/[^"]*)"', page))
        assert len(loaded) >= 4
        for path in ("/meters", *loaded):
            async with session.get(site.url + path, headers=request) as answer:
                total += len(await answer.read())
    assert total < 60_000


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("127.0.0.1:80", 200), ("[::1]", 200), ("pi.local.", 200), ("METERS.example:8080", 200),
     ("evil.example", 421), ("", 421), ("127.0.0.1.evil.example", 421), ("local", 421)],
)  # fmt: skip
async def test_only_our_own_names_are_answered(site: Site, host: str, status: int) -> None:
    answer, page = await get(site, "/", Host=host)
    assert answer.status == status
    assert status == 200 or "not one of this site" in page


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_page_takes_nothing(site: Site, method: str) -> None:
    answer, page = await get(site, "/", method, Origin=site.url)
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    assert "<h1>" in page


async def test_languages(site: Site) -> None:
    _, page = await get(site, "/meters", **{"Accept-Language": "es-CL,en;q=0.5"})
    assert '<html lang="es">' in page
    assert "Medidores escuchados" in page
    answer, page = await get(site, "/meters?lang=en", **{"Accept-Language": "es"})
    assert '<html lang="en">' in page
    cookie = answer.cookies["lang"]
    assert (cookie.value, cookie["samesite"], cookie["httponly"]) == ("en", "Lax", True)
    _, page = await get(site, "/meters", Cookie="lang=es")
    assert '<html lang="es">' in page
    _, page = await get(site, "/meters?lang=xx", Cookie="lang=../..")
    assert '<html lang="en">' in page


async def test_a_language_is_chosen_on_the_page_where_one_is(site: Site) -> None:
    for path in ("/meters?lang=es&sort=level&x=%22%3E%3Cb", "/no-page?sort=level&lang=en&x=%22%3E%3Cb"):
        _, page = await get(site, path)
        links = [a["href"] for tag, a in Cells(page).tags if tag == "a" and "hreflang" in a]
        assert links == [f"?sort=level&x=%22%3E%3Cb&lang={code}" for code in ("en", "es")]
    _, page = await get(site, "/meters", "POST")
    assert [a["href"] for tag, a in Cells(page).tags if tag == "a" and "hreflang" in a] == ["/?lang=en", "/?lang=es"]


async def test_a_page_that_does_not_exist(site: Site) -> None:
    answer, page = await get(site, "/nothing", **{"Accept-Language": "es"})
    assert answer.status == 404
    assert "Esta página no existe" in page
    assert "Calle Álvarez &lt;12&gt;" in page


async def test_a_fault_of_our_own_is_a_page_and_a_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.receivers = None  # type: ignore[assignment]
    answer, page = await get(site, "/")
    assert answer.status == 500
    assert "Something went wrong here" in page
    assert "Traceback" not in page
    assert "page='/' broke" in caplog.text


async def test_static_files_are_kept_by_content(site: Site) -> None:
    _, page = await get(site, "/")
    (address,) = (a["href"] for t, a in Cells(page).tags if t == "link" and a["rel"] == "stylesheet")
    answer, _ = await get(site, str(address))
    assert "immutable" in answer.headers["Cache-Control"]
    answer, _ = await get(site, "/static/site.css?v=old")
    assert answer.headers["Cache-Control"] == "no-cache"
    answer, _ = await get(site, "/static/..%2Fsite.py")
    assert answer.status == 404


async def test_a_port_in_use_is_said(site: Site) -> None:
    with pytest.raises(ConfigError, match=f"port {site.port} is used by another program") as refused:
        async with serving(site.parts(), "127.0.0.1", site.port):
            pass
    assert "[web] port" in refused.value.hint


async def test_an_address_that_is_not_ours_is_said(site: Site) -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.77"):
        async with serving(site.parts(), "192.0.2.77", 0):
            pass
