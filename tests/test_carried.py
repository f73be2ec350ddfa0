"""From the air to the centre without a link of the appliance's own, all of it as it is run: by pull, and by stick."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.sync.sticks import Stick
from tests.test_app import Appliance, Start, start
from tests.test_delivery import stored, told

__all__ = ["start"]


@pytest.fixture
async def centre(tmp_path: Path) -> tuple[Path, str]:
    """An aggregator's directory, and its key."""
    directory = tmp_path / "centre"
    return directory, (await told("aggregator", "init", str(directory))).strip()


async def heard(start: Start, key: str) -> Appliance:
    """An appliance that knows no way to the aggregator but its key, and has sealed what it heard of 20 meters."""
    more = f"[sync]\naggregator_key = '{key}'\n"
    appliance = await start(meters=20, more=more)
    await appliance.until_heard(20)
    # What was heard since the start is sealed at the next one.
    assert await appliance.end(signal.SIGTERM) == 0
    appliance = await start(meters=20, more=more)
    async with asyncio.timeout(30):
        while not list((appliance.directory / "data" / "outbox").glob("*.batch")):
            await asyncio.sleep(0.05)
    return appliance


async def approve(directory: Path) -> None:
    listed = (await told("aggregator", "list", "--directory", str(directory))).splitlines()[1]
    assert " waiting " in listed
    await told("aggregator", "approve", *listed.split()[:8], "--directory", str(directory))


async def test_by_pull(start: Start, centre: tuple[Path, str]) -> None:
    directory, key = centre
    appliance = await heard(start, key)
    pull = ("aggregator", "pull", appliance.url, "--directory", str(directory))
    assert "waits for your approval" in await told(*pull)
    await approve(directory)
    said = await told(*pull)
    assert "batches stored" in said
    assert len({meter for meter, _, _ in stored(directory)}) == 20
    assert "0 batches stored" in await told(*pull)
    listed = (await told("aggregator", "list", "--directory", str(directory))).splitlines()[1]
    await told("aggregator", "revoke", *listed.split()[:8], "--directory", str(directory))
    with pytest.raises(AssertionError, match="1 of 1 addresses are not done"):
        await told(*pull)
    assert await appliance.end(signal.SIGTERM) == 0
    rows = stored(directory)
    assert len(rows) == len(set(rows))


async def test_by_stick(start: Start, centre: tuple[Path, str], tmp_path: Path) -> None:
    directory, key = centre
    appliance = await heard(start, key)
    stick, config = tmp_path / "stick", tmp_path / "asked.toml"
    stick.mkdir()
    # It was given a free port.
    text = (tmp_path / "appliance.toml").read_text()
    config.write_text(text.replace("port = 0", f"port = {appliance.url.rstrip('/').rpartition(':')[2]}"))
    settings = ("--config", str(config))
    assert "new on the stick" in await told("outbox", "export", str(stick), *settings)
    ingest = ("aggregator", "ingest", str(stick), "--directory", str(directory))
    with pytest.raises(AssertionError, match="are not taken in"):
        await told(*ingest)
    await approve(directory)
    assert "stored" in await told(*ingest)
    assert len({meter for meter, _, _ in stored(directory)}) == 20
    assert " taken in, 0 known already" in await told("receipts", "import", str(stick), *settings)
    assert (await told("outbox", "list", *settings)).startswith("0 batches wait")
    assert "receipted ones removed" in await told("outbox", "export", str(stick), *settings)
    assert await appliance.end(signal.SIGTERM) == 0


async def test_by_a_stick_that_is_served_by_itself(start: Start, centre: tuple[Path, str], tmp_path: Path) -> None:
    directory, key = centre
    stick = Stick(tmp_path / "media", "ext4")
    appliance = await start(meters=20, more=f"[sync]\naggregator_key = '{key}'\nstick = '{stick.root}'\n")
    await appliance.until_heard(20)
    assert (await appliance.health())["parts"]["stick"]["state"] == "healthy"  # type: ignore[index]
    with stick.plugged() as root:
        async with asyncio.timeout(30):
            while not list(root.rglob("RESULT.txt")):
                await asyncio.sleep(0.05)
    assert await appliance.end(signal.SIGTERM) == 0
    with stick.plugged() as root:
        ingest = ("aggregator", "ingest", str(root), "--directory", str(directory))
        with pytest.raises(AssertionError, match="are not taken in"):
            await told(*ingest)
        await approve(directory)
        assert "stored" in await told(*ingest)
    assert len({meter for meter, _, _ in stored(directory)}) == 20
