"""`GET /metrics`, read back by Prometheus' own parser and compared with the document."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from appliance.clock import KernelTime
from appliance.supervisor import Health
from appliance.web.site import serving
from appliance.web.views.metrics import REASONS
from tests.machine import Machine
from tests.web.conftest import NOW, STATUS, Site
from tests.web.pages import get

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "operate.md"
DAY_S = 86_400


async def scraped(site: Site) -> dict[Any, float]:
    """Each sample's value, by name and labels."""
    answer, text = await get(site, "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(s.name, *sorted(s.labels.values())): s.value for s in samples}
    assert len(found) == len(samples)
    return found


async def test_numbers(site: Site) -> None:
    site.hear(1)
    site.hear(2)
    refused = {"checksum": 7, "invented 1": 2, "invented 2": 3}
    site.receiver(
        messages=12, restarts=2, garbage={"not JSON": 4},
        status=replace(STATUS, refused=refused, dropped_samples=99, clipped=0.25),
    )  # fmt: skip
    site.health = {"store": Health("degraded", "the card is full", failures=3)}
    await site.keep()
    site.pass_time(DAY_S)
    await site.keep(budget_bytes=10**6)
    await site.store.commit()
    site.pass_time(1.5)
    found = await scraped(site)
    one = "meter_appliance_"
    for name, value in {
        (one + "uptime_seconds",): DAY_S + 1.5, (one + "meters",): 2, (one + "messages_total", "street"): 12,
        (one + "receiver_restarts_total", "street"): 2, (one + "dropped_samples_total", "street"): 99,
        (one + "refused_total", "checksum", "street"): 7, (one + "refused_total", "other", "street"): 5,
        (one + "refused_total", "empty", "street"): 0, (one + "garbage_lines_total", "not JSON", "street"): 4,
        (one + "noise_floor_dbfs", "street"): -52.34, (one + "level_dbfs", "street"): -40,
        (one + "clipped_ratio", "street"): 0.25, (one + "part_state", "degraded", "store"): 1,
        (one + "part_state", "healthy", "store"): 0, (one + "part_failures_total", "store"): 3,
        (one + "receiver_state", "running", "street"): 1, (one + "storage_budget_bytes",): 10**6,
        (one + "storage_segments",): 1, (one + "storage_damaged_segments",): 0,
        (one + "storage_commit_age_seconds",): 1.5, (one + "storage_oldest_timestamp_seconds",): NOW.timestamp(),
        (one + "clock_source", "ntp"): 1, (one + "clock_source", "estimate"): 0,
    }.items():  # fmt: skip
        assert found[name] == value, name
    files = [path for path in site.directory.rglob("*") if path.is_file()]
    assert 0 < found[(one + "storage_used_bytes",)] <= 2 * sum(path.stat().st_size for path in files)
    assert 0.25 <= found[(one + "clock_uncertainty_seconds",)] < 1
    assert any(name[0] == "process_resident_memory_bytes" for name in found)


async def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    site = Site(tmp_path, Machine(kernel=KernelTime(synchronized=False)))
    site.receiver(status=None, state="retrying", simulated=True)
    async with serving(site.parts(), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        samples = await scraped(site)
    assert samples["meter_appliance_clock_source", "estimate"] == 1
    found = {name[0] for name in samples}
    for name in ("noise_floor_dbfs", "storage_used_bytes", "clock_uncertainty_seconds", "dropped_samples_total"):
        assert f"meter_appliance_{name}" not in found


async def test_where_nothing_is_kept_nobody_knows_the_time(site: Site) -> None:
    async with serving(replace(site.parts(), halted=True), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        found = {name[0] for name in await scraped(site)}
    assert not {name for name in found if "clock" in name or "storage" in name}


async def test_no_meter_and_few_labels(site: Site) -> None:
    for meter_id in range(60_000_000, 60_000_300):
        site.hear(meter_id)
    site.receiver(status=replace(STATUS, refused={f"reason {n}": 1 for n in range(1000)}))
    found = await scraped(site)
    assert len(found) < 120
    assert not any("60000" in "".join(map(str, name)) for name in found)


async def test_the_newer_format(site: Site) -> None:
    answer, text = await get(site, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert list(parse_openmetrics(text))


async def test_the_document_names_each_metric_and_no_other(site: Site) -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("### Metrics")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(meter_appliance_\w+)", table, re.MULTILINE))
    site.hear(1)
    await site.keep()
    site.pass_time(DAY_S)
    await site.keep()
    told = {name[0] for name in await scraped(site) if name[0].startswith("meter_appliance_")}
    assert documented == told


def test_the_reasons_are_those_that_the_page_translates() -> None:
    from appliance.web.language import DYNAMIC
    from appliance.web.views.metrics import GARBAGE

    assert set(REASONS) | set(GARBAGE) <= set(DYNAMIC)


@pytest.mark.parametrize("language", ["en", "es"])
async def test_a_scraper_is_asked_for_no_language(site: Site, language: str) -> None:
    _, text = await get(site, "/metrics", **{"Accept-Language": language})
    assert "# HELP meter_appliance_meters Meters known.\n" in text
