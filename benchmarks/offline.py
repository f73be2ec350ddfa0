"""Whether the link is what limits an appliance that comes back after a month offline.

Appliance and aggregator run as they are run, each in a network namespace of its own, with a veth pair between them
whose rate is bounded in both directions. Meanwhile the link is cut now and then. What travelled is what the kernel has
counted of it, so headers, acknowledgements, TLS and what had to be sent again are in.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from appliance.sync.sealing import Sealing
from tests.store.box import Box

QUARTERS_A_DAY = 96
HERE, THERE = "10.203.0.1", "10.203.0.2"
HANDSHAKE_BYTES = 1_000
STARTS_WITHIN_S, TIMEOUT_S, LOOK_S = 60.0, 1_200.0, 0.1
LISTENS_IN_VAIN = "import time; time.sleep(86400)"


class Unavailable(Exception):
    """Why there are no network namespaces to be had on this machine."""


@dataclass(frozen=True)
class CaughtUp:
    """What it took: bytes of both directions, seconds without those for which the link was cut, and the readings."""

    batches: int
    readings: int
    sent_bytes: int
    seconds: float
    rate_bit_per_s: float

    @property
    def link_used(self) -> float:
        """The share of what the link could have carried meanwhile."""
        return 8 * self.sent_bytes / (self.rate_bit_per_s * self.seconds)


class Net:
    """Two network namespaces, and a link between them."""

    def __init__(self, rate_kbit: int) -> None:
        self.appliance, self.centre = (f"meters{end}{os.getpid()}" for end in "ab")
        self._rate_kbit = rate_kbit

    @contextlib.contextmanager
    def up(self) -> Iterator["Net"]:
        """The namespaces, while entered. Raises Unavailable."""
        try:
            for name in (self.appliance, self.centre):
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", self.appliance, "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", self.centre)
            for name, address in ((self.appliance, HERE), (self.centre, THERE)):
                _ip("-n", name, "address", "add", f"{address}/24", "dev", "wan")
                _ip("-n", name, "link", "set", "wan", "up")
                shaped = f"qdisc add dev wan root tbf rate {self._rate_kbit}kbit burst 8kb latency 200ms"
                _run(["tc", "-n", name, *shaped.split()])
            yield self
        finally:
            for name in (self.appliance, self.centre):
                subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def start(self, name: str, *words: str | Path, log: Path) -> subprocess.Popen[bytes]:
        """A program in a namespace."""
        with log.open("ab") as file:
            command = ["ip", "netns", "exec", name, sys.executable, "-m", "appliance", *map(str, words)]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def cut(self, *, off: bool) -> None:
        """Take the link away, or bring it back."""
        _ip("-n", self.appliance, "link", "set", "wan", "down" if off else "up")

    def has_sent(self, count: float) -> bool:
        """Whether so many bytes have left the appliance."""
        return self.sent_bytes() > count

    def sent_bytes(self) -> int:
        """What has left the appliance so far."""
        told = json.loads(_ip("-n", self.appliance, "-j", "-s", "link", "show", "wan"))
        return int(told[0]["stats64"]["tx"]["bytes"])


def measure(days: int, meters: int, rate_kbit: int, cuts_s: tuple[float, ...] = ()) -> CaughtUp:
    """Be offline for so many days, then deliver; the link is cut for so many seconds, one time after the other.

    Raises Unavailable where there are no namespaces, SystemExit when not all arrives, or not once.
    """
    with tempfile.TemporaryDirectory(prefix="offline-") as work, Net(rate_kbit).up() as net:
        return _measure(Path(work), net, days, meters, rate_kbit, cuts_s)


def _measure(work: Path, net: Net, days: int, meters: int, rate_kbit: int, cuts_s: tuple[float, ...]) -> CaughtUp:
    box = Box(work / "appliance")
    batches = asyncio.run(_lived(box, days, meters))
    readings = len(box.everything()["reading"])
    centre = work / "centre"
    with _centre(net, centre, work / "centre.log") as (address, key):
        token = _told("aggregator", "token", "--directory", str(centre))
        config = work / "appliance.toml"
        config.write_text(
            f"[store]\ndirectory = '{box.directory}'\n[web]\nhost = '127.0.0.1'\nport = 0\n"
            f"[[receiver]]\ncommand = ['{sys.executable}', '-c', '{LISTENS_IN_VAIN}']\n"
            f"[sync]\naggregators = ['{address}']\naggregator_key = '{key}'\ntoken = '{token}'\n"
            f"certificate = '{centre / 'tls' / 'certificate.pem'}'\n"
        )
        whole_bytes = sum(path.stat().st_size for path in (box.directory / "outbox").glob("*.batch"))
        log = work / "appliance.log"
        appliance = net.start(net.appliance, "run", "--config", config, log=log)
        try:
            _until(lambda: net.sent_bytes() > HANDSHAKE_BYTES, appliance, log)
            begin, before = time.monotonic(), net.sent_bytes()
            for n, cut_s in enumerate(cuts_s, 1):
                # Envelopes are base64, which gzip takes back.
                due_bytes = 0.75 * whole_bytes * n / (len(cuts_s) + 1)
                _until(partial(net.has_sent, due_bytes), appliance, log)
                net.cut(off=True)
                time.sleep(cut_s)
                net.cut(off=False)
            _until(lambda: _waiting(box) == 0, appliance, log)
            seconds, sent = time.monotonic() - begin, net.sent_bytes() - before
        finally:
            appliance.send_signal(signal.SIGTERM)
            appliance.wait(60)
    _check(box, centre, readings)
    return CaughtUp(batches, readings, sent, seconds - sum(cuts_s), rate_kbit * 1000)


async def _lived(box: Box, days: int, meters: int) -> int:
    """Live so many days without a link; returns how many batches wait."""
    async with box.store() as store:
        sealing = Sealing(store)
        for _ in range(days * QUARTERS_A_DAY):
            box.hear(store, 15, meters)
            if fault := await sealing.seal_now():
                raise SystemExit(fault)
        sealing.close()
    return _waiting(box)


@contextlib.contextmanager
def _centre(net: Net, directory: Path, log: Path) -> Iterator[tuple[str, str]]:
    """An aggregator that runs in its namespace; its address and key."""
    key = _told("aggregator", "init", str(directory), "--name", THERE)
    settings = directory / "aggregator.toml"
    settings.write_text(re.sub(r"(?m)^#? ?port = .*", "port = 0", settings.read_text()))
    process = net.start(net.centre, "aggregator", "run", "--directory", directory, log=log)
    try:
        _until(lambda: " serving " in log.read_text(), process, log)
        port = re.search(r" serving \S+:(\d+)", log.read_text())
        assert port
        yield f"https://{THERE}:{port[1]}", key
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _check(box: Box, centre: Path, readings: int) -> None:
    """All that was heard has arrived, once."""
    with contextlib.closing(sqlite3.connect(centre / "aggregator.db")) as connection:
        query = "SELECT endpoint_id, boot.number, ms, consumption FROM reading JOIN meter USING (meter_id) JOIN boot"
        rows = connection.execute(f"{query} USING (boot_id, appliance_id)").fetchall()
    known = {number: endpoint for number, _, endpoint, _ in box.meters()}
    heard = [(known[n], at >> 42, at & (1 << 42) - 1, value) for n, at, value, *_ in box.everything()["reading"]]
    if sorted(rows) != sorted(heard):
        raise SystemExit(f"{len(rows)} readings arrived of {readings}, or others")


def _waiting(box: Box) -> int:
    """The batches that are not receipted; the newest stays in any case."""
    files = sorted(path.name for path in (box.directory / "outbox").glob("*.batch"))
    receipts = box.directory / "outbox" / "receipts.jsonl"
    if len(files) == 1 and receipts.exists() and receipts.stat().st_size:
        return 0
    return len(files)


def _until(done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not done():
        if process.poll() is not None or time.monotonic() > until_s:
            raise SystemExit(f"{process.args!r} ended, or nothing goes on: {log.read_text()[-2000:]}")
        time.sleep(LOOK_S)


def _told(*words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "appliance", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=STARTS_WITHIN_S).stdout.strip()


def _ip(*words: str) -> str:
    return _run(["ip", *words])


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Unavailable(f"there is no {command[0]}: it comes with Debian's iproute2") from None
    except subprocess.CalledProcessError as fault:
        raise Unavailable(f"{' '.join(command)}: {fault.stderr.strip()}") from None
