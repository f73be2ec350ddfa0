"""What goes into the bundle for support, as of now, and what must not be in it."""

import asyncio
import contextlib
import shlex
from collections.abc import Coroutine, Mapping
from dataclasses import asdict, replace
from typing import Any

from appliance import __version__
from appliance.errors import StoreError
from appliance.machine.about import about
from appliance.machine.power import power, temperature_c
from appliance.model import ReceiverState
from appliance.store.asked import asked
from appliance.store.event_log import logged
from appliance.store.personal import Personal, personal, versions
from appliance.store.wear import wear
from appliance.support import events, settings
from appliance.support.files import listing
from appliance.support.findings import findings
from appliance.support.kernel_log import kernel_log
from appliance.sync.standing import Standing
from appliance.web.condition import LONGEST_SOURCE
from appliance.web.glances import Glances
from appliance.web.parts import Parts
from appliance.web.views import health

EVENTS_MS = 30 * 86_400_000
MOST_EVENTS, EVENTS_AT_ONCE = 5_000, 500


async def files(parts: Parts, glances: Glances) -> dict[str, Any]:
    """What each file of the bundle holds, texts and what JSON can write."""
    await glances.refresh(at_once=True)
    machine, directory = parts.machine, parts.store.directory
    known = await asyncio.to_thread(about, machine)
    worn = None if known.uptime_s is None else await asyncio.to_thread(wear, directory, known.uptime_s)
    return {
        "versions.json": {
            "program": __version__,
            "machine": asdict(known),
            "databases": await _or_why(asked(parts.store, versions)),
        },
        "health.json": _without_arguments(parts, health.describe(parts)),
        "doctor.txt": await findings(parts.draft.path),
        "settings.json": settings.shown(parts.draft.config),
        "events.json": await _or_why(_events(parts)),
        "log.txt": "\n".join(parts.recent_log.lines()),
        "kernel.txt": "\n".join(await asyncio.to_thread(kernel_log)),
        "storage.json": {
            "store": asdict(parts.store.status()),
            "wear": None if worn is None else asdict(worn) | {"years": worn.years},
            "outbox": _outbox(parts, glances.standing) or glances.trouble,
            "aggregators": [one._asdict() for one in glances.contacts(parts.times)],
        },
        "radio.json": {
            "receivers": [_receiver(parts, one) for one in parts.receivers()],
            "power": await asyncio.to_thread(power, machine),
            "temperature_c": await asyncio.to_thread(temperature_c, machine),
        },
        "files.txt": await asyncio.to_thread(listing, directory),
    }


async def secrets(parts: Parts) -> Personal:
    """What must not be in any of it, as far as the card lets it be read."""
    known = await personal(parts.store)
    proofs = known.proofs | settings.secrets(parts.draft.config) | settings.secrets(parts.draft.told)
    if parts.sealing is not None:
        with contextlib.suppress(StoreError, OSError):
            proofs.add(await parts.sealing.of(lambda outbox: outbox.identity.claim_code))
    return Personal(proofs, known.words)


async def _or_why(answer: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await answer
    except StoreError as fault:
        return str(fault)


async def _events(parts: Parts) -> list[dict[str, Any]]:
    """The last ones, the latest first. Raises StoreError."""
    told: list[dict[str, Any]] = []
    times, before = parts.times, None
    while len(told) < MOST_EVENTS:
        page = await asked(parts.store, logged, before=before, limit=EVENTS_AT_ONCE)
        for event in page:
            if times.moment.utc_ms - parts.store.clock.utc_ms(event.at) > EVENTS_MS:
                return told
            told.append(events.told(event, times.at(event.at).iso))
        if len(page) < EVENTS_AT_ONCE:
            break
        before = page[-1].number
    return told


def _outbox(parts: Parts, standing: Standing | None) -> dict[str, Any]:
    """How it stands, without the code that approves."""
    if standing is None:
        return {}
    oldest = None if standing.oldest_at is None else parts.times.at(standing.oldest_at).iso
    return {name: value for name, value in asdict(standing).items() if name != "claim_code"} | {"oldest_at": oldest}


def _receiver(parts: Parts, receiver: ReceiverState) -> dict[str, Any]:
    return asdict(replace(receiver, source=_sources(parts).get(receiver.source, receiver.source)))


def _without_arguments(parts: Parts, described: dict[str, Any]) -> dict[str, Any]:
    """The health, with the bare programs that stand in for receivers."""
    programs = {source[:LONGEST_SOURCE]: program for source, program in _sources(parts).items()}
    receivers = [one | {"source": programs.get(one["source"], one["source"])} for one in described["receivers"]]
    return described | {"receivers": receivers}


def _sources(parts: Parts) -> Mapping[str, str]:
    """The bare program of each command that stands in for a receiver."""
    commands = [one.command for one in parts.draft.config.receivers if one.command]
    return {shlex.join(command): command[0] for command in commands}
