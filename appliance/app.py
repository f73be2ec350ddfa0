"""Builds the parts of the appliance, wires them and runs them until it is told to stop.

The order matters at both ends: the data directory is locked and the port taken before any radio starts, so that
what a person must put right is said at once; at the end the receivers stop first and the store writes last.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from appliance.config import Config
from appliance.radio.task import Radio
from appliance.store.lock import sole_user
from appliance.store.writer import Store
from appliance.supervisor import Supervisor
from appliance.web.parts import Parts
from appliance.web.site import serving

log = logging.getLogger(__name__)

SIMULATED = "no radio in use: hearing a simulated neighbourhood, marked as simulated wherever it is kept"


async def run(config: Config, stop: asyncio.Event | None = None) -> None:
    """Run the appliance until SIGTERM or SIGINT, or until `stop` is set.

    Raises AlreadyRunning, StoreError (data directory, or one of a later version) or ConfigError (port).
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        with sole_user(config.store.directory):
            await _run(config, stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _run(config: Config, stop: asyncio.Event) -> None:
    store = Store(config.store.directory, config.store.commit_interval_s)
    supervisor = Supervisor()
    radios = [Radio(receiver, store.hear) for receiver in config.receivers]
    parts = Parts(
        site_name=config.site.name,
        names=config.web.names,
        store=store,
        receivers=lambda: [radio.state for radio in radios],
        health=lambda: supervisor.health,
    )
    await store.open()
    try:
        async with serving(parts, config.web.host, config.web.port) as port:
            if config.demonstration:
                log.warning(SIMULATED)
            _announce(config.web.host, port)
            supervisor.start("store", store.run)
            radio_names = [f"receiver {radio.state.name}" for radio in radios]
            for name, radio in zip(radio_names, radios, strict=True):
                supervisor.start(name, radio.run)
            try:
                await stop.wait()
                log.info("stopping")
            finally:
                await supervisor.stop(*radio_names)
                await supervisor.stop()
    finally:
        await store.close()


def _announce(host: str, port: int) -> None:
    pages = " ".join(f"http://{name}:{port}/" for name in _reached_by(host))
    # That nobody reads it is no reason not to receive.
    with contextlib.suppress(OSError):
        print(f"The page is at {pages}", flush=True)  # noqa: T201 - the command's output


def _reached_by(host: str) -> Iterator[str]:
    """The names and addresses at which the page is found."""
    if host not in ("*", "0.0.0.0", "::"):  # noqa: S104 - a comparison, nothing is bound
        yield f"[{host}]" if ":" in host else host
        return
    yield "localhost"
    # With this daemon the machine answers to its name under .local.
    if Path("/run/avahi-daemon/socket").exists():
        yield f"{socket.gethostname()}.local"
    for family, beyond in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                # Chooses the way out and its address; a datagram socket sends nothing by this.
                probe.connect((beyond, 9))
                address = probe.getsockname()[0]
        except OSError:
            continue
        yield f"[{address}]" if ":" in address else address
