"""What happened, in words: every kind and every change, what another version wrote, pages, groups and files."""

import csv
import io
import re
import string
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest

from appliance.store.event_log import Logged
from appliance.store.rows import EventKind
from appliance.web.frame.language import catalogue
from appliance.web.parts import PACKAGE
from appliance.web.views.system.log import PER_PAGE
from appliance.web.views.system.log_words import CHANGES, DASH, DYNAMIC, GROUPS, KINDS, group_of, tell
from tests.web.conftest import Site

PACKAGE_FOLDER = Path(__file__).parent.parent.parent / "appliance"
ODD: list[Any] = [None, True, -5, 10**30, 1.5, "", "x" * 5000, "<b>\n\u202e", [1], {"reading": []}, [None, "a"], {}]


def event(kind: str, **detail: Any) -> Logged:
    return Logged(1, 1, kind, None, detail)


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


def test_every_kind_has_words_and_one_group() -> None:
    assert set(KINDS) == set(get_args(EventKind))
    grouped = [kind for _, kinds in GROUPS.values() for kind in kinds]
    assert sorted(grouped) == sorted(KINDS)


def test_every_change_that_the_program_records_has_words() -> None:
    """Found where it is written down: `"what": "note_added"` and the like."""
    ways = (
        r'"what": "([a-z]+_\w+)"',
        r'note\(request, "(\w+)"',
        r'_anew\(request, "(\w+)"',
        r'what: str = "(\w+_\w+)"',
    )
    written = set()
    for path in (*(PACKAGE_FOLDER / "web").rglob("*.py"), *(PACKAGE_FOLDER / "store").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        written |= {found for way in ways for found in re.findall(way, text)}
    assert {"note_added", "receipts_brought", "settings_changed", "radio_tuned"} <= written
    assert written <= set(CHANGES)


def test_a_receiver_that_nobody_has_named_is_not_called_in_english() -> None:
    assert tell(event("radio_recovered", receiver="simulated"), "es") == "El receptor simulado funciona otra vez."
    assert tell(event("radio_recovered", receiver="calle"), "es") == "El receptor calle funciona otra vez."


def test_a_dial_is_called_alike_everywhere() -> None:
    """What a meter shows is a "numerador" in Spanish; a "visor" is another thing."""
    texts = catalogue(PACKAGE, "es").texts
    assert [text for text in texts.values() if "visor" in text] == []
    assert catalogue(PACKAGE, "es").gettext("As of") == "Al"


def test_sentences_keep_their_gaps_in_spanish() -> None:
    spanish = catalogue(PACKAGE, "es")
    for english in DYNAMIC:
        assert placeholders(spanish.gettext(english)) == placeholders(english), english


@pytest.mark.parametrize("language", ["en", "es"])
def test_whatever_is_told_of_a_kind_is_told_in_one_line(language: str) -> None:
    names = sorted(set().union(*map(placeholders, (*KINDS.values(), *CHANGES.values()))))
    more = ("uncertainty_ms", "moved_ms", "system_moved_ms", "from_utc_ms", "to_utc_ms", "from", "saved", "what")
    for kind in (*KINDS, "unheard_of", "<b>"):
        assert tell(event(kind), language)
        for what in (*CHANGES, "unheard_of"):
            for odd in ODD:
                told = tell(event(kind, **dict.fromkeys((*names, *more), odd) | {"what": what}), language)
                assert told.isprintable()
                assert "%(" not in told
                assert len(told) < 1500


@pytest.mark.parametrize(
    ("told", "english", "spanish"),
    [
        (
            event("clock_set", source="ntp", uncertainty_ms=250, moved_ms=-3200),
            "The time is known from the network (NTP), off by at most 0.25 s. Times of this start moved by −3.20 s.",
            "La hora se sabe por la red (NTP), error de a lo más 0,25 s. "
            "Las horas de este arranque se movieron −3,20 s.",
        ),
        (
            event("clock_set", source="ntp", uncertainty_ms=250, moved_ms=-2),
            "The time is known from the network (NTP), off by at most 0.25 s.",
            "La hora se sabe por la red (NTP), error de a lo más 0,25 s.",
        ),
        (
            event("changed", who="ana", what="settings_changed", part="sync", keys="aggregators, aggregator_key"),
            "ana changed settings, Aggregator: addresses, key of the aggregator.",
            "ana cambió la configuración, Agregador: direcciones, clave del agregador.",
        ),
        (
            event("clock_set", source="browser", uncertainty_ms=None, moved_ms=90_000_000),
            "The time is known from a technician, off by nobody knows how much. Times of this start moved by +25 h.",
            "La hora se sabe por un técnico, con un error que nadie conoce. "
            "Las horas de este arranque se movieron +25 h.",
        ),
        (
            event("tamper", phy=[0, 1], enc=[3, None]),
            "Tamper counters changed: physical 0 → 1, encoder 3 → –.",
            "Cambiaron los contadores de manipulación: físico 0 → 1, codificador 3 → –.",
        ),
        (
            event("storage_failed", why="the card is full"),
            "The card takes nothing: the card is full.",
            "La tarjeta no recibe nada: la tarjeta está llena.",
        ),
        (
            event("changed", who="ana", what="receipts_brought", taken=12_345),
            "ana brought receipts back: 12,345.",
            "ana trajo recibos: 12.345.",
        ),
        (
            event("changed", who="ana", what="antenna_moved"),
            "ana changed something: antenna moved.",
            "ana cambió algo: antenna moved.",
        ),
        (
            event(
                "changed", who="ana", what="radio_tuned", receiver="street", center_hz=912_600_155, gain_db=None, ppm=-3
            ),
            "ana set the receiver street to 912.600155 MHz, gain automatic, correction −3 ppm.",
            "ana puso el receptor street en 912,600155 MHz, ganancia automática, corrección −3 ppm.",
        ),
        (
            event("moved_house", who="ana"),
            "Something that this version cannot tell: moved_house.",
            "Algo que esta versión no sabe contar: moved_house.",
        ),
        (
            event("history_dropped", from_utc_ms=1_770_000_000_000, to_utc_ms=1_780_000_000_000),
            "To make room, the history from Feb\xa02,\xa02026 to May\xa028,\xa02026 was deleted.",
            "Para hacer espacio, se borró la historia del 2\xa0feb\xa02026 al 28\xa0may\xa02026.",
        ),
        (
            event("logged_in", **{"who": "console", "from": "this machine"}),
            "console logged in, from this machine.",
            "la consola entró, desde esta máquina.",
        ),
        (
            event("segment_damaged", readings=7, saved={"reading": 5}),
            "A file of the history with 7 readings was damaged. Saved of them: 5.",
            "Se dañó un archivo de la historia con 7 lecturas. Se salvaron: 5.",
        ),
        (
            event("catalogue_restored", **{"from": "copy"}),
            "The catalogue was damaged and was made anew, from its copy.",
            "El catálogo estaba dañado y se hizo de nuevo, a partir de su copia.",
        ),
    ],
)
def test_in_words(told: Logged, english: str, spanish: str) -> None:
    assert (tell(told, "en"), tell(told, "es")) == (english, spanish)


def test_what_nobody_told_is_a_dash() -> None:
    assert tell(event("logged_in"), "en") == f"{DASH} logged in, from {DASH}."
    assert group_of("moved_house") == ""


async def log(site: Site, path: str = "/system/log", spanish: bool = False, **cookies: str) -> tuple[int, str]:
    headers = {"Accept-Language": "es" if spanish else "en"}
    async with (
        aiohttp.ClientSession(cookies=cookies or site.logs_in(), headers=headers) as client,
        client.get(site.url + path, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.text()


def entries(page: str) -> list[str]:
    """The sentences of a page."""
    return [" ".join(re.sub("<[^>]*>", "", found).split()) for found in re.findall(r"<li><time.*?<p>(.*?)</p>", page)]


async def test_it_is_for_who_has_logged_in(site: Site) -> None:
    assert (await log(site, session="none"))[0] == 303
    assert (await log(site, "/api/v1/events.json", session="none"))[0] == 401
    async with aiohttp.ClientSession() as client, client.get(site.url + "/system") as answer:
        assert "What happened last" not in await answer.text()


async def test_the_latest_first_with_who_and_when(site: Site) -> None:
    site.hear(60243827)
    await site.keep()
    site.pass_time(60)
    detail = {"protocol": "scm", "meter_id": 60243827, "simulated": False}
    site.store.record("changed", {"who": "<b>ana</b>", "what": "note_added"} | detail)
    site.store.record("changed", {"who": "ana", "what": "note_added"} | detail | {"meter_id": 7})
    await site.store.commit()
    status, page = await log(site)
    assert status == 200
    assert entries(page)[:2] == ["Meter 7. ana added a note.", "Meter 60243827. &lt;b&gt;ana&lt;/b&gt; added a note."]
    assert '<a href="/meters/scm/60243827">60243827</a>' in page
    assert "/meters/scm/7" not in page
    assert "<b>ana" not in page
    assert "Mar\N{NO-BREAK SPACE}1,\N{NO-BREAK SPACE}2026, 12:01:00\N{NO-BREAK SPACE}UTC</time>" in page
    assert "As of" in page


async def test_groups_and_pages(site: Site) -> None:
    await site.keep()
    for n in range(PER_PAGE + 5):
        site.pass_time(1)
        site.store.record("changed", {"who": f"person {n}", "what": "note_added"})
        site.store.record("logged_in", {"who": f"person {n}", "from": "192.0.2.1"})
    await site.store.commit()
    _, first = await log(site, "/system/log?group=access")
    assert len(entries(first)) == PER_PAGE
    assert entries(first)[0] == f"person {PER_PAGE + 4} logged in, from 192.0.2.1."
    older = re.findall(r'rel="next" href="([^"]*)"', first)[0].replace("&amp;", "&")
    _, second = await log(site, older)
    assert [one.split()[1] for one in entries(second)] == ["4", "3", "2", "1", "0"]
    assert 'rel="next"' not in second
    assert 'href="/system/log?group=access">Newest' in second
    _, none = await log(site, "/system/log?group=radio")
    assert "Nothing of this kind has happened." in none
    _, end = await log(site, "/system/log?group=access&before=1")
    assert "There are none further back." in end
    for odd in ("?group=<b>", "?before=x", "?before=" + "9" * 30, "?group=access&before=999999"):
        status, page = await log(site, f"/system/log{odd}")
        assert (status, "<b>" in page.partition("<main")[2]) == (200, False)


async def test_as_files(site: Site) -> None:
    site.hear(5)
    await site.keep()
    site.store.record(
        "changed", {"who": "=ana", "what": "note_added", "protocol": "scm", "meter_id": 5, "simulated": False}
    )
    site.pass_time(1)
    site.hear(5, tamper_phy=2)
    await site.store.commit()
    _, text = await log(site, "/api/v1/events.csv", spanish=True)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["kind"] for row in rows] == ["tamper", "changed", "boot"]
    assert (rows[0]["meter_id"], rows[0]["is_estimate"]) == ("5", "false")
    assert rows[1]["words"] == "'=ana agregó una nota."
    assert rows[1]["detail"].startswith('{"who": "=ana"')
    assert rows[1]["time"] == "2026-03-01T12:00:00.000+00:00"
    _, text = await log(site, "/api/v1/events.json?group=meters")
    assert text.startswith('[{"number":')
    assert '"phy":[0,2]' in text


async def test_a_log_that_cannot_be_read(site: Site) -> None:
    """Nothing was opened."""
    assert (await log(site))[0] == 503
    status, page = await log(site, "/system")
    assert (status, "gives no answer at this moment" in page) == (200, True)


def test_no_sentence_has_a_stray_sign() -> None:
    for text in DYNAMIC:
        assert text.replace("%(", "").count("%") == 0
        assert set(text) <= set(string.printable)
