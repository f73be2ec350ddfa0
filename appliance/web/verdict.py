"""Whether all is well: what somebody must do, what is worth a look, and what follows from both, for pages and programs.

Red is only what somebody must do something about, with what that is. What may put itself right, such as a link that is
away for a month, is worth a look. All is well only where there is neither and real meters are heard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from appliance.config import PAGE
from appliance.errors import NotDelivered
from appliance.model import ReceiverState
from appliance.sync.courier import HINT_WAITING, HINTS_WAITING
from appliance.sync.sparing import IN_WORDS
from appliance.web.condition import Condition, reached_by
from appliance.web.glances import Contacted
from appliance.web.parts import Parts

State = Literal["good", "fair", "bad", "plain"]

# What is so, and what to do about it, where a part of the program has no words of its own for that.
DEEDS = {
    "configuration": (
        "The configuration is wrong.",
        "What is set wrongly has its default; a receiver that is set wrongly is not started. Correct the file and save "
        "it: the appliance takes up the change by itself.",
    ),
    "store": (
        "Readings are not being saved.",
        "Make room on the card, or replace it if it reports errors. Saving then resumes by itself.",
    ),
    "room": (
        "There is too little room.",
        "All history that may go has gone. Make room on the card, raise the budget, or use a larger card.",
    ),
    "usb": (
        "No samples from the radio.",
        "Check that it is plugged in, its cable and its power supply. The appliance keeps trying by itself.",
    ),
    "network": (
        "No samples from the radio in the network.",
        "Check the network, and that rtl_tcp runs at the other end. The appliance keeps trying by itself.",
    ),
    "receiver": (
        "The receiver does not run.",
        "Check how it is set in the configuration. The appliance keeps trying by itself.",
    ),
    "outbox": (
        "Batches are not made as they should be.",
        "See whether the card has room and reports no errors. Readings go on being kept, and it tries again by itself.",
    ),
    "approval": (
        "Delivery waits for the operator's approval.",
        "Tell the operator number and code: by these they know that you stand here. What waits is kept, and goes then.",
    ),
    "delivery": ("Nothing is delivered.", NotDelivered.hint),
    "settings": (
        "Some of what was set on the page has no effect.",
        "See in the set-up what it is, and go on without it or set it anew.",
    ),
    "password": (
        "The first password still stands in the set-up file.",
        "Whoever has the card reads it. Change the password, and remove first_password from the file.",
    ),
}
# What it is, and where more is said of it.
LOOKS = {
    "simulated": ("Radio: simulated, no real meter is heard", "#radio"),
    "no radio": ("Radio: none is set", "#radio"),
    "silent": ("Radio: nothing heard lately", "#radio"),
    "ended": ("Radio: the recording has ended", "#radio"),
    "missing": (
        "Meters: %(count)s of those assigned not heard in the last 24 hours",
        "/meters?assigned=yes&silent=1",
    ),
    "delivery": ("Delivery: the aggregator is not reached", "#delivery"),
    "history": ("Card: the history is not being looked after", "#card"),
    "damaged": ("Card: a part of the history was damaged", "#card"),
    "clock": ("Clock: times are estimates", "#clock"),
}
DYNAMIC = (*(words for both in DEEDS.values() for words in both), *(words for words, _ in LOOKS.values()))


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody must do: `what` of DEEDS, and on which page. `told` are words of the program, in English.

    `subject` is which radio or which file, `hint` what to do if the program knows better than DEEDS.
    """

    what: str
    where: str
    told: Sequence[str] = ()
    subject: str = ""
    hint: str = ""

    @property
    def words(self) -> str:
        """What is so."""
        return DEEDS[self.what][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return self.hint or DEEDS[self.what][1]


@dataclass(frozen=True, slots=True)
class Look:
    """What is worth a look: `what` of LOOKS, and how many of them."""

    what: str
    count: int = 0

    @property
    def words(self) -> str:
        """What it is, with a gap for the count where there is one."""
        return LOOKS[self.what][0]

    @property
    def where(self) -> str:
        """Where more is said of it."""
        return LOOKS[self.what][1]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Bad if there is anything to do, else fair if anything is worth a look.

    `delivery` and `card` are how those two are by themselves; delivery is plain where no aggregator is set.
    """

    deeds: Sequence[Deed]
    looks: Sequence[Look]
    delivery: State
    card: State

    @property
    def state(self) -> State:
        """How all of it is."""
        return "bad" if self.deeds else "fair" if self.looks else "good"


def verdict(parts: Parts, how: Condition, contacts: Sequence[Contacted]) -> Verdict:
    """On a condition, and on how it goes with the aggregator."""
    deeds = list(_deeds(parts, how, contacts))
    delivery = _delivery(deeds, contacts)
    return Verdict(deeds, list(_looks(how, delivery)), delivery, _card(how))


def of_receiver(receiver: ReceiverState) -> Deed | None:
    """What somebody must do about a receiver, if it does not run."""
    if receiver.state != "retrying":
        return None
    where = f"/radio/{quote(receiver.name, safe='')}"
    told = [receiver.reason] if receiver.reason else []
    return Deed(reached_by(receiver.source), where, told, receiver.name)


def _deeds(parts: Parts, how: Condition, contacts: Sequence[Contacted]) -> Iterator[Deed]:
    """The gravest first."""
    if how.wrong:
        yield Deed("configuration", "/system#parts", how.wrong, how.config_file)
    if how.store_trouble:
        yield Deed("store", "/system#card", [how.store_trouble])
    if how.room_trouble:
        yield Deed("room", "/system#card", [how.room_trouble])
    yield from filter(None, map(of_receiver, parts.receivers()))
    outbox = parts.health().get("outbox")
    if outbox is not None and outbox.reason and outbox.reason not in IN_WORDS.values():
        yield Deed("outbox", "/delivery", [outbox.reason])
    if all(contact.fault for contact in contacts):
        faults: dict[str, str] = {}
        for contact in contacts:
            faults.setdefault(contact.hint, contact.fault)
        for hint, fault in faults.items():
            if hint in HINTS_WAITING:
                yield Deed("approval", "/delivery", hint="" if hint == HINT_WAITING else hint)
            # The network comes and goes by itself; the rest somebody has to see to.
            elif hint != NotDelivered.hint:
                yield Deed("delivery", "/delivery", [fault], hint=hint)
    if settings := [one.words for one in parts.wrong if one.part == PAGE]:
        yield Deed("settings", "/set-up", settings)
    if parts.first_account is not None and parts.first_account.stands_in_file():
        yield Deed("password", "/password", subject=parts.config_file)


def _delivery(deeds: Sequence[Deed], contacts: Sequence[Contacted]) -> State:
    if any(deed.what in ("approval", "delivery") for deed in deeds):
        return "bad"
    if not contacts:
        return "plain"
    return "fair" if all(contact.fault for contact in contacts) else "good"


def _card(how: Condition) -> State:
    if how.store_trouble or how.room_trouble:
        return "bad"
    return "fair" if how.history_trouble or how.damaged else "good"


def _looks(how: Condition, delivery: State) -> Iterator[Look]:
    if not how.strips:
        yield Look("no radio")
    elif how.only_simulated:
        yield Look("simulated")
    if how.silent:
        yield Look("silent")
    if any(strip.state == "ended" for strip in how.strips):
        yield Look("ended")
    if how.missing:
        yield Look("missing", how.expected - how.expected_heard)
    if delivery == "fair":
        yield Look("delivery")
    if how.history_trouble:
        yield Look("history")
    if how.damaged:
        yield Look("damaged")
    if how.doubt is not None:
        yield Look("clock")
