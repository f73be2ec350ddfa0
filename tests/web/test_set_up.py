"""The set-up: what is typed is kept if it is right, told in words if not; steps, accounts, Wi-Fi, dongles, a try."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import lasting
from appliance.config import TABLES, Draft, parse
from appliance.lasting import Lasting, Made, kept
from appliance.store.people import AccountRow
from appliance.web.views.set_up import page as views
from appliance.web.views.set_up.forms import of_receiver, of_site, of_sync
from tests.nmcli import put
from tests.sync.centre import centre
from tests.web.conftest import KEPT, PASSWORD, RECEIVER, logged_in, recorded
from tests.web.set_up import SetUp, set_up

OWN = {"own_password": PASSWORD}
KEY = "ab" * 32
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
AGGREGATOR = {"aggregators": "https://one.example/\r\nhttps://two.example:8443", "aggregator_key": KEY.upper()}
RADIO = {"name": "radio", "source": "rtlsdr", "center": "912,6", "gain": "auto", "ppm": "−3"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(views, "AFTER_S", 0)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(put(tmp_path / "bin")))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SetUp]:
    async with set_up(tmp_path) as made:
        yield made


class Client:
    """A technician's browser without JavaScript."""

    def __init__(self, site: SetUp, language: str = "en") -> None:
        self._site = site
        cookies = logged_in(site.store) | {"lang": language}
        self._session = aiohttp.ClientSession(cookies=cookies, headers={"Origin": site.url})

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str = "/set-up") -> str:
        async with self._session.get(self._site.url + path) as answer:
            assert answer.status == 200
            return " ".join((await answer.text()).split())

    async def post(self, path: str, fields: Mapping[str, str]) -> tuple[int, str]:
        """Status, and the page or where it leads."""
        url = f"{self._site.url}/set-up/{path}"
        async with self._session.post(url, data=dict(fields), allow_redirects=False) as answer:
            where = answer.headers.get("Location")
            return answer.status, where or " ".join((await answer.text()).split())


def states(page: str) -> list[str]:
    return re.findall(r'<li class="(good|fair|passed)"><span class="sign"', page)


async def test_it_is_for_technicians_alone(site: SetUp) -> None:
    async with aiohttp.ClientSession(headers={"Origin": site.url}) as stranger:
        for method, path in (("GET", ""), ("POST", "/place"), ("POST", "/wifi"), ("POST", "/accounts")):
            async with stranger.request(method, f"{site.url}/set-up{path}", allow_redirects=False) as answer:
                assert answer.status == 303
                assert answer.headers["Location"].startswith("/login")
    assert site.kept == ""


async def test_what_is_done_and_what_is_open(site: SetUp) -> None:
    people = site.store.people
    now = site.store.clock.now()
    async with Client(site) as client:
        people.accounts["technician"] = AccountRow("technician", KEPT, "technician", now, now)
        assert states(await client.get()) == ["fair", "fair", "good", "fair", "fair"]
        assert "Open steps: 4." in await client.get("/")
        site.pi.write("proc/net/route", "Iface\n")
        assert "No way out to the network is set up." in await client.get()
        for step in ("place", "link", "aggregator", "radio"):
            assert await client.post("stays", {"step": step, "stays": "yes"}) == (303, f"/set-up#{step}")
        assert states(await client.get()) == ["fair", "passed", "passed", "passed", "passed"]
        assert "Open steps: 1." in await client.get("/")
        # A password of one's own, and it is finished.
        people.accounts["technician"] = AccountRow("technician", KEPT, "technician", now, now + 5)
        assert "The set-up is finished." in await client.get()
        assert "The set-up is not finished" not in await client.get("/")
        await client.post("stays", {"step": "link"})
        assert states(await client.get())[2] == "fair"
        assert (await client.post("stays", {"step": "password", "stays": "yes"}))[0] == 400
    assert kept(site.directory, TABLES)[0].stays == {"place", "aggregator", "radio"}
    assert site.started_anew == 0


