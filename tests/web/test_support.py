"""The bundle for support: all that it says is in it is, and nothing that is secret, wherever it may have stood."""

import asyncio
import io
import json
import logging
import re
import shlex
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance import config
from appliance.assignment import Assignment
from appliance.model import Message
from appliance.recent_log import MOST_LINES, RecentLog
from appliance.store import dials, notes
from appliance.store.assign import assign
from appliance.store.assigned import Assigned
from appliance.store.rows import MeterKey
from appliance.store.writer import Store
from appliance.support.contents import CONTENTS, README
from appliance.support.kernel_log import kernel_log
from appliance.support.redaction import Redaction
from appliance.sync.sealing import Sealing
from appliance.web.frame.passwords import kept
from appliance.web.site import serving
from tests.store.box import START, Box
from tests.web.conftest import RECEIVER, Site, logged_in, recorded

KEY = MeterKey("scm", 60243827, False)
FIRST, TOKEN, LASTING_TOKEN, COMMAND = "erste Losung 4711", "AAAABBBBCCCC", "ZZZZYYYYXXXX", "radiopass-4711"
NAME, ADDRESS, NOTE, PLACE = (
    "Casa Pérez-Soto",
    "Pasaje Oculto 77",
    "the dog bites, ring at Rojas",
    "Behind Muñoz's shed",
)
PERSON, READING = "marcela", 987654
log = logging.getLogger("appliance.test")


@dataclass
class Kept:
    """An appliance that has something to hide at each place."""

    store: Store
    sealing: Sealing
    url: str
    cookies: dict[str, str]
    secrets: list[str]


def message(box: Box, consumption: int) -> Message:
    return Message(
        time=START, protocol="scm", meter_id=KEY.meter_id, endpoint_type=4, commodity="electric", tamper_phy=0,
        tamper_enc=3, consumption=consumption, checksum=0, frequency_hz=912_345_678, snr_db=20.0, corrected_bits=0,
        sample=0,
    )  # fmt: skip


def settings(directory: Path) -> config.Draft:
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "settings.toml").write_text(
        f'[site]\nplace = "{PLACE}"\n[sync]\ntoken = "{LASTING_TOKEN}"\n', encoding="utf-8"
    )
    path = directory / "appliance.toml"
    path.write_text(
        f'[web]\nfirst_password = "{FIRST}"\nport = 1\n[sync]\ntoken = "{TOKEN}"\n'
        f'aggregators = ["https://centre.example"]\naggregator_key = "{"ab" * 32}"\n'
        f'[store]\ndirectory = "{directory / "data"}"\n'
        f'[[receiver]]\nname = "street"\ncommand = {json.dumps(["listen", "--password", COMMAND])}\n'
    )
    draft = config.read(path)
    assert draft.wrong == ()
    return draft


@asynccontextmanager
async def hiding(directory: Path) -> AsyncIterator[Kept]:
    draft = settings(directory)
    box, recent = Box(directory / "data"), RecentLog()
    async with box.store() as store:
        with recent.listening():
            store.hear(message(box, READING - 1), simulated=False)
            await store.commit()
            box.now_s += 60
            store.hear(replace(message(box, READING), tamper_phy=1), simulated=False)
            await assign(store, Assigned(1, 0, (Assignment(KEY.meter_id, "scm", NAME, ADDRESS, Decimal(1)),)))
            await notes.add_note(store, KEY, PERSON, NOTE)
            await dials.compare(store, KEY, PERSON, "9876.5")
            cookies = logged_in(store, PERSON)
            hashed = kept(FIRST)
            store.people.accounts[PERSON] = store.people.accounts[PERSON]._replace(kept=hashed)
            sealing = Sealing(store)
            assert await sealing.seal_now() == ""
            identity = await sealing.of(lambda outbox: outbox.identity)
            key = next(path for path in (directory / "data" / "identity").glob("*.key")).read_text()
            secrets = [
                *(
                    FIRST,
                    TOKEN,
                    LASTING_TOKEN,
                    COMMAND,
                    NAME,
                    ADDRESS,
                    NOTE,
                    PLACE,
                    PERSON,
                    str(READING),
                    str(READING - 1),
                ),
                *("9876.5", str(KEY.meter_id), hashed, identity.claim_code, *cookies.values()),
                *(line for line in key.split() if len(line) > 20),
                *store.people.sessions,
            ]
            # A fault that quotes what it was about.
            for secret in (
                FIRST,
                TOKEN,
                LASTING_TOKEN,
                COMMAND,
                NAME,
                ADDRESS,
                NOTE,
                PLACE,
                hashed,
                identity.claim_code,
            ):
                log.warning("what=%s is wrong", secret)
            log.warning("who=%s has logged in", PERSON)
            log.warning("a line of use")
            store.record("radio_failed", {"receiver": "street", "why": f"cannot log in with {COMMAND}"})
            store.record("changed", {"who": PERSON, "what": "note_added", "meter": KEY.meter_id, "text": NOTE})
            store.record("logged_in", {"who": PERSON, "from": "192.0.2.77"})
            await store.commit()
            source = shlex.join(["listen", "--password", COMMAND])
            receivers = [replace(RECEIVER, source=source, reason=f"ended: {COMMAND}")]
            parts = replace(
                Site(directory / "other").parts(), store=store, sealing=sealing, draft=draft, recent_log=recent,
                receivers=lambda: receivers,
            )  # fmt: skip
            async with serving(parts, "127.0.0.1", 0) as port:
                yield Kept(store, sealing, f"http://127.0.0.1:{port}", cookies, secrets)
        sealing.close()


