"""What is set on the page comes before the file, entry by entry; what must not be set there is refused by name."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import config, lasting
from appliance.config import PAGE, TABLES, Config, Receiver, load, parse, read
from appliance.lasting import FILE, OFFERED, Lasting, Made, kept

BY_ANA = Made(7, "ana")
LINE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), include_characters="\x7f"), min_size=1, max_size=80)
PRINTABLE = LINE.filter(str.isprintable)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,31}", fullmatch=True)
RADIO = st.fixed_dictionaries(
    {"source": st.sampled_from(["rtlsdr", "rtlsdr:0001", "simulated", "rtl_tcp://[::1]:1234"])},
    optional={
        "center_hz": st.integers(24_000_000, 1_766_000_000),
        "gain_db": st.just("auto") | st.floats(-10, 60),
        "ppm": st.integers(-200, 200),
    },
)
SITES = st.fixed_dictionaries({}, optional={"name": PRINTABLE, "place": PRINTABLE})
SYNCS = st.fixed_dictionaries(
    {"aggregators": st.lists(st.just("https://a.example")), "aggregator_key": st.just("ab" * 32)},
    optional={
        "token": st.just("ABC2"),
        "certificate": st.just("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    },
)
MADE = st.builds(Made, st.integers(0, 2**62), PRINTABLE.map(lambda who: who[:40]))
SETTINGS = st.builds(
    Lasting,
    site=SITES,
    sync=SYNCS | st.just({}),
    receivers=st.dictionaries(NAMES, RADIO, max_size=3),
    made=st.dictionaries(st.just("site") | NAMES.map("receiver {}".format), MADE),
    stays=st.frozensets(st.sampled_from(["place", "link", "radio"])),
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "site": SITES,
        "sync": SYNCS,
        "web": st.just({"port": 81}),
        "receiver": st.lists(RADIO | st.just({"command": ["rtlamr"]}), max_size=3).map(
            lambda told: [{"name": f"r{n}", **one} if n else one for n, one in enumerate(told)]
        ),
    },
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file that names a data directory beside it."""
    path = tmp_path / "appliance.toml"
    (tmp_path / "data").mkdir()
    path.write_text(f"[store]\ndirectory = {json.dumps(str(tmp_path / 'data'))}\n[site]\nname = 'From the file'\n")
    return path


def put(place: Path, text: str) -> Path:
    found = place.parent / "data" / FILE
    found.write_text(text)
    return found


