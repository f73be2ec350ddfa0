"""What the set-up shows: how far it is, what is set and by whom, the network, the aggregator, the dongles."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from aiohttp import web

from appliance import zones
from appliance.config import Receiver, Site, Sync
from appliance.lasting import CERTIFICATE, Lasting
from appliance.machine import Machine, text
from appliance.machine.network import Interface, default_route, interfaces
from appliance.model import ReceiverState
from appliance.radio.attached import TELEVISION_DRIVERS, UsbDevice, list_usb
from appliance.store.people import usable
from appliance.sync.standing import Standing
from appliance.sync.trial import Trial
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.proof import Denied
from appliance.web.frame.rendering import html
from appliance.web.glances import GLANCES, Contacted
from appliance.web.parts import PARTS, Parts
from appliance.web.times import Shown, Times
from appliance.web.views.set_up.forms import LABELS, MEGA, Limits
from appliance.web.views.set_up.setting_up import SETTING_UP, Joined
from appliance.web.views.set_up.steps import MAY_STAY, Step, has_first_password, steps_of
from appliance.wireless import Air, look

LONGEST_TEXT = 80
FIRST_RECEIVER = "radio"


class Wrong(NamedTuple):
    """What is wrong with a field: a text to translate, with limits in it."""

    words: str
    limits: Limits

    def limits_with(self, point: str) -> dict[str, str]:
        """The limits as a language writes them, by its decimal point."""
        return {name: value.replace(".", point) for name, value in self.limits.items()}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing came of a form. `part` says which; `what` names it, where it is about no field in particular.

    `denied`: the person's own password, which it asks for, did not count.
    """

    part: str
    what: str = ""
    told: str = ""
    wrong: Mapping[str, tuple[str, Limits]] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    denied: Denied | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Who set on the page what a part has; `labels` are how the forms call the settings."""

    who: str
    since: Shown
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """An account; `is_self`: who looks at the page."""

    name: str
    since: Shown
    is_self: bool


@dataclass(frozen=True, slots=True)
class Dongle:
    """A dongle on USB. `source` is how a receiver asks for it, `user` the one that does, if any."""

    what: str
    port: str
    source: str
    user: str
    state: Literal["used", "busy", "television", "rights", "free"]


@dataclass(frozen=True, slots=True)
class Radio:
    """A receiver that can be set here; `is_new` where there is none yet. `kind` is how its source is chosen."""

    set: Receiver
    state: ReceiverState | None
    made: Made | None
    is_new: bool

    @property
    def kind(self) -> str:
        """What is chosen as its source in the form."""
        return "rtl_tcp" if self.set.source.startswith("rtl_tcp://") else self.set.source

    @property
    def center(self) -> str:
        """In MHz, as many digits as it takes."""
        return f"{self.set.center_hz / MEGA:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class SetUpPage:
    """For set_up.html. `granted` is an account that was just made, with its password, shown this once."""

    steps: Sequence[Step]
    trouble: Trouble | None
    settings_wrong: Sequence[str]
    file: str
    people: Sequence[Person]
    granted: tuple[str, str] | None
    has_first_password: bool
    stands_in_file: bool
    site: Site
    is_named: bool
    zones: Mapping[str, Sequence[str]]
    machines_zone: str
    site_made: Made | None
    interfaces: Sequence[Interface]
    route: tuple[str, str] | None
    air: Air
    joined: Joined | None
    sync: Sync
    sync_made: Made | None
    trials: Sequence[Trial] | None
    contacts: Sequence[Contacted]
    standing: Standing | None
    radios: Sequence[Radio]
    dongles: Sequence[Dongle]
    is_demonstration: bool
    running: Shown
    heard: int

    @property
    def open(self) -> int:
        """How many steps are."""
        return sum(step.state == "open" for step in self.steps)

    @property
    def certificate(self) -> str:
        """The certificate that is set as such, not as a file."""
        return self.sync.certificate if self.sync.certificate.startswith(CERTIFICATE) else ""

    @property
    def tried(self) -> Literal["good", "fair", "bad"]:
        """How the addresses fared that were tried: as the worst of them."""
        states = {one.state for one in self.trials or ()}
        return "bad" if "bad" in states else "fair" if "fair" in states else "good"

    @property
    def is_to_be_approved(self) -> bool:
        """Whether an operator has to be told who this is."""
        asked = any(one.state == "fair" for one in self.trials or ()) or any(one.waits for one in self.contacts)
        return asked and self.standing is not None

    def step(self, name: str) -> Step:
        """One of the steps."""
        return next(step for step in self.steps if step.name == name)

    def may_stay(self, name: str) -> bool:
        """Whether a step can be passed over."""
        return name in MAY_STAY

    def of(self, part: str) -> Trouble | None:
        """Why nothing came of that form."""
        return self.trouble if self.trouble and self.trouble.part == part else None

    def denied(self, part: str, name: str, typed: str) -> Denied | None:
        """How the own password was denied in that form, of several the one with that in a field."""
        trouble = self.of(part)
        return trouble.denied if trouble and trouble.typed.get(name) == typed else None

    def typed(self, part: str, name: str, otherwise: str) -> str:
        """What a field is to show: what was typed into it, where something is wrong with its form."""
        trouble = self.of(part)
        return trouble.typed.get(name, otherwise) if trouble else otherwise

    def wrong(self, part: str, name: str) -> Wrong | None:
        """What is wrong with a field."""
        trouble = self.of(part)
        return Wrong(*trouble.wrong[name]) if trouble and name in trouble.wrong else None


async def show(
    request: web.Request,
    trouble: Trouble | None = None,
    status: int = 200,
    *,
    granted: tuple[str, str] | None = None,
    trials: Sequence[Trial] | None = None,
) -> web.Response:
    """The page."""
    parts, glances, setting_up = request.app[PARTS], request.app[GLANCES], request.app[SETTING_UP]
    config, times = parts.draft.config, parts.times
    lasting, settings_wrong = await setting_up.lasting()
    wanted = request.query.get("look")
    # A page that keeps itself up to date does not ask NetworkManager each time.
    air = Air("none") if wanted == "no" else await look(anew=wanted == "1")
    await glances.refresh()
    found, route = await asyncio.to_thread(lambda: (interfaces(parts.machine), default_route(parts.machine)))
    page = SetUpPage(
        steps=await steps_of(parts, lasting),
        trouble=trouble,
        settings_wrong=settings_wrong,
        file=parts.config_file,
        people=await _people(request, times),
        granted=granted,
        has_first_password=await has_first_password(parts),
        stands_in_file=parts.first_account is not None and parts.first_account.stands_in_file(),
        site=config.site,
        is_named=config.site.name != Site().name,
        zones=await asyncio.to_thread(zones.places),
        machines_zone=zones.machines(),
        site_made=_made(lasting, "site", times),
        interfaces=found,
        route=route,
        air=air,
        joined=setting_up.joined,
        sync=config.sync,
        sync_made=_made(lasting, "sync", times),
        trials=trials,
        contacts=glances.contacts(times),
        standing=glances.standing,
        radios=_radios(parts, lasting, times),
        dongles=await asyncio.to_thread(_dongles, parts),
        is_demonstration=config.demonstration,
        running=times.ago(parts.uptime_s),
        heard=sum(state.messages for state in parts.receivers()),
    )
    return html(request, "set_up.html", page, status)


def settable(parts: Parts) -> list[str]:
    """The names of the receivers that can be set here, the one that is still to be made included."""
    draft = parts.draft
    there = [one.name for one in draft.config.receivers if not one.command]
    if draft.has_receivers:
        return there
    # The simulated one that is heard where none is set is no receiver of anybody's.
    own = [name for name in there if name in draft.lasting.receivers]
    return [*own, next_name(own)]


def next_name(names: Sequence[str]) -> str:
    """A name for one more receiver."""
    free = (FIRST_RECEIVER if number == 1 else f"{FIRST_RECEIVER}{number}" for number in range(1, 100))
    return next(name for name in free if name not in names)


def _radios(parts: Parts, lasting: Lasting, times: Times) -> list[Radio]:
    states = {state.name: state for state in parts.receivers()}
    receivers = {one.name: one for one in parts.draft.config.receivers}
    return [
        Radio(receivers[name], states.get(name), _made(lasting, f"receiver {name}", times), is_new=False)
        if name in receivers
        else Radio(Receiver(name=name), None, None, is_new=True)
        for name in settable(parts)
    ]


def _made(lasting: Lasting, part: str, times: Times) -> Made | None:
    entries, made = lasting.of(part), lasting.made.get(part)
    labels = tuple(LABELS.get(key, key) for key in entries)
    return Made(made.who, times.at(made.at), labels) if labels and made else None


async def _people(request: web.Request, times: Times) -> list[Person]:
    own = request[SESSION].name
    accounts = usable(await request.app[PARTS].accounts.all())
    return [Person(one.name, times.at(one.changed_at), one.name == own) for one in accounts]


def _dongles(parts: Parts) -> list[Dongle]:
    found = list_usb(parts.machine.sys / "bus" / "usb" / "devices")
    users = {one.source: one.name for one in parts.draft.config.receivers if not one.command}
    return [_dongle(device, parts.machine, users, is_only=len(found) == 1) for device in found]


def _dongle(device: UsbDevice, machine: Machine, users: Mapping[str, str], *, is_only: bool) -> Dongle:
    source = f"rtlsdr:{device.serial}" if device.serial and device.serial.isascii() else "rtlsdr"
    user = users.get(source) or (users.get("rtlsdr", "") if is_only else "")
    state: Literal["used", "busy", "television", "rights", "free"] = "free"
    if any(driver in TELEVISION_DRIVERS for driver in device.drivers):
        state = "television"
    elif "usbfs" in device.drivers:
        state = "used" if user else "busy"
    elif not machine.accessible(_node(device, machine)):
        state = "rights"
    what = f"{device.product} {device.serial}".strip()[:LONGEST_TEXT]
    return Dongle(what, device.port, source, user, state)


def _node(device: UsbDevice, machine: Machine) -> Path:
    place = machine.sys / "bus" / "usb" / "devices" / device.port
    bus, number = text(place / "busnum"), text(place / "devnum")
    return machine.dev / "bus" / "usb" / bus.zfill(3) / number.zfill(3)
