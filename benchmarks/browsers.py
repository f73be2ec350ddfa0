"""What fifty browsers at once cost the radio: the whole appliance on a dense street, alone and looked at.

Each is a technician's, with a page open that follows the appliance live, and loads another every few seconds. The
radio is a process of its own, so what it could lose is processor time. The street is played in real time by an
rtl_tcp server, again and again; one that is not read for a second goes on without what was missed, as a dongle does.
Told are the samples lost and the messages heard.
"""

import asyncio
import contextlib
import itertools
import os
import re
import socket
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from benchmarks import scenes

BROWSERS = 50
LOAD_EVERY_S = 10.0
WARM_UP_S, SECONDS = 15.0, 60.0
FOLLOWED = ("/events/overview", "/meters/events", "/radio/radio/events", "/find{meter}/events", "/meters{meter}/events")
LOADED = (
    "/",
    "/meters",
    "/meters{meter}",
    "/radio",
    "/find",
    "/delivery",
    "/system",
    "/api/v1/meters.json",
)
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STREET_MESSAGES_PER_S, STREET_S, STREET_NOISE = 40, 20, 2.5
PASSWORD = "four words do not rhyme"
BLOCK_BYTES, R820T, MOST_BEHIND_S = 1 << 17, 5, 1.0
CONFIGURATION = """
[web]
host = "127.0.0.1"
port = 0
tls_port = 0
first_password = "{password}"
[store]
directory = "data"
[[receiver]]
name = "radio"
source = "rtl_tcp://127.0.0.1:{port}"
"""
_METRIC = re.compile(
    r'^meter_appliance_(messages_total|dropped_samples_total)\{receiver="[^"]+"\} (\S+)$', re.MULTILINE
)
_AT = re.compile(rb"http://\S+:(\d+)/")
_METER = re.compile(r'href="/meters(/[a-z0-9+]+/\d+(?:-simulated)?)"')


@dataclass(frozen=True)
class Cost:
    """Of the appliance while so many browsers look at it; processor time in s for each s that passed."""

    browsers: int
    messages_per_s: float
    dropped_samples: float
    receiver: float
    site: float
    page_ms: float
    slow_page_ms: float
    updates_per_s: float


def measure(*, quick: bool = False) -> tuple[Cost, Cost]:
    """The appliance by itself, then with `BROWSERS`; a table goes to standard output."""
    return asyncio.run(_measure(15.0 if quick else SECONDS))


async def _measure(seconds: float) -> tuple[Cost, Cost]:
    with tempfile.TemporaryDirectory(prefix="browsers-") as name:
        directory = Path(name)
        street = directory / "street.cu8"
        with street.open("wb") as file:
            sent, n_samples = scenes.dense_street(STREET_MESSAGES_PER_S, STREET_S, seed=1)
            file.writelines(block.tobytes() for block in scenes.render(sent, n_samples, STREET_NOISE, seed=1))
        async with _playing(street) as port, _appliance(directory, port) as (url, process):
            await asyncio.sleep(WARM_UP_S)
            alone = await _cost(url, process, 0, seconds)
            watched = await _cost(url, process, BROWSERS, seconds)
    columns = ("browsers", "messages/s", "samples lost", "receiver", "site", "page ms", "slow page", "updates/s")
    print("".join(f"{column:>14}" for column in columns))
    for one in (alone, watched):
        told = (
            f"{one.browsers}",
            f"{one.messages_per_s:.1f}",
            f"{one.dropped_samples:.0f}",
            f"{one.receiver:.0%}",
            f"{one.site:.0%}",
            f"{one.page_ms:.0f}",
            f"{one.slow_page_ms:.0f}",
            f"{one.updates_per_s:.0f}",
        )
        print("".join(f"{cell:>14}" for cell in told))
    return alone, watched


