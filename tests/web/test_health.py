"""`GET /healthz`: the overall state, every part, and what the store and the clock say."""

import json
from dataclasses import replace

import pytest

from appliance.config import Wrong
from appliance.supervisor import Health
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.pages import as_technician, get


@pytest.mark.parametrize(
    ("states", "overall", "status"),
    [
        (["healthy", "healthy"], "healthy", 200),
        (["healthy", "degraded"], "degraded", 200),
        (["degraded", "failed"], "failed", 503),
        ([], "healthy", 200),
    ],
)
async def test_the_worst_part_counts(site: Site, states: list[str], overall: str, status: int) -> None:
    site.health = {f"part {n}": Health(state, "why", "what to do", 2) for n, state in enumerate(states)}  # type: ignore[arg-type]
    answer, text = await get(site, "/healthz")
    told = json.loads(text)
    assert (told["state"], answer.status) == (overall, status)
    for n, state in enumerate(states):
        assert told["parts"][f"part {n}"] == {"state": state, "reason": "why", "hint": "what to do", "failures": 2}


async def test_storage_and_clock(site: Site) -> None:
    told = json.loads((await get(site, "/healthz"))[1])
    assert told["storage"] is None, "its files were not measured yet"
    assert told["clock"] == {"source": "ntp", "uncertainty_ms": 250}
    assert told["receivers"][0]["name"] == "street"
    site.hear(1)
    await site.keep(budget_bytes=10**6)
    told = json.loads((await get(site, "/healthz"))[1])
    assert told["storage"]["bytes_budget"] == 10**6
    assert told["storage"]["bytes_used"] > 0
    assert (told["storage"]["readings_waiting"], told["storage"]["trouble"]) == (0, "")


WRONG = (Wrong("store", "store.directory = <7> must be a path"),)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "nothing is received"), ("es", "no se recibe ni se guarda nada")]
)
async def test_a_configuration_that_halts_all(site: Site, language: str, words: str) -> None:
    parts = replace(site.parts(), wrong=WRONG, halted=True, config_file="/etc/meter-appliance/appliance.toml")
    async with serving(parts, "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        answer, page = await get(site, f"/?lang={language}")
        assert answer.status == 503
        assert f'<html lang="{language}">' in page
        assert words in page
        assert "<li>store.directory = &lt;7&gt; must be a path</li>" in page
        assert "/etc/meter-appliance/appliance.toml" in page
        assert answer.cookies["lang"].value == language
        assert (await get(site, "/events"))[0].status == 404
        assert (await get(site, "/metrics"))[0].status == 200
        answer, text = await get(site, "/healthz")
        assert (answer.status, json.loads(text)["clock"]) == (200, None)


async def test_a_configuration_that_is_partly_wrong(site: Site) -> None:
    parts = replace(site.parts(), wrong=WRONG, config_file="x.toml")
    async with serving(parts, "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        page = await as_technician(site, "/")
    assert "The configuration is wrong." in page
    assert "must be a path" in page
    assert "<code>x.toml</code>" in page
