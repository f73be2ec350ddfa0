"""What systemd is told, over a real datagram socket."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.notify import STATUS_INTERVAL_S, Notifier
from appliance.supervisor import Supervisor


class Systemd:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def notifier(self, **more: str) -> Notifier:
        return Notifier({"NOTIFY_SOCKET": self.address, **more})

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    abstract = f"@meter-appliance-test-{os.getpid()}"
    one = Systemd(str(tmp_path / "notify") if request.param == "file" else abstract)
    yield one
    one.socket.close()


def test_states(systemd: Systemd) -> None:
    notifier = systemd.notifier()
    notifier.ready()
    notifier.status("12 meters\nknown")
    notifier.status("12 meters known")
    notifier.stopping()
    assert systemd.heard() == ["READY=1", "STATUS=12 meters known", "STOPPING=1"]


def test_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    environment = {"PATH": "/bin"}
    nobody = Notifier(environment)
    assert not nobody.told
    nobody.ready()
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nothing")})
    gone.ready()
    gone.stopping()
    assert [record.getMessage() for record in caplog.records] == ["systemd cannot be told: No such file or directory"]


def test_a_child_cannot_speak_in_our_name() -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Notifier(environment)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("settings", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_or_not(settings: dict[str, str], watchdog_s: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "@x", **settings}).watchdog_s == watchdog_s


class Clock:
    """Moves when the feeder sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


async def test_a_task_that_hangs_ends_the_feeding(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    supervisor = Supervisor(monotonic=lambda: clock.now_s)
    hang = asyncio.Event()

    async def store(report: Callable[[str], None]) -> None:
        while not hang.is_set():
            report("the card is full")
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    async def radio(report: Callable[[str], None]) -> None:
        """Not vital: a dongle that is away never reports."""
        await asyncio.Event().wait()

    supervisor.start("store", store, vital_within_s=60)
    supervisor.start("receiver", radio)
    notifier = systemd.notifier(WATCHDOG_USEC="30000000")
    feeding = asyncio.create_task(notifier.feed(supervisor.stalled, lambda: "well", clock.sleep))
    heard = []
    while clock.now_s < 600:
        await asyncio.sleep(0)
        heard += systemd.heard()
    assert set(clock.pauses_s) == {15.0}
    assert heard[0] == "STATUS=well"
    assert heard.count("WATCHDOG=1") >= 40
    hang.set()
    hung_s = clock.now_s
    heard = []
    while clock.now_s < hung_s + 600:
        await asyncio.sleep(0)
        heard += systemd.heard()
    assert heard.count("WATCHDOG=1") <= 6
    assert [r.getMessage() for r in caplog.records if "watchdog" in r.getMessage()] == [
        "watchdog not fed: no progress in store"
    ]
    feeding.cancel()
    await supervisor.stop()


async def test_a_blocked_event_loop_feeds_nothing(systemd: Systemd) -> None:
    notifier = systemd.notifier(WATCHDOG_USEC="20000")
    feeding = asyncio.create_task(notifier.feed(list, lambda: "well"))
    fed = 0
    async with asyncio.timeout(20):
        while fed < 3:
            await asyncio.sleep(0.005)
            fed += systemd.heard().count("WATCHDOG=1")
    systemd.heard()
    time.sleep(0.2)
    assert systemd.heard() == []
    feeding.cancel()


async def test_without_a_watchdog_the_status_is_kept(systemd: Systemd) -> None:
    clock = Clock()
    words = iter(["one", "one", "two"])
    done = asyncio.Event()

    def tell() -> str:
        if (text := next(words, "")) == "":
            done.set()
        return text or "two"

    feeding = asyncio.create_task(systemd.notifier().feed(list, tell, clock.sleep))
    await done.wait()
    feeding.cancel()
    assert systemd.heard() == ["STATUS=one", "STATUS=two"]
    assert clock.pauses_s[0] == STATUS_INTERVAL_S
