"""A site whose every table has rows, served from a thread of its own: for tests that ask it many times, in turn."""

import asyncio
import concurrent.futures
import http.client
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.assignment import Assignment
from appliance.config import Receiver
from appliance.control.lines import Surveyed
from appliance.radio.controls import Controls
from appliance.store import dials, notes
from appliance.store.assigned import Assigned
from appliance.store.rows import MeterKey
from appliance.sync.courier import HINT_WAITING, About, Courier
from appliance.sync.gate import Gate
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Taking
from appliance.sync.transport import links_of
from appliance.web.site import serving
from tests.web.conftest import STATUS, Site
from tests.web.test_pull import KEYS

METER, SIMULATED, UNHEARD = "scm/60", "scm/62-simulated", "any/90"
ADDRESSES = ("https://one.example", "https://two.example")


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass
class Filled:
    """The site, and the cookie of who has logged in."""

    port: int
    now_ms: int
    cookies: Callable[[], dict[str, str]]
    loop: asyncio.AbstractEventLoop
    cookie: str = ""

    def log_in(self) -> None:
        """Have a session, whatever became of the last."""

        async def begin() -> dict[str, str]:
            return self.cookies()

        self.cookie = f"session={asyncio.run_coroutine_threadsafe(begin(), self.loop).result(30)['session']}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Ask as who has logged in, byte by byte as it is said; of a stream only its beginning is read."""
        given = {"Host": f"127.0.0.1:{self.port}", "Origin": self.url, "Cookie": self.cookie}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value:
                    connection.putheader(name, value.encode("latin-1", "replace"))
            if body or method == "POST":
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            is_stream = told.get("content-type", "").startswith("text/event-stream")
            return Answer(answer.status, told, answer.read1(65_536) if is_stream else answer.read())
        finally:
            connection.close()


@contextmanager
def filled(directory: Path, *, is_open: bool = False) -> Iterator[Filled]:
    """The site, while entered."""
    ready: concurrent.futures.Future[Filled] = concurrent.futures.Future()
    stop = asyncio.Event()

    async def serve() -> None:
        async with _served(directory, is_open) as made:
            ready.set_result(made)
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as fault:
            if ready.done():
                raise
            ready.set_exception(fault)

    thread = threading.Thread(target=run, name="filled site")
    thread.start()
    made = ready.result(60)
    try:
        made.log_in()
        yield made
    finally:
        made.loop.call_soon_threadsafe(stop.set)
        thread.join(60)


@asynccontextmanager
async def _served(directory: Path, is_open: bool) -> AsyncIterator[Filled]:
    site = Site(directory / "data", is_open=is_open)
    status = replace(STATUS, refused={"empty": 2})
    site.receiver(by_protocol={"scm": 5}, messages=5, garbage={"not JSON": 1}, status=status)
    await _heard(site)
    sealing = Sealing(site.store)
    for _ in range(2):
        site.hear(63, consumption=site.machine.ms)
        site.pass_time(60)
        assert await sealing.seal_now() == ""
    courier = Courier(
        sealing, links_of(ADDRESSES, "00" * 32, ""), About("", ""), lambda *_: None, lambda: 1.0, int,
        monotonic=lambda: site.machine.ms / 1000,
    )  # fmt: skip
    one, two = courier.contacts.values()
    one.answered_s = site.machine.ms / 1000 - 60
    two.fault, two.hint = "the aggregator does not know this appliance", HINT_WAITING
    gate = Gate(sealing, Taking(sealing, KEYS), KEYS, About("Calle 5", "0.1.0"), lambda: 1000.0)
    controls = {"street": Controls(Receiver(name="street"), directory / "captures")}
    found = Surveyed(
        center_hz=912_600_155, seconds=30.0, messages=5, meters={"scm": (60, 61)}, meters_left_out=0,
        noise_floor_dbfs=-52.3,
    )  # fmt: skip
    controls["street"]._surveyed = (found,)
    parts = replace(site.parts(), sealing=sealing, courier=courier, gate=gate, controls=controls)
    async with serving(parts, "127.0.0.1", 0) as port:
        yield Filled(port, site.machine.utc_ms, site.logs_in, asyncio.get_running_loop())
    sealing.close()
    await site.store.close()


async def _heard(site: Site) -> None:
    """Two days of a meter that turned over, was tampered with, exchanged and silent; others beside it."""
    for quarter in range(192):
        if not 100 < quarter < 110:
            site.hear(60, consumption=31160 + quarter, tamper_phy=quarter // 50 % 4)
        site.hear(61, commodity="water", endpoint_type=11, tamper_phy=None, tamper_enc=None, snr_db=None)
        site.hear(62, simulated=True)
        site.pass_time(900)
    for consumption in (12, 13, 14):
        site.hear(60, consumption=consumption)
        site.pass_time(300)
    meters = [Assignment.of(60, "", "=Casa Ñandú", "Calle 5", "0.01"), Assignment.of(90, "", "Pozo", "+Lejos", "1")]
    await site.keep()
    site.store.assigned = Assigned(3, 1, tuple(meters))
    key = MeterKey("scm", 60, False)
    await notes.add_note(site.store, key, "ana", "=SUM(A1)\nThe dog bites.")
    await dials.compare(site.store, key, "ana", "0.14")
    assert await site.store.commit() == ""