async def bundle(made: Kept) -> tuple[bytes, str]:
    headers = {"Origin": made.url}
    async with aiohttp.ClientSession(cookies=made.cookies, headers=headers) as client:
        async with client.post(f"{made.url}/system/keeping/support") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read(), answer.headers["Content-Disposition"]


async def test_what_is_in_it_and_what_is_not(tmp_path: Path) -> None:
    async with hiding(tmp_path) as made:
        noted = recorded(made.store)
        async with aiohttp.ClientSession(cookies=made.cookies, headers={"Origin": made.url}) as client:
            path = f"{made.url}/system/keeping/support"
            both = await asyncio.gather(client.post(path), client.post(path))
            assert sorted(answer.status for answer in both) == [200, 409]
            (refused,) = [answer for answer in both if answer.status == 409]
            assert "being put together already" in await refused.text()
        noted.clear()
        content, disposition = await bundle(made)
        secrets = made.secrets
    assert re.fullmatch(r'attachment; filename="calle-alvarez-12-[\d-]+Z-support\.zip"', disposition)
    assert noted == [("changed", {"who": PERSON, "what": "support_downloaded"})]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert list(texts) == [README, *(name for name, _ in CONTENTS)]
    everything = "\n".join([content.decode("latin-1"), *texts.values(), *texts])
    assert all(len(secret) >= 4 for secret in secrets)
    assert [secret for secret in secrets if secret.casefold() in everything.casefold()] == []
    assert "192.0.2.77" not in everything
    # What it is for is there.
    found: dict[str, Any] = {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}
    assert all(name in texts[README] and words in texts[README] for name, words in CONTENTS)
    assert found["versions.json"]["databases"]["catalogue"] >= 3
    assert found["health.json"]["receivers"][0]["source"] == "listen"
    assert found["settings.json"]["web"]["first_password"] == "(set, left out)"
    assert found["settings.json"]["sync"]["aggregator_key"] == "ab" * 32
    assert found["settings.json"]["receiver"][0]["command"] == ["listen", "(2 arguments, left out)"]
    assert found["storage.json"]["outbox"]["waiting"] == 1
    assert found["radio.json"]["receivers"][0]["status"]["sample_rate_hz"] == 2_359_296
    kinds = [event["kind"] for event in found["events.json"]]
    assert {"radio_failed", "changed", "logged_in", "boot"} <= set(kinds)
    assert "note_added" in {event.get("what") for event in found["events.json"]}
    assert "a line of use" in texts["log.txt"]
    assert "what=(removed) is wrong" in texts["log.txt"]
    assert "settings" in texts["doctor.txt"]
    assert "catalogue.db" in texts["files.txt"]
    assert texts["kernel.txt"].strip()


async def test_of_a_card_that_cannot_be_read_it_has_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hiding(tmp_path) as made:

        async def broken(*_: object, **__: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(made.store, "ask", broken)
        content, _ = await bundle(made)
        secrets = made.secrets
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert "cannot be read" in texts["events.json"]
    assert "a line of use" in texts["log.txt"]
    # Notes are in no log, but for this test's.
    everything = "\n".join(texts.values()).replace(NOTE, "")
    assert [secret for secret in secrets if secret in everything] == []


def test_words_are_taken_out_where_they_stand_by_themselves() -> None:
    texts = ["ana and banana: ana@x, SECRETsecret"]
    redaction = Redaction({"secret"}, {"ana", "x", "not there"}, texts)
    assert redaction.of(texts[0]) == "(removed) and banana: (removed)@x, SECRET(removed)"
    assert redaction.of({"ana": ["ana", 1, None, {"a": "ana"}]}) == {"ana": ["(removed)", 1, None, {"a": "(removed)"}]}
    assert Redaction((), (), ["x"]).of("x") == "x"


def test_the_log_is_bounded() -> None:
    recent = RecentLog()
    with recent.listening():
        for number in range(MOST_LINES + 5):
            log.warning("line %d %s", number, "x" * 1000)
        log.debug("not this one")
    log.warning("nor this one")
    lines = recent.lines()
    assert len(lines) == MOST_LINES
    assert all(len(line) <= 500 for line in lines)
    assert f"line {MOST_LINES + 4} " in lines[-1]


def test_the_kernel_log(tmp_path: Path) -> None:
    assert kernel_log(tmp_path / "none") == ["cannot be read: No such file or directory"]
    (tmp_path / "kmsg").write_text("5,1,2000000,-;Kernel command line: wifi=secret\n")
    assert kernel_log(tmp_path / "kmsg") == []
    assert all(re.match(r"\[ *\d+\.\d{6}\] |cannot be read", line) for line in kernel_log())
