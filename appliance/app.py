"""Builds the parts of the appliance, wires them and runs them until it is told to stop.

The order matters at both ends: the data directory is locked and the port taken before any radio starts, so that
what a person must put right is said at once; at the end the receivers stop first and the store writes last.

A wrong configuration keeps only the part from running that it is wrong for, and the site says so. While it is
wrong its file is watched, and what is corrected is taken up by starting the parts anew.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from appliance import __version__, zones
from appliance.config import DATA, PAGE, Config, Draft, Wrong, read
from appliance.errors import ConfigError, StoreError
from appliance.file_handles import allow_file_handles
from appliance.memory import share_one_heap
from appliance.notify import Notifier
from appliance.radio.task import Radio
from appliance.recent_log import RecentLog
from appliance.store.accounts import Accounts
from appliance.store.limits import FAULTS_AT_ONCE, FAULTS_PER_S, Bucket
from appliance.store.lock import sole_user
from appliance.store.repair.soundness import refuse_later
from appliance.store.schema import CAPTURES
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.supervisor import Backoff, Health, Supervisor
from appliance.sync.courier import About, Courier
from appliance.sync.gate import Gate
from appliance.sync.plugged import Plugged
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Taking, keys_of
from appliance.sync.transport import links_of
from appliance.web import probe
from appliance.web.encryption import Encryption, encryption
from appliance.web.first_account import FIRST_PASSWORD, FirstAccount
from appliance.web.parts import Parts
from appliance.web.site import serving

log = logging.getLogger(__name__)

SIMULATED = "no radio in use: hearing a simulated neighbourhood, marked as simulated wherever it is kept"
HINT_DATA = "It is tried again by itself every few seconds."
HINT_PAGE = "What is set wrongly there has no effect: set it anew on the page, under Set-up."
HINT_WRONG = "Correct it in the configuration file; the change is taken up by itself."
# The store reports at least every commit interval, which is 60 s at most; a card may be slow.
STORE_VITAL_WITHIN_S = 180.0
# A file that stayed as it is from one look to the next is one that its editor is done with.
LOOK_S = 3.0
# Between tries to deliver.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 900.0


async def run(path: Path | None = None, stop: asyncio.Event | None = None) -> None:
    """Run the appliance set up by `path` until SIGTERM or SIGINT, or until `stop` is set.

    Raises AlreadyRunning or ConfigError (port, no such file).
    """
    # Before any thread begins.
    share_one_heap()
    allow_file_handles()
    # What is kept has passwords, though worked out, and names of customers: it is nobody else's.
    os.umask(0o077)
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    notifier = Notifier()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        draft: Draft | None = read(path)
        with RecentLog().listening() as recent:
            while draft:
                draft = await _run(examined(draft), stop, notifier, recent)
    finally:
        notifier.stopping()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _run(draft: Draft, stop: asyncio.Event, notifier: Notifier, recent: RecentLog) -> Draft | None:
    """Run what `draft` allows until `stop`, or until the file says something else; returns that."""
    config = draft.config
    # Made here, it touches nothing until it is opened.
    store = Store(config.store.directory, config.store.commit_interval_s)
    supervisor = Supervisor(on_change=radio_events(store))
    sealing = Sealing(store)
    keys = keys_of(config.sync.aggregator_key)
    taking, about = Taking(sealing, keys), About(config.site.name, __version__, config.sync.token)
    captures = config.store.directory / CAPTURES
    carrier = courier(config, store, sealing, about) if config.sync.aggregators else None
    radios = [Radio(receiver, store.hear, captures=captures) for receiver in config.receivers if draft.keeps]
    refused = refusals(draft)
    first = FirstAccount(Accounts(store), config.web.first_password, _say)
    again = asyncio.Event()
    parts = Parts(
        site_name=config.site.name,
        names=config.web.names,
        store=store,
        receivers=lambda: [radio.state for radio in radios],
        health=lambda: {**refused, **supervisor.health},
        config_file=str(draft.path or ""),
        wrong=draft.wrong,
        halted=not draft.keeps,
        gate=Gate(sealing, taking, keys, about) if keys else None,
        is_open=config.web.open_to_read,
        https_port=config.web.https_port if draft.keeps else 0,
        sealing=sealing,
        courier=carrier,
        first_account=first,
        controls={radio.state.name: radio.controls for radio in radios},
        start_anew=again.set,
        draft=draft,
        recent_log=recent,
    )
    for name, health in refused.items():
        log.error("part=%s refused: %s", name, health.reason)
    async with contextlib.AsyncExitStack() as held:
        held.enter_context(zones.chosen(config.site.zone))
        if draft.keeps:
            held.enter_context(sole_user(config.store.directory))
            await store.open()
            held.push_async_callback(store.close)
        tls = encryption(config.store.directory, config.web.names) if parts.https_port else None
        encrypted: list[Encryption] = []
        context, on_encrypted = (tls.context, lambda: encrypted.append(tls)) if tls else (None, lambda: None)
        served = serving(parts, config.web.host, config.web.port, context, on_encrypted)
        port = await held.enter_async_context(served)
        if config.demonstration:
            log.warning(SIMULATED)
        _announce(config.web.host, port)
        for one in encrypted:
            _announce(config.web.host, parts.https_port, one)
        held.push_async_callback(supervisor.stop)
        supervisor.start(
            "site",
            lambda report: probe.watch(report, config.web.near_host, port),
            vital_within_s=probe.VITAL_WITHIN_S,
        )
        if draft.keeps:
            supervisor.start("store", store.run, vital_within_s=STORE_VITAL_WITHIN_S)
            if not any(FIRST_PASSWORD in wrong.words for wrong in draft.wrong):
                supervisor.start("first account", first.run)
            store.on_events = sealing.wake
            upkeep = Upkeep(store, config.store.budget_bytes, before_seal=sealing.catch_up)
            supervisor.start("history", upkeep.run)
            supervisor.start("outbox", sealing.run)
            if carrier is not None:
                supervisor.start("delivery", carrier.run)
            if config.sync.stick:
                supervisor.start("stick", Plugged(Path(config.sync.stick), store, sealing, taking, about).run)
        notifier.ready()
        if notifier.told:
            supervisor.start("watchdog", lambda _report: notifier.feed(supervisor.stalled, lambda: in_words(parts)))
        radio_names = [f"receiver {radio.state.name}" for radio in radios]
        for name, radio in zip(radio_names, radios, strict=True):
            supervisor.start(name, radio.run)
        try:
            following = await _stopped_or_followed(draft, stop, again)
            log.info("starting anew" if following else "stopping")
            return following
        finally:
            await supervisor.stop(*radio_names)


def courier(config: Config, store: Store, sealing: Sealing, about: About) -> Courier:
    """What carries the outbox to the aggregator, and its word about the time to the clock."""
    told, pauses = config.sync, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    links = links_of(told.aggregators, told.aggregator_key, told.certificate)

    def offer_time(utc_ms: int, uncertainty_ms: int) -> None:
        if store.clock.offer("receipt", utc_ms, uncertainty_ms):
            store.wake()

    return Courier(sealing, links, about, offer_time, pauses.next_s, pauses.reset)


def examined(draft: Draft) -> Draft:
    """The draft, with what is wrong with the data directory that it names, if anything is. Raises AlreadyRunning."""
    if not draft.keeps:
        return draft
    try:
        with sole_user(draft.config.store.directory):
            refuse_later(draft.config.store.directory)
    except StoreError as fault:
        return replace(draft, wrong=(*draft.wrong, Wrong(DATA, f"{fault}. {fault.hint}")))
    return draft


def radio_events(store: Store) -> Callable[[str, Health], None]:
    """What the supervisor tells of a receiver as an event of the store; one that comes and goes, not every time."""
    told: dict[str, Bucket] = {}

    def tell(name: str, health: Health) -> None:
        kind, _, receiver = name.partition(" ")
        bucket = told.setdefault(name, Bucket(FAULTS_AT_ONCE, FAULTS_PER_S))
        if kind != "receiver" or not bucket.take(store.clock.now()):
            return
        if health.state == "healthy":
            store.record("radio_recovered", {"receiver": receiver})
        else:
            store.record("radio_failed", {"receiver": receiver, "why": health.reason})

    return tell


def refusals(draft: Draft) -> dict[str, Health]:
    """The health of what cannot run: each receiver that is set wrongly, the data, the page's, and the rest as one."""
    reasons: dict[str, list[str]] = {}
    for wrong in draft.wrong:
        has_own = wrong.part in (DATA, PAGE) or wrong.part.startswith("receiver ")
        reasons.setdefault(wrong.part if has_own else "configuration", []).append(wrong.words)
    hints = {DATA: HINT_DATA, PAGE: HINT_PAGE}
    return {
        part: Health("failed", "; ".join(words), hints[part])
        if part in hints
        else Health("failed", f"{draft.path}: {'; '.join(words)}", HINT_WRONG)
        for part, words in reasons.items()
    }