async def test_name_and_place_are_kept_and_taken_back(site: SetUp) -> None:
    noted = recorded(site.store)
    async with Client(site) as client:
        status, page = await client.post("place", {"name": " Calle  Álvarez 12 ", "place": "Piso 3"})
        assert (status, "It is kept" in page) == (200, True)
        await asyncio.sleep(0.01)
        assert site.started_anew == 1
        assert (site.draft.config.site.name, site.draft.config.site.place) == ("Calle Álvarez 12", "Piso 3")
        assert kept(site.directory, TABLES)[0].made["site"].who == "ana"
        shown = " ".join((await client.get()).split())
        assert re.search(r"Set here by <bdi>ana</bdi> <time [^>]*>\d+ s</time> ago: name, place\.", shown)
        # The same again is nothing to start anew for.
        again = await client.post("place", {"name": "Calle Álvarez 12", "place": "Piso 3"})
        assert again == (303, "/set-up#place")
        status, _ = await client.post("back", {"part": "site"})
        assert status == 200
        assert site.draft.config.site == site.draft.told.site
        assert (await client.post("back", {"part": "web"}))[0] == 400
    assert noted == [
        ("changed", {"who": "ana", "what": "settings_changed", "part": "site", "keys": "name, place"}),
        ("changed", {"who": "ana", "what": "settings_put_back", "part": "site", "keys": "name, place"}),
    ]


async def test_only_what_differs_from_the_file_is_set_here(tmp_path: Path) -> None:
    async with set_up(tmp_path, "[site]\nname = 'Calle 5'\nplace = 'Piso 1'") as site, Client(site) as client:
        await client.post("place", {"name": "Calle 5", "place": "Piso 2"})
        assert kept(site.directory, TABLES)[0].site == {"place": "Piso 2"}
        # One that is taken away is not what the file says.
        await client.post("place", {"name": "Calle 5", "place": ""})
        assert kept(site.directory, TABLES)[0].site == {"place": ""}


def offered(page: str) -> dict[str, bool]:
    """The zones to choose from by their values, and whether each is the one that is chosen."""
    (select,) = re.findall(r'<select id="zone".*?</select>', page)
    found = re.findall(r'<option(?: value="([^"]*)")?(?: data-zone="[^"]*")?( selected)?>([^<]*)<', select)
    return {value or ("" if ":" in text else text): bool(chosen) for value, chosen, text in found}


async def test_the_zone_is_kept_and_that_of_the_machine_is_one_to_choose(tmp_path: Path) -> None:
    place = {"name": "Calle 5", "place": ""}
    told = "[site]\nname = 'Calle 5'\nzone = 'Chile/EasterIsland'"
    async with set_up(tmp_path, told) as site, Client(site) as client:
        zones = offered(await client.get())
        assert list(zones)[:4] == ["", "UTC", "Chile/EasterIsland", "Africa/Abidjan"]
        assert [name for name, chosen in zones.items() if chosen] == ["Chile/EasterIsland"]
        assert "America/Argentina/Buenos_Aires" in zones
        for typed, entry in (
            ("America/Santiago", {"zone": "America/Santiago"}),
            # Which is not what the file says.
            ("", {"zone": ""}),
            ("Chile/EasterIsland", {}),
        ):
            status, _ = await client.post("place", place | {"zone": typed})
            assert (status, kept(site.directory, TABLES)[0].site) == (200, entry)
            assert site.draft.config.site.zone == typed
        # A form that has none does not take it away.
        await client.post("place", place | {"zone": "UTC"})
    async with set_up(tmp_path, told) as site, Client(site) as client:
        assert [name for name, chosen in offered(await client.get()).items() if chosen] == ["UTC"]
        await client.post("place", place | {"place": "Piso 3"})
        assert kept(site.directory, TABLES)[0].site == {"place": "Piso 3", "zone": "UTC"}
        assert "Set here by <bdi>ana</bdi>" in await client.get()


async def test_a_zone_that_was_chosen_and_is_not_known_any_more(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / lasting.FILE).write_text("[site]\nname = 'Pozo'\nzone = 'America/Atlantis'\n")
    async with set_up(tmp_path) as site, Client(site, "es") as client:
        page = await client.get()
        assert "Algo de lo que se definió en esta página no tiene efecto." in page
        assert "site.zone = &#39;America/Atlantis&#39; must be the name of a time zone" in page
        assert [name for name, chosen in offered(page).items() if chosen] == []
        status, _ = await client.post("place", {"name": "Pozo", "place": "", "zone": "America/Santiago"})
        assert (status, kept(site.directory, TABLES)[1]) == (200, [])
        assert "Algo de lo que se definió" not in await client.get()


