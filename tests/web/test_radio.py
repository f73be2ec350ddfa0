"""The radio's page as it is served: what it shows, what is asked by it, and what becomes of wrong and foreign asks."""

import asyncio
import base64
import csv
import io
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest

from appliance.config import Receiver
from appliance.radio.controls import Controls
from appliance.web.views.radio import live as radio_live
from appliance.web.views.radio.one_radio import FOREIGN, NOT_NOW, RECORDING, SURVEYING
from tests.web.conftest import RECEIVER, Site, recorded, served
from tests.web.pages import get
from tests.web.street import Process, busy, by_hand, frame, heard

TUNING = {"center": "911,5", "gain": "hand", "gain_db": "39", "ppm": "−3"}


@pytest.fixture
async def process(site: Site, tmp_path: Path) -> Process:
    """The receiver of `site`, for which the test speaks."""
    return by_hand(site, tmp_path / "captures")


@pytest.fixture
async def technician(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookies=site.logs_in(), headers={"Origin": site.url}) as client:
        yield client


async def send(
    client: aiohttp.ClientSession, site: Site, path: str, form: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """What a form brings: its status, and where it leads to or the page that it is answered by."""
    async with client.post(site.url + path, data=form or {"": ""}, allow_redirects=False) as answer:
        text = " ".join((await answer.text()).split())
        return answer.status, answer.headers.get("Location", text)


async def page(client: aiohttp.ClientSession, site: Site, path: str = "/radio") -> str:
    async with client.get(site.url + path) as answer:
        assert answer.status == 200
        return " ".join((await answer.text()).split())


class Events:
    """What a page is sent, event by event."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self, wanted: str = "now") -> dict[str, Any]:
        """The next one that says something of `wanted`."""
        async with asyncio.timeout(20):
            while True:
                line = (await self._answer.content.readline()).decode()
                assert line, "the stream ended"
                if line.startswith("data: ") and (told := json.loads(line[6:])).get(wanted):
                    assert isinstance(told, dict)
                    return told


async def test_it_says_what_the_radio_measures(site: Site, process: Process, technician: Any) -> None:
    site.receivers = [busy(process)]
    shown = await page(technician, site)
    for words in (
        "−52.3 <small>dBFS", "38.6 <small>dB", "5.2 <small>%", "<small>(0.50 s)", "R900BCD", "81.0 %", "&lt;b&gt;odd",
        "It begins as a message does, but the checksum is wrong", "a lower gain hears more", "No room at all.",
        "Left out for want of time: 77",
        "912.600 <small>MHz", "Listening at 916.600 MHz", "centre 4 of 13", "5 min",
    ):  # fmt: skip
        assert words in shown, words
    assert "<b>odd" not in shown
    assert shown.count("most meters</span>") == 1
    assert "Suma de control".casefold() in (await page(technician, site, "/radio?lang=es")).casefold()


async def test_several_radios_have_a_page_each(site: Site, process: Process, technician: Any) -> None:
    site.receivers = [RECEIVER, replace(RECEIVER, name="far roof", source="rtl_tcp://10.0.0.7:1234")]
    shown = await page(technician, site, "/radio/far%20roof")
    assert '<a href="/radio/street">street</a>' in shown
    assert '<a href="/radio/far%20roof" aria-current="page">' in shown
    assert (await get(site, "/radio/nobody"))[0].status == 404
    site.receivers = []
    assert "No radio is set." in await page(technician, site)


async def test_a_program_of_its_own_takes_nothing(site: Site, technician: Any) -> None:
    site.controls["street"] = Controls(Receiver(name="street", command=("rtlamr",)), None)
    shown = await page(technician, site)
    assert FOREIGN in shown
    assert "<canvas" not in shown
    for path in ("tune", "survey", "captures"):
        form = {**TUNING, "from": "912", "to": "913", "step": "1", "dwell": "1", "seconds": "1"}
        status, said = await send(technician, site, f"/radio/street/{path}", form)
        assert (status, FOREIGN in said) == (422, True)
    assert (await get(site, "/radio/street/spectrum.svg"))[0].status == 503


async def test_it_is_set_at_once_and_back(site: Site, process: Process, technician: Any) -> None:
    noted = recorded(site.store)
    assert await send(technician, site, "/radio/street/tune", TUNING) == (303, "/radio/street#tuning")
    assert process.told[-1]["set"] == {"center_hz": 911_500_000, "gain_db": 39.0, "ppm": -3, "bias_tee": False}
    shown = await page(technician, site)
    assert "<strong>Set by hand</strong> by <bdi>ana</bdi>" in shown
    assert 'value="911.500"' in shown
    about = {"who": "ana", "receiver": "street", "bias_tee": False}
    tuned = about | {"what": "radio_tuned", "center_hz": 911_500_000, "gain_db": 39.0, "ppm": -3}
    assert noted == [("changed", tuned)]
    assert (await send(technician, site, "/radio/street/reset"))[0] == 303
    assert "Set by hand" not in await page(technician, site)
    assert noted[1:] == [
        ("changed", about | {"what": "radio_reset", "center_hz": 912_600_155, "gain_db": None, "ppm": 0})
    ]


async def test_limits_are_told_with_the_point_of_the_language(site: Site, process: Process, technician: Any) -> None:
    said = (await send(technician, site, "/radio/street/captures?lang=es", {"seconds": "61"}))[1]
    assert "entre 0,1 y 60" in said


async def test_what_is_measured_is_not_told_of_before_it_was_set(site: Site, process: Process, technician: Any) -> None:
    await send(technician, site, "/radio/street/tune", TUNING)
    assert (await page(technician, site)).count("adjusting…") == 2
    assert RECEIVER.status is not None
    site.receiver(status=replace(RECEIVER.status, center_hz=911_500_000, gain_db=39.0))
    assert "911.500 <small>MHz" in await page(technician, site)
    await send(technician, site, "/radio/street/reset")
    assert "ajustando…" in await page(technician, site, "/radio?lang=es")
    site.pass_time(16)
    assert "adjusting…" not in await page(technician, site)


async def test_a_supply_is_offered_where_there_is_one(site: Site, process: Process, technician: Any) -> None:
    assert 'name="bias_tee"' in await page(technician, site)
    await send(technician, site, "/radio/street/tune", {"supply": "1", "bias_tee": "on"})
    assert process.told[-1]["set"]["bias_tee"] is True
    # What is not in the form stays as it is; a box that is not ticked is not sent.
    await send(technician, site, "/radio/street/tune", {"center": "913"})
    assert process.told[-1]["set"] | {"bias_tee": True} == process.told[-1]["set"]
    await send(technician, site, "/radio/street/tune", {"supply": "1"})
    assert process.told[-1]["set"]["bias_tee"] is False
    site.receiver(source="simulated", simulated=True)
    assert 'name="bias_tee"' not in await page(technician, site)


@pytest.mark.parametrize(
    ("path", "wrong", "words"),
    [
        ("tune", {"center": "9126"}, "A number of MHz from 24 to 1766"),
        ("tune", {"center": "<b>"}, "A number of MHz from 24 to 1766"),
        ("tune", {"center": "1e3"}, "A number of MHz from 24 to 1766"),
        ("tune", {"gain": "hand", "gain_db": ""}, "A number of dB from −10 to 60"),
        ("tune", {"gain": "hand", "gain_db": "nan"}, "A number of dB from −10 to 60"),
        ("tune", {"ppm": "0.5"}, "A whole number from −200 to 200"),
        ("tune", {"ppm": "9" * 400}, "A whole number from −200 to 200"),
        ("tune", {"nothing": ""}, "There was nothing to set."),
        ("survey", {"from": "x"}, "A number of MHz from 24 to 1766"),
        ("survey", {"to": "900"}, "The last centre must not lie below the first."),
        ("survey", {"step": "0"}, "A number of MHz above 0."),
        ("survey", {"step": "0.01"}, "At most 64 centres"),
        ("survey", {"dwell": "0"}, "A number of seconds from 1 to 600"),
        ("survey", {"dwell": "600"}, "longer than 120 minutes"),
        ("captures", {"seconds": "61"}, "A number of seconds from 0.1 to 60"),
        ("captures", {"seconds": ""}, "A number of seconds from 0.1 to 60"),
    ],
)
async def test_what_cannot_be_is_said_beside_its_field(
    site: Site, process: Process, technician: Any, path: str, wrong: dict[str, str], words: str
) -> None:
    noted = recorded(site.store)
    good = {"survey": {"from": "902.6", "to": "926.6", "step": "1", "dwell": "30"}}.get(path, {})
    status, said = await send(technician, site, f"/radio/street/{path}", good | wrong)
    assert (status, words in said) == (422, True)
    assert "<b>" not in said.replace("<b>0</b>", "").partition("<form")[2] or wrong != {"center": "<b>"}
    assert (process.told, noted) == ([], [])


async def test_what_the_radio_refuses_and_when_there_is_none(site: Site, process: Process, technician: Any) -> None:
    process.refuses = "the driver said <no>. Unplug it."
    status, said = await send(technician, site, "/radio/street/tune", TUNING)
    assert (status, "The driver said &lt;no&gt;. Unplug it." in said) == (422, True)
    assert 'value="911,5"' in said
    process.controls.ended("it was unplugged")
    for path in ("tune", "reset", "survey/stop", "captures/stop"):
        status, said = await send(technician, site, f"/radio/street/{path}", TUNING)
        assert (status, NOT_NOW in said) == (422, True), path
    assert (await get(site, "/radio/street/spectrum.svg"))[0].status == 503


async def test_one_thing_at_a_time(site: Site, process: Process, technician: Any) -> None:
    state = busy(process)
    told = len(process.told)
    assert SURVEYING in (await send(technician, site, "/radio/street/tune", TUNING))[1]
    survey, recording = process.controls.survey, process.controls.recorded
    assert survey is not None
    assert recording is not None
    process.controls.take(replace(survey, state="done"))
    process.controls.take(replace(recording, state="recording", detail=""))
    assert RECORDING in (await send(technician, site, "/radio/street/captures", {"seconds": "2"}))[1]
    assert len(process.told) == told
    site.receivers = [state]
    assert (await page(technician, site)).count(RECORDING) == 1


async def test_frames_are_made_once_for_all(site: Site, process: Process, technician: Any) -> None:
    url = f"{site.url}/radio/street/events"
    async with technician.get(url) as one, technician.get(url) as other:
        pages = [Events(one), Events(other)]
        await asyncio.gather(*(events.next("html") for events in pages))
        while not process.told:
            await asyncio.sleep(0.01)
        for n in (1, 2):
            process.controls.take(frame(n))
            told = [await events.next("frame") for events in pages]
            assert [one["frame"]["n"] for one in told] == [n, n]
        shown = told[0]["frame"]
        assert (shown["center"], shown["span"], shown["floor"]) == (912_600_155, 2_359_296, -52.3)
        peak = base64.b64decode(shown["peak"])
        assert (len(peak), peak[2], max(peak)) == (256, 220, 220)
        assert shown["marks"] == [[912_345_678, 0.1, 1, 60243827], [911_700_000, 0.15, 0, None]]
        await process.controls.set(gain_db=20)
        while "hand" not in (await pages[1].next("html"))["html"].get("tuning", ""):
            pass
    assert [one for one in process.told if "spectrum" in one] == process.told[:1]


async def test_a_paused_picture_asks_for_no_frames(site: Site, process: Process, technician: Any) -> None:
    async with technician.get(f"{site.url}/radio/street/events?picture=0&lang=es") as answer:
        events = Events(answer)
        assert "Piso de ruido" in (await events.next("html"))["html"]["facts"]
        site.receivers = [busy(process)]
        assert "916,600" in (await events.next("html"))["html"]["survey"]
    assert process.told == []


async def test_who_reads_slowly_misses_frames_and_is_sent_none_of_the_past(
    site: Site, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio_live, "ROOM_S", 0.001)
    frames, read = 600, 0
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(reader, ("127.0.0.1", site.port))
        asked = f"GET /radio/street/events HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n"
        await loop.sock_sendall(reader, asked.encode())
        async with asyncio.timeout(30):
            while not process.told:
                await asyncio.sleep(0.01)
            for n in range(frames):
                process.controls.take(frame(n))
                await asyncio.sleep(0.002)
            numbers = [0]
            last = b""
            while numbers[-1] < frames:
                piece = await loop.sock_recv(reader, 65536)
                read += len(piece)
                last = last[-2000:] + piece
                numbers = [0, *map(int, re.findall(rb'"n":(\d+),', last))]
                process.controls.take(frame())
    assert read < 40_000, "frames had been queued"


async def test_the_still_picture(site: Site, process: Process) -> None:
    looking = asyncio.create_task(get(site, "/radio/street/spectrum.svg"))
    while not process.told:
        await asyncio.sleep(0.01)
    process.controls.take(frame(40))
    answer, text = await looking
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
    drawing = ElementTree.fromstring(text)
    assert len(drawing.findall("{*}polyline")) == 2
    assert "912.5" in text


async def test_who_has_not_logged_in_reads_and_does_nothing(site: Site, process: Process) -> None:
    site.receivers = [busy(process)]
    answer, shown = await get(site, "/radio")
    assert answer.status == 200
    assert "<form" not in shown.replace('<form class="person"', "")
    assert "Recordings" not in shown
    assert "12" in (await get(site, "/api/v1/radio/street/survey.csv"))[1]
    for path in ("captures/20261123T182311Z-911500000Hz.sigmf-data", "captures/x.sigmf-meta"):
        assert (await get(site, f"/radio/street/{path}"))[0].status == 303
    async with aiohttp.ClientSession(headers={"Origin": site.url}) as client:
        assert (await send(client, site, "/radio/street/tune", TUNING))[1].startswith("/login")
    assert process.told == []


async def test_a_survey_as_a_file(site: Site, process: Process, technician: Any) -> None:
    busy(process)
    async with technician.get(site.url + "/api/v1/radio/street/survey.csv") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="survey-street.csv"'
        rows = list(csv.DictReader(io.StringIO((await answer.text()).lstrip("\ufeff"))))
    assert [row["meters"] for row in rows] == ["3", "12", "0"]
    async with technician.get(site.url + "/api/v1/radio/street/survey.json") as answer:
        assert (await answer.json())[2]["noise_floor_dbfs"] is None


async def test_a_survey_and_a_recording_on_the_simulated_street(tmp_path: Path) -> None:
    async with (
        heard(tmp_path) as (site, street),
        aiohttp.ClientSession(cookies=site.logs_in(), headers={"Origin": site.url}) as client,
    ):
        noted, controls = recorded(site.store), street.controls
        form = {"from": "912.6", "to": "914.6", "step": "2", "dwell": "1"}
        assert await send(client, site, "/radio/street/survey", form) == (303, "/radio/street#survey")
        await street.until(lambda: controls.survey and controls.survey.state == "done")
        shown = await page(client, site)
        assert "Done. The radio is back where it was." in shown
        # The form has what it was begun by, for it is often made again.
        assert 'name="to" inputmode="decimal" autocomplete="off" maxlength="24" required value="914.6"' in shown
        assert (await send(client, site, "/radio/street/survey", form | {"dwell": "60"}))[0] == 303
        assert (await send(client, site, "/radio/street/survey/stop"))[0] == 303
        await street.until(lambda: controls.survey and controls.survey.state == "stopped")

        assert (await send(client, site, "/radio/street/captures", {"seconds": "0,3"}))[0] == 303
        await street.until(lambda: controls.recorded and controls.recorded.state == "done")
        (kept,) = await controls.captures()
        path = f"/radio/street/captures/{kept.name}"
        assert path in await page(client, site)
        async with client.get(site.url + path) as answer:
            assert answer.headers["Content-Disposition"] == f'attachment; filename="{kept.name}"'
            whole = await answer.read()
        assert whole == kept.data.read_bytes()
        async with client.get(site.url + path, headers={"Range": "bytes=100-199"}) as answer:
            assert (answer.status, await answer.read()) == (206, whole[100:200])
        async with client.get(site.url + path.replace("-data", "-meta")) as answer:
            assert (await answer.json(content_type=None))["global"]["core:datatype"] == "cu8"
        for other in ("..%2F..%2Fx.sigmf-data", "x.sigmf-data", "20261123T182311Z-1Hz.sigmf-data", kept.name + "x"):
            async with client.get(f"{site.url}/radio/street/captures/{other}") as answer:
                assert answer.status == 404
        assert "This cannot be undone." in await page(client, site, f"{path}/delete")
        assert (await send(client, site, f"{path}/delete"))[0] == 303
        assert await controls.captures() == []
        assert (await send(client, site, f"{path}/delete"))[0] == 404
    done = ["survey_begun", "survey_begun", "survey_stopped", "recording_begun", "recording_deleted"]
    assert [detail["what"] for _, detail in noted] == done
    assert noted[0][1]["centers"] == 2
    assert noted[4][1]["name"] == kept.name


async def test_it_is_served_where_nobody_may_read(tmp_path: Path) -> None:
    async with served(Site(tmp_path, is_open=False)) as site:
        for path in (
            "/radio",
            "/radio/street/events",
            "/radio/street/spectrum.svg",
            "/api/v1/radio/street/survey.json",
        ):
            assert (await get(site, path))[0].status in (303, 401)