def in_words(parts: Parts) -> str:
    """The state in one line, for `systemctl status`."""
    trouble = [f"{name}: {part.reason}" for name, part in parts.health().items() if part.state != "healthy"]
    return "; ".join([f"{len(parts.store.ledger)} meters known", *trouble])


async def _stopped_or_followed(draft: Draft, stop: asyncio.Event, again: asyncio.Event) -> Draft | None:
    """What to run next: None at `stop`, what the file says by now when it was corrected or somebody said `again`."""
    stopped = asyncio.create_task(stop.wait())
    asked = asyncio.create_task(again.wait())
    corrected = asyncio.create_task(correction(draft))
    tasks = (stopped, asked, corrected)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            return None
        return corrected.result() if corrected.done() else _reread(draft)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reread(draft: Draft) -> Draft:
    """What the file says now; what it said before, if it is gone."""
    try:
        return read(draft.path)
    except ConfigError as fault:
        log.error("the configuration cannot be read, so what it said holds: %s", fault)
        return draft


async def correction(draft: Draft, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Draft:
    """What the file says once it says something else than `draft`, or its data directory can be used after all.

    Never, if nothing in the draft is wrong.
    """
    path, said = draft.path, replace(draft, wrong=tuple(one for one in draft.wrong if one.part != DATA))
    if said == draft and (path is None or not draft.wrong):
        await asyncio.Event().wait()
    taken: tuple[int, ...] | None = None
    seen: tuple[int, ...] | None = None
    while True:
        await sleep(LOOK_S)
        if said != draft and examined(said) == said:
            return said
        if path is None:
            continue
        before, seen = seen, _version(path)
        if seen is None or seen != before or seen == taken:
            continue
        taken = seen
        # It may go away while it is read, as it does when an editor puts a new one in its place.
        with contextlib.suppress(ConfigError):
            if (found := read(path)) != said:
                return found


def _version(path: Path) -> tuple[int, ...] | None:
    """What tells one version of a file from the next; None if there is no file."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def _announce(host: str, port: int, tls: Encryption | None = None) -> None:
    scheme = "https" if tls else "http"
    pages = " ".join(f"{scheme}://{name}:{port}/" for name in _reached_by(host))
    if tls:
        _say(f"Encrypted it is at {pages}")
        _say(f"with a certificate of its own, SHA-256 {tls.fingerprint}")
    else:
        _say(f"The page is at {pages}")


def _say(words: str) -> None:
    # That nobody reads it is no reason not to receive.
    with contextlib.suppress(OSError):
        print(words, flush=True)  # noqa: T201 - the command's output


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