@pytest.mark.parametrize(
    ("path", "fields", "english", "spanish"),
    [
        ("place", {"name": "x", "zone": "Mars/Base"}, "does not know that zone", "no conoce esa zona: elija una"),
        ("place", {"name": ""}, "A name has 1 to 80 characters.", "Un nombre tiene de 1 a 80"),
        ("place", {"name": "x" * 81}, "A name has 1 to 80 characters.", "Un nombre tiene de 1 a 80"),
        ("place", {"name": "x", "place": "y" * 121}, "At most 120 characters.", "A lo más 120 caracteres."),
        ("aggregator", AGGREGATOR | {"aggregators": "http://x"}, "Each address begins with", "Cada dirección empieza"),
        ("aggregator", AGGREGATOR | {"aggregators": "https://a\n" * 5}, "four at most", "cuatro a lo más"),
        ("aggregator", AGGREGATOR | {"aggregator_key": "xyz"}, "Here are 3.", "Aquí hay 3."),
        ("aggregator", AGGREGATOR | {"aggregator_key": ""}, "of no use without the key", "no sirve sin la clave"),
        ("aggregator", AGGREGATOR | {"token": "0189!"}, "The token has letters", "La ficha tiene letras"),
        ("aggregator", AGGREGATOR | {"certificate": "x"}, "A certificate begins with", "Un certificado empieza"),
        ("radio", RADIO | {"ppm": "201"}, "A whole number from −200 to 200.", "entero"),
        ("radio", RADIO | {"ppm": "1.5"}, "A whole number from −200 to 200.", "entero"),
        ("radio", RADIO | {"center": "5"}, "A number of MHz from 24 to 1766", "MHz"),
        ("radio", RADIO | {"center": "1e999"}, "A number of MHz from 24 to 1766", "MHz"),
        ("radio", RADIO | {"gain": "hand", "gain_db": "99"}, "A number of dB from −10 to 60.", "dB"),
        ("radio", RADIO | {"source": "/etc/passwd"}, "Choose where samples come from.", "Elija de dónde"),
        ("radio", RADIO | {"source": "rtl_tcp", "address": "x"}, "has the form rtl_tcp://host:port", "tiene la forma"),
    ],
)
async def test_what_is_wrong_is_said_in_words_and_nothing_typed_is_lost(
    site: SetUp, path: str, fields: dict[str, str], english: str, spanish: str
) -> None:
    for language, words in (("en", english), ("es", spanish)):
        async with Client(site, language) as client:
            status, page = await client.post(path, fields)
            assert status == 422
            (said,) = re.findall(r'class="wrong-field" role="alert">([^<]*)<', page)
            assert words in said
            if path == "aggregator":
                assert fields["aggregators"].split()[0] in page
                assert "0189!" not in page
            elif path == "place" and fields["name"]:
                assert f'value="{fields["name"]}"' in page
                assert "zone" not in fields or offered(page)[fields["zone"]]
    assert site.kept == ""
    assert site.started_anew == 0


async def test_the_aggregator_is_kept_and_its_token_never_shown(site: SetUp) -> None:
    noted = recorded(site.store)
    typed = AGGREGATOR | {"token": "abc234", "certificate": PEM.replace("\n", "\r\n")}
    async with Client(site) as client:
        for own, status, words in (("", 422, "Type the password by which"), ("x", 403, "That is not your password.")):
            got, page = await client.post("aggregator", typed | {"do": "keep", "own_password": own})
            assert (got, words in page, "https://two.example:8443</textarea>" in page) == (status, True, True)
            assert "abc234" not in page
        assert (site.kept, noted, site.started_anew) == ("", [], 0)
        status, page = await client.post("aggregator", typed | {"do": "keep"} | OWN)
        assert status == 200
        sync = site.draft.config.sync
        assert sync.aggregators == ("https://one.example", "https://two.example:8443")
        assert (sync.aggregator_key, sync.token, sync.certificate) == (KEY, "ABC234", f"{PEM}\n")
    assert "ABC234" not in str(noted) + page
    assert noted[0][1]["keys"] == "aggregators, aggregator_key, token, certificate"
    async with set_up(site.directory.parent) as again, Client(again) as client:
        page = await client.get()
        assert "https://one.example https://two.example:8443</textarea>" in page
        assert "MIIB" in page
        assert "one is set; empty leaves it" in page
        assert "ABC234" not in page
        # What is empty now: the certificate goes, the token stays.
        await client.post("aggregator", AGGREGATOR | {"token": "", "certificate": ""} | OWN)
        assert (again.draft.config.sync.token, again.draft.config.sync.certificate) == ("ABC234", "")


