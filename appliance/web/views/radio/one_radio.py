"""Which radio an address names, and what is said of an attempt to set it that failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from aiohttp import web

from appliance.errors import ApplianceError, SourceUnavailable
from appliance.model import ReceiverState
from appliance.radio.controls import Controls
from appliance.web.frame.accounts import SESSION
from appliance.web.parts import PARTS, Parts

PATH = "/radio/{name:[A-Za-z0-9][A-Za-z0-9_. -]{0,31}}"

FOREIGN = "This receiver is a program of its own and takes nothing from here. It is set by its command in the settings."
NOT_NOW = "The receiver does not run at the moment. It is started again by itself: try again in a moment."
RECORDING = "A recording is being made. Wait until it is done, or stop it first."
SURVEYING = "A survey is under way. Wait until it is done, or stop it first."
REFUSED = "The radio did not take it."
PHRASES = (FOREIGN, NOT_NOW, RECORDING, SURVEYING, REFUSED)


@dataclass(frozen=True, slots=True)
class Trouble:
    """For radio.html: why nothing came of a form. `part` says which, `place` beside which field it is said.

    `words` is a text to translate with `limits` in it, `told` are words of a program, in English; `typed` is what
    stood in the fields.
    """

    part: str
    words: str
    place: str = ""
    limits: Mapping[str, str] = field(default_factory=dict)
    told: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)

    def limits_with(self, point: str) -> dict[str, str]:
        """The limits with a language's decimal point."""
        return {name: limit.replace(".", point) for name, limit in self.limits.items()}


def receiver_of(request: web.Request) -> ReceiverState:
    """The receiver that an address names, or the first one where it names none. Raises HTTPNotFound."""
    name = request.match_info.get("name")
    for receiver in request.app[PARTS].receivers():
        if name is None or receiver.name == name:
            return receiver
    raise web.HTTPNotFound


def controls_of(request: web.Request) -> Controls | None:
    """What may be asked of the receiver that an address names; None for a program of its own. Raises HTTPNotFound."""
    return controls_by(request.app[PARTS], receiver_of(request).name)


def controls_by(parts: Parts, name: str) -> Controls | None:
    """What may be asked of a receiver; None for a program of its own."""
    controls = parts.controls.get(name)
    return controls if controls is not None and controls.possible else None


def address_of(name: str) -> str:
    """Where the page of a receiver is."""
    return f"/radio/{quote(name, safe='')}"


def back(request: web.Request, place: str) -> web.Response:
    """To its page, by a request that can be repeated."""
    return web.Response(status=303, headers={"Location": f"{address_of(receiver_of(request).name)}#{place}"})


def note(request: web.Request, what: str, **detail: object) -> None:
    """Keep who did what to the receiver that the address names."""
    about = {"who": request[SESSION].name, "what": what, "receiver": receiver_of(request).name}
    request.app[PARTS].store.record("changed", about | detail)


def under_way(controls: Controls) -> str:
    """What goes on that leaves the radio no time for anything else, in words; "" for nothing."""
    if controls.recorded is not None and controls.recorded.state == "recording":
        return RECORDING
    if controls.survey is not None and controls.survey.state == "running":
        return SURVEYING
    return ""


def refusal(part: str, fault: ApplianceError, typed: Mapping[str, str]) -> Trouble:
    """What is said when the receiver did not do what was asked of it."""
    if isinstance(fault, SourceUnavailable):
        return Trouble(part, NOT_NOW, typed=typed)
    return Trouble(part, REFUSED, told=f"{fault}. {fault.hint}", typed=typed)