@contextlib.asynccontextmanager
async def _playing(street: Path) -> AsyncIterator[int]:
    """The port at which a process of its own plays the street."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.browsers", "play", str(street), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        yield int(await child.stdout.readline())
    finally:
        child.terminate()
        await child.wait()


def play(street: Path) -> None:
    """Serve the samples in real time, without end, to whoever comes; one at a time."""
    samples = memoryview(street.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            peer, _ = server.accept()
            with peer, contextlib.suppress(ConnectionError):
                peer.sendall(struct.pack(">4sII", b"RTL0", R820T, 29))
                _play(peer, samples)


def _play(peer: socket.socket, samples: memoryview) -> None:
    block_s = BLOCK_BYTES / 2 / scenes.RATE_HZ
    began_s = time.monotonic()
    for number in itertools.count():
        early_s = (number + 1) * block_s - (time.monotonic() - began_s)
        if early_s < -MOST_BEHIND_S:
            began_s -= early_s
        time.sleep(max(0.0, early_s))
        start = number * BLOCK_BYTES % (len(samples) - BLOCK_BYTES)
        peer.sendall(samples[start : start + BLOCK_BYTES])


@contextlib.asynccontextmanager
async def _appliance(directory: Path, port: int) -> AsyncIterator[tuple[str, int]]:
    """The address of a running appliance, and the number of its process."""
    config = directory / "appliance.toml"
    config.write_text(CONFIGURATION.format(port=port, password=PASSWORD), encoding="utf-8")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance", "run", "--config", str(config), cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            while (found := _AT.search(line := await child.stdout.readline())) is None:
                if not line:
                    raise SystemExit("the appliance did not start")
        yield f"http://127.0.0.1:{int(found[1])}", child.pid
    finally:
        child.terminate()
        await child.wait()


async def _cost(url: str, process: int, browsers: int, seconds: float) -> Cost:
    page_ms: list[float] = []
    updates = itertools.count()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=jar) as session:
        await _log_in(session, url)
        async with session.get(f"{url}/meters") as answer:
            meter = found[1] if (found := _METER.search(await answer.text())) else ""
        radio = _receiver_of(process)
        watching = [
            asyncio.create_task(one)
            for n in range(browsers)
            for one in (
                _follow(session, url + FOLLOWED[n % len(FOLLOWED)].format(meter=meter), updates),
                _load(session, url, meter, n, page_ms),
            )
        ]
        try:
            before, began_s = await _numbers(session, url), time.monotonic()
            used = _processor_s(process), _processor_s(radio)
            await asyncio.sleep(seconds)
            after, took_s = await _numbers(session, url), time.monotonic() - began_s
            site_s, radio_s = _processor_s(process) - used[0], _processor_s(radio) - used[1]
        finally:
            for task in watching:
                task.cancel()
            ended = await asyncio.gather(*watching, return_exceptions=True)
    for fault in ended:
        if isinstance(fault, Exception):
            raise fault
    return Cost(
        browsers=browsers,
        messages_per_s=(after["messages_total"] - before["messages_total"]) / took_s,
        dropped_samples=after["dropped_samples_total"] - before["dropped_samples_total"],
        receiver=radio_s / took_s,
        site=site_s / took_s,
        page_ms=median(page_ms) if page_ms else 0.0,
        slow_page_ms=quantiles(page_ms, n=20)[-1] if len(page_ms) > 1 else 0.0,
        updates_per_s=next(updates) / took_s,
    )


async def _log_in(session: aiohttp.ClientSession, url: str) -> None:
    typed = {"name": "technician", "password": PASSWORD}
    headers = {"Origin": url}
    async with session.post(f"{url}/login", data=typed, headers=headers, allow_redirects=False) as answer:
        if answer.status != 303:
            raise SystemExit(f"the log-in answers {answer.status}")


async def _follow(session: aiohttp.ClientSession, address: str, updates: "itertools.count[int]") -> None:
    async with session.get(address, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        if answer.status != 200:
            raise SystemExit(f"{address} answers {answer.status}")
        async for line in answer.content:
            if line.startswith(b"event:"):
                next(updates)


async def _load(session: aiohttp.ClientSession, url: str, meter: str, number: int, page_ms: list[float]) -> None:
    # Not all at the same moment.
    await asyncio.sleep(number * LOAD_EVERY_S / BROWSERS)
    for page in itertools.cycle(LOADED[number % len(LOADED) :] + LOADED[: number % len(LOADED)]):
        began_s = time.perf_counter()
        async with session.get(url + page.format(meter=meter)) as answer:
            await answer.read()
        if answer.status != 200:
            raise SystemExit(f"{page} answers {answer.status}")
        page_ms.append((time.perf_counter() - began_s) * 1e3)
        await asyncio.sleep(LOAD_EVERY_S)


async def _numbers(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    async with session.get(f"{url}/metrics") as answer:
        return {name: float(value) for name, value in _METRIC.findall(await answer.text())}


def _receiver_of(process: int) -> int:
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return int(children[0])


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


if __name__ == "__main__":
    if sys.argv[1:2] == ["play"]:
        play(Path(sys.argv[2]))
    measure(quick="--quick" in sys.argv[1:])