async def test_a_certificate_that_the_file_names_stays(tmp_path: Path) -> None:
    told = f"[sync]\naggregator_key = '{KEY}'\ncertificate = '/boot/aggregator.pem'"
    async with set_up(tmp_path, told) as site, Client(site) as client:
        assert "/boot/aggregator.pem" in await client.get()
        await client.post("aggregator", AGGREGATOR | {"certificate": ""} | OWN)
        assert site.draft.config.sync.certificate == "/boot/aggregator.pem"


async def test_an_aggregator_is_tried_before_it_is_kept(site: SetUp, tmp_path: Path) -> None:
    async with centre(tmp_path / "centre") as there, Client(site) as client:
        (key,) = there.keys.values()
        typed = {"aggregators": there.address, "aggregator_key": key.public_bytes_raw().hex(), "do": "try"}
        status, page = await client.post("aggregator", typed)
        assert (status, "does not know this appliance yet" in page) == (200, True)
        identity = await site.sealing.of(lambda outbox: outbox.identity)
        assert identity.fingerprint in page
        assert f"{identity.claim_code[:4]} {identity.claim_code[4:]}" in page
        assert f">{there.address}</textarea>" in page
        _, page = await client.post("aggregator", typed | {"aggregator_key": KEY})
        assert "Somebody answers, but not with this key." in page
        _, page = await client.post("aggregator", typed | {"aggregators": "http://127.0.0.1:9"})
        assert "It cannot be reached.</strong> The connection was refused" in page
        assert '<span lang="en">Cannot be reached (Connection refused).</span>' in page
        # What another says is not repeated.
        _, page = await client.post("aggregator", typed | {"aggregators": f"{site.url}/"})
        assert "Somebody answers, but it is no aggregator." in page
        status, page = await client.post("aggregator", {"do": "try"})
        assert (status, "There is nothing to try." in page) == (422, True)
    assert site.kept == ""
    assert there.requests == {"receipts": 2}


async def test_an_account_is_added_with_a_password_shown_once_and_removed(site: SetUp) -> None:
    await site.keep()
    noted = recorded(site.store)
    async with Client(site) as client:
        for own, status, words in (("", 422, "Type the password by which"), ("x", 403, "That is not your password.")):
            asked = {"account": "luis.soto", "own_password": own}
            got, page = await client.post("accounts", asked)
            assert (got, words in page, 'value="luis.soto"' in page) == (status, True, True)
        assert noted == []
        status, page = await client.post("accounts", {"account": " Luis.Soto "} | OWN)
        (password,) = re.findall(r'granted">([a-z0-9-]{19})<', page)
        assert (status, "luis.soto can log in now." in page) == (200, True)
        shown = await client.get()
        assert password not in shown
        assert re.search(
            r"luis\.soto</bdi></b> <span class=\"quiet\">password of <time [^>]*>\d+ s</time> ago</span>", shown
        )
        async with aiohttp.ClientSession(headers={"Origin": site.url}) as luis:
            typed = {"name": "luis.soto", "password": password}
            async with luis.post(f"{site.url}/login", data=typed, allow_redirects=False) as answer:
                assert answer.status == 303
        for wrong, words in (("luis.soto", "There is an account of that name"), ("a b", "A name has at most 40")):
            status, page = await client.post("accounts", {"account": wrong} | OWN)
            assert (status, words in page, f'value="{wrong}"' in page) == (422, True, True)
        status, page = await client.post("accounts/remove", {"account": "luis.soto", "own_password": "x"})
        assert (status, page.count("That is not your password."), page.count("<details open>")) == (403, 1, 1)
        assert await client.post("accounts/remove", {"account": "luis.soto"} | OWN) == (303, "/set-up#password")
        assert "luis.soto" not in await client.get()
        for name in ("ana", "nobody"):
            status, page = await client.post("accounts/remove", {"account": name} | OWN)
            assert (status, "This account cannot be removed." in page) == (422, True)
    assert [detail["what"] for kind, detail in noted if kind == "changed"] == ["account_added", "account_removed"]
    assert password not in str(noted)