@given(told=SETTINGS)
def test_what_is_written_is_read_again(told: Lasting, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("data")
    lasting.keep(directory, told)
    assert kept(directory, TABLES) == (told, [])
    assert (directory / FILE).stat().st_mode & 0o777 == 0o600


@given(document=DOCUMENTS, told=SETTINGS)
def test_what_is_set_comes_before_the_file_entry_by_entry(document: dict[str, Any], told: Lasting) -> None:
    merged = told.over(document)
    for table, own in (("site", told.site), ("sync", told.sync)):
        assert merged.get(table, {}) == {**document.get(table, {}), **own}
    assert merged.get("web") == document.get("web")
    parsed = parse(merged)
    names = [entry.get("name", "radio") for entry in document.get("receiver", [])]
    assert [receiver.name for receiver in parsed.receivers] == (names or list(told.receivers) or ["simulated"])
    for receiver, entry in zip(parsed.receivers, document.get("receiver", []), strict=False):
        own = told.receivers.get(receiver.name, {})
        assert receiver.command == tuple(entry.get("command", ()))
        if not receiver.command:
            assert receiver.source == own.get("source", entry["source"])
    assert Lasting().over(document) == document
    without = told.having("site", {}, BY_ANA).having("sync", {}, BY_ANA)
    for name in told.receivers:
        without = without.having(f"receiver {name}", {}, BY_ANA)
    assert without.over(document) == document


def test_of_one_receiver() -> None:
    told = Lasting().having("receiver roof", {"ppm": 5}, BY_ANA)
    assert told.of("receiver roof") == {"ppm": 5}
    # One that is not in the file is none: the deployer gave it another name.
    assert told.over({"receiver": [{"source": "rtlsdr"}]}) == {"receiver": [{"source": "rtlsdr"}]}
    assert told.over({}) == {}
    assert told.over({"receiver": [{"name": "roof", "ppm": 1}]}) == {"receiver": [{"name": "roof", "ppm": 5}]}
    assert told.having("receiver roof", {}, BY_ANA) == Lasting()


def test_the_page_comes_before_the_file(place: Path) -> None:
    put(place, '[site]\nplace = "Piso 3"\n[[receiver]]\nname = "radio"\nsource = "rtlsdr"\nppm = 3\n')
    draft = read(place)
    assert (draft.config.site.name, draft.config.site.place) == ("From the file", "Piso 3")
    assert draft.config.receivers == (Receiver(name="radio", source="rtlsdr", ppm=3),)
    assert not draft.config.demonstration
    assert draft.told.demonstration
    assert draft.told.site.place == ""
    assert draft.wrong == ()
    assert load(place) == draft.config


def test_without_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "SEARCHED", (tmp_path / "appliance.toml",))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text('[site]\nname = "Here"\n')
    assert (load().site.name, read().config.site.name, read().told) == ("Here", "Here", Config())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[web]\nport = 1\n", "[web] cannot be set here; there are site, sync, receiver"),
        ("[store]\ndirectory = '/'\n", "[store] cannot be set here"),
        ("[[receiver]]\nname = 'radio'\ncommand = ['sh']\n", "receiver.command cannot be set here"),
        ("[sync]\nstick = '/media/X'\n", "sync.stick cannot be set here"),
        ("[site]\nnme = 'x'\n", "site.nme is not a setting (did you mean name?)"),
        ("[site]\nname = ''\n", "site.name = '' must be a text of at most 80 characters"),
        ("[[receiver]]\nname = 'radio'\nppm = 201\n", "receiver.ppm = 201 must be a whole number from -200 to 200"),
        ("[[receiver]]\nname = 'radio'\nsource = '/etc/passwd'\n", "receiver.source = '/etc/passwd' must be rtlsdr"),
        ("[[receiver]]\nname = 'radio'\nsource = 5\n", "receiver.source = 5 must be"),
        ("[sync]\ncertificate = '/etc/x.pem'\n", "sync.certificate must be a certificate (PEM), not a file"),
        ("[[receiver]]\nppm = 1\n", "receiver.name = None must be"),
        ("[[receiver]]\nname = 'a'\n[[receiver]]\nname = 'a'\n", "receiver.name = 'a' is used twice"),
        ("receiver = 1\n", "receiver must be a list of tables"),
        ("site = 1\n", "site must be a table, written [site]"),
        ("stays = ['Bad step']\n", "stays must be a list of steps"),
        ("[made.site]\nat = 'x'\nwho = 'ana'\n", "made.site must have at, a stamp, and who"),
        ("[site\n", "is not TOML"),
    ],
)
def test_what_must_not_be_set_there_is_told_and_the_rest_runs(place: Path, text: str, words: str) -> None:
    path = put(place, text)
    draft = read(place)
    assert [one.part for one in draft.wrong] == [PAGE]
    assert draft.wrong[0].words.startswith(f"{path}: {words}")
    assert draft.keeps
    assert draft.config == draft.told
    assert load(place) == draft.config


def test_what_is_right_beside_what_is_wrong_holds(place: Path) -> None:
    put(place, "[site]\nname = ''\nplace = 'Piso 3'\n[[receiver]]\nname = 'radio'\nsource = 'rtlsdr'\nppm = 1000\n")
    draft = read(place)
    assert (draft.config.site.name, draft.config.site.place) == ("From the file", "Piso 3")
    assert draft.config.receivers[0].ppm == 0
    assert len(draft.wrong) == 2


def test_all_that_is_offered_is_a_setting() -> None:
    from dataclasses import fields

    for table, keys in OFFERED.items():
        assert set(keys) <= {f.name for f in fields(TABLES[table])}
    assert not set(OFFERED) & {"web", "store"}


def test_a_word_that_toml_would_not_take(tmp_path: Path) -> None:
    odd = Lasting(site={"name": 'a "b" \\ é \U0001f600'}, made={"receiver a.b c": BY_ANA})
    assert tomllib.loads(odd.text())["site"]["name"] == odd.site["name"]
    lasting.keep(tmp_path, odd)
    assert kept(tmp_path, TABLES) == (odd, [])