async def until_joined(client: Client) -> str:
    async with asyncio.timeout(10):
        while "data-every" in (page := await client.get()).partition('id="link-live"')[2][:40]:
            await asyncio.sleep(0.05)
    return page


async def test_a_wifi_is_joined(site: SetUp, tmp_path: Path) -> None:
    noted = recorded(site.store)
    async with Client(site) as client:
        page = await client.get()
        assert page.index("Casa : Luna") < page.index("Café del Puerto") < page.index("Plaza libre")
        typed = {"network": "Café del Puerto", "password": "the right one"}
        assert await client.post("wifi", typed) == (303, "/set-up#link")
        assert "Joined: <bdi>Café del Puerto</bdi>" in await until_joined(client)
        await client.post("wifi", typed | {"password": "not the right one"})
        page = await until_joined(client)
        assert "The password is not right." in page
        assert 'value="Café del Puerto" checked' in page
    assert noted == [("changed", {"who": "ana", "what": "wifi_joined", "network": "Café del Puerto"})]
    assert "the right one" not in site.kept + str(noted)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "The name of a network has at most 32 characters."),
        ({"other": "ñ" * 17}, "The name of a network has at most 32 characters."),
        ({"other": "--help"}, "The name of a network has at most 32 characters."),
        ({"network": "Plaza libre", "password": "short"}, "The password of a Wi-Fi has 8 to 63 characters."),
    ],
)
async def test_a_wifi_that_cannot_be(site: SetUp, fields: dict[str, str], words: str) -> None:
    async with Client(site) as client:
        status, page = await client.post("wifi", fields)
    assert (status, words in page) == (422, True)
    assert "short" not in page


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        ("not running", "not by NetworkManager"),
        ("no device", "This machine has no radio for Wi-Fi."),
        ("off", "Wi-Fi is switched off in NetworkManager."),
    ],
)
async def test_where_no_wifi_can_be_joined(site: SetUp, tmp_path: Path, manner: str, words: str) -> None:
    put(tmp_path / "bin", manner)
    async with Client(site) as client:
        page = await client.get()
    assert words in page
    assert "/set-up/wifi" not in page
    assert "192.168.1.20" in page


async def test_one_network_at_a_time(site: SetUp, tmp_path: Path) -> None:
    put(tmp_path / "bin", slow_s=1)
    async with Client(site) as client:
        await client.post("wifi", {"network": "Plaza libre"})
        status, page = await client.post("wifi", {"network": "Plaza libre"})
        assert (status, "A network is being joined already." in page) == (503, True)
        assert "Joining <bdi>Plaza libre</bdi>" in page


async def test_a_dongle_is_used_and_ends_the_demonstration(site: SetUp) -> None:
    site.pi.dongle(serial="00000042")
    async with Client(site) as client:
        page = await client.get()
        assert "Plugged in, and free." in page
        (source,) = re.findall(r'name="source" value="([^"]*)"', page)
        status, _ = await client.post("radio", {"name": "radio", "source": source})
    assert status == 200
    (receiver,) = site.draft.config.receivers
    assert (receiver.name, receiver.source, receiver.center_hz) == ("radio", "rtlsdr:00000042", 912_600_155)
    assert not site.draft.config.demonstration
    async with set_up(site.directory.parent) as again, Client(again) as client:
        again.receivers = [RECEIVER]
        again.pi.dongle("usbfs", serial="00000043", port="1-1.3")
        page = await client.get()
        assert states(page)[4] == "good"
        assert "Another program uses it." in page
        # A second one gets a receiver of its own.
        assert 'name="name" value="radio2"' in page
        status, _ = await client.post("radio", RADIO | {"source": "rtlsdr:00000042", "gain": "hand", "gain_db": "40,2"})
        (receiver,) = again.draft.config.receivers
        assert (receiver.center_hz, receiver.gain_db, receiver.ppm) == (912_600_000, 40.2, -3)
        await client.post("back", {"part": "receiver radio"})
        assert again.draft.config.demonstration


@pytest.mark.parametrize(
    ("driver", "words"),
    [("dvb_usb_rtl28xxu", "for a television receiver"), ("usbfs", "Another program uses it."), ("", "no right")],
)
async def test_a_dongle_that_cannot_be_used(site: SetUp, driver: str, words: str) -> None:
    site.pi.locked.add(site.pi.dongle(driver))
    async with Client(site) as client:
        assert words in await client.get()


async def test_receivers_of_the_file(tmp_path: Path) -> None:
    told = (
        "[[receiver]]\nname = 'roof'\nsource = '/srv/street.cu8'\n[[receiver]]\nname = 'yard'\ncommand = ['rtlamr']\n"
    )
    async with set_up(tmp_path, told) as site, Client(site) as client:
        page = await client.get()
        assert "as in the file: /srv/street.cu8" in page
        assert 'value="yard"' not in page
        # A command is the file's alone, and so is whether there is one more.
        for name in ("yard", "radio", "radio2", ""):
            assert (await client.post("radio", RADIO | {"name": name}))[0] == 400
        status, _ = await client.post("radio", RADIO | {"name": "roof", "source": ""})
        assert status == 200
        roof = site.draft.config.receivers[0]
        assert (roof.source, roof.ppm, roof.center_hz) == ("/srv/street.cu8", -3, 912_600_000)


async def test_settings_that_are_damaged_are_told_and_put_aside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / lasting.FILE).write_bytes(b"[site\nname = 'Lost'\n")
    async with set_up(tmp_path) as site, Client(site) as client:
        page = await client.get()
        assert "Some of what was set on this page has no effect." in page
        assert "is not TOML" in page
        assert "Some of what was set on the page has no effect." in await client.get("/")
        status, _ = await client.post("mend", {})
        assert status == 200
        assert kept(site.directory, TABLES) == (Lasting(), [])
        assert [one.name for one in (tmp_path / "data" / "damaged").iterdir()] == ["1-settings.toml"]


async def test_what_is_wrong_in_them_goes_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / lasting.FILE).write_text("[site]\nname = 'Here'\nwhat = 1\n")
    async with set_up(tmp_path) as site, Client(site) as client:
        assert "site.what is not a setting" in await client.get()
        await client.post("mend", {})
        assert kept(site.directory, TABLES) == (Lasting(site={"name": "Here"}), [])


async def test_a_card_that_takes_nothing(site: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_directory: Path, _lasting: Lasting) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lasting, "keep", full)
    async with Client(site) as client:
        for path, fields in (
            ("place", {"name": "Calle 5"}),
            ("stays", {"step": "link", "stays": "yes"}),
            ("mend", {}),
            ("radio", RADIO),
        ):
            status, page = await client.post(path, fields)
            assert (status, "The card does not take it now." in page) == (503, True), path
    assert site.started_anew == 0


TYPED = st.text(max_size=40) | st.sampled_from(["auto", "hand", "rtl_tcp", "rtlsdr", "912,6", "-1", PEM, KEY])
FIELDS = ("name", "place", "aggregators", "aggregator_key", "token", "certificate", "source", "address", "center")
FORMS = st.dictionaries(st.sampled_from((*FIELDS, "gain", "gain_db", "ppm")), TYPED)


@given(fields=FORMS)
def test_whatever_is_typed_is_refused_or_can_be_read_again(
    fields: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("data")
    draft, told = Draft(None, parse({})), Lasting()
    for part, typed in (
        ("site", of_site(fields, draft)),
        ("sync", of_sync(fields, draft, {})),
        ("receiver radio", of_receiver(fields, draft, "radio", {})),
    ):
        if not typed.wrong:
            told = told.having(part, typed.entries, Made(1, "ana"))
    lasting.keep(directory, told)
    assert kept(directory, TABLES) == (told, [])
    parse(told.over({}))
