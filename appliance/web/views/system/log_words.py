"""What happened, told in a sentence of the reader's language.

Kinds and details are those of the store's events, which an older or a newer version of the program, or a damaged card,
may have written: whatever is not there, or is of another form than expected, has a dash in its place, and a kind that
is not known is told by its name. What a program or a person said is told as it is, bounded, for pages to escape.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from appliance import zones
from appliance.store.accounts import CONSOLE
from appliance.store.event_log import Logged
from appliance.store.schema import PHRASES
from appliance.web.frame.cldr import MINUS, count, day, decimal
from appliance.web.frame.language import catalogue
from appliance.web.frame.rendering import span
from appliance.web.parts import PACKAGE
from appliance.web.views.set_up.forms import LABELS

# By group: how it is called, and the kinds that belong to it.
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "meters": (
        "Meters",
        ("tamper", "tamper_flood", "register_rolled_over", "meter_exchanged", "register_jumped"),
    ),
    "radio": ("Radio", ("radio_failed", "radio_recovered")),
    "clock": ("Clock and starts", ("boot", "clock_set", "clock_stepped")),
    "access": ("Log-ins", ("logged_in", "log_in_refused")),
    "changes": ("Changes", ("changed", "restored", "log_imported")),
    "delivery": ("Delivery", ("delivery_reduced",)),
    "store": (
        "Storage",
        (
            *("storage_failed", "storage_recovered", "history_thinned", "history_dropped", "segment_damaged"),
            *("catalogue_restored", "live_restored", "replaced_removed"),
        ),
    ),
}

KINDS = {
    "boot": "The machine was started: its start number %(number)s.",
    "clock_set": "The time is known %(source)s, %(off)s.%(moved)s",
    "clock_stepped": "The system clock jumped by %(system_moved)s, and nothing said why. Times here did not follow.",
    "tamper": "Tamper counters changed: physical %(phy)s, encoder %(enc)s.",
    "tamper_flood": "Tamper counters of many meters changed at once, more than are told one by one.",
    "register_rolled_over": "The register went through its end and began anew: %(before)s, then %(after)s.",
    "meter_exchanged": "The meter was exchanged, or its register set: %(before)s, then %(after)s.",
    "register_jumped": "The register jumped beyond what the service can carry: %(before)s, then %(after)s.",
    "radio_failed": "The receiver %(receiver)s stopped: %(why)s",
    "radio_recovered": "The receiver %(receiver)s works again.",
    "history_thinned": "To make room, the history from %(from)s to %(to)s keeps one reading a day of each meter.",
    "history_dropped": "To make room, the history from %(from)s to %(to)s was deleted.",
    "segment_damaged": "A file of the history with %(readings)s readings was damaged. Saved of them: %(saved)s.",
    "catalogue_restored": "The catalogue was damaged and was made anew, from %(copied)s.",
    "live_restored": "What was heard last was damaged on the card. Readings saved: %(saved)s.",
    "storage_failed": "The card takes nothing: %(why)s",
    "storage_recovered": "The card can be written to again.",
    "log_imported": "A log was taken in: readings %(readings)s, meters %(meters)s.",
    "restored": "A backup was restored.",
    "replaced_removed": "To make room, what a restore had replaced was deleted: %(folder)s.",
    "delivery_reduced": "For want of room, batches leave out: %(left_out)s.",
    "logged_in": "%(who)s logged in, from %(address)s.",
    "log_in_refused": "Too many wrong passwords for %(who)s, from %(address)s: locked for a while.",
    "changed": "%(who)s changed something: %(what)s.",
}
# By what was changed.
CHANGES = {
    "account_added": "%(who)s added the account %(account)s.",
    "account_removed": "%(who)s removed the account %(account)s.",
    "password_changed": "%(who)s changed the password of %(account)s.",
    "note_added": "%(who)s added a note.",
    "note_removed": "%(who)s removed a note.",
    "dial_compared": "%(who)s compared the register with the dial.",
    "dial_removed": "%(who)s removed a comparison with the dial.",
    "batches_downloaded": "%(who)s downloaded the batches that waited.",
    "receipts_brought": "%(who)s brought receipts back: %(taken)s.",
    "radio_tuned": "%(who)s set the receiver %(receiver)s to %(center)s, gain %(gain)s, correction %(ppm)s ppm.",
    "radio_reset": "%(who)s set the receiver %(receiver)s back to what the settings say.",
    "survey_begun": "%(who)s began a survey with the receiver %(receiver)s.",
    "survey_stopped": "%(who)s stopped the survey of the receiver %(receiver)s.",
    "recording_begun": "%(who)s began a recording with the receiver %(receiver)s.",
    "recording_stopped": "%(who)s stopped the recording of the receiver %(receiver)s.",
    "recording_deleted": "%(who)s deleted the recording %(name)s.",
    "settings_changed": "%(who)s changed settings, %(part)s: %(keys)s.",
    "settings_put_back": "%(who)s set %(part)s back to what the file of settings says.",
    "settings_mended": "%(who)s removed what was set wrongly on the page.",
    "set_up_passed": "%(who)s left out a step of the set-up: %(step)s.",
    "set_up_taken_up": "%(who)s took up a step of the set-up again: %(step)s.",
    "wifi_joined": "%(who)s joined the Wi-Fi %(network)s.",
    "backup_downloaded": "%(who)s downloaded a backup.",
    "backup_restored": "%(who)s brought a backup back.",
    "support_downloaded": "%(who)s downloaded the bundle for support.",
    "clock_told": "%(who)s told the time, %(off)s.%(moved)s",
    "program_restarted": "%(who)s restarted the program.",
    "machine_restarted": "%(who)s restarted the machine.",
}
UNKNOWN = "Something that this version cannot tell: %(kind)s."
CONFIRMED = {
    "ntp": "from the network (NTP)",
    "rtc": "from the clock chip",
    "receipt": "from the aggregator",
    "browser": "from a technician",
    "estimate": "by an estimate",
}
COPIED = {"copy": "its copy", "segments": "the history"}
LEFT_OUT = {
    "nothing": "nothing any more",
    "receptions": "how often meters were heard",
    "readings": "readings, but for one a day",
}
PARTS = {"site": "Place", "sync": "Aggregator"}
RECEIVER, _RECEIVER = "Receiver", "receiver "
# As a receiver is called that nobody has given a name.
SIMULATED = "simulated"
AUTOMATIC = "automatic"
# As the log-in calls whoever comes from no network.
HERE = "this machine"
MOVED = "Times of this start moved by %(time)s."
OFF, UNBOUNDED = "off by at most %(time)s", "off by nobody knows how much"
DYNAMIC = (
    *(label for label, _ in GROUPS.values()),
    *(*KINDS.values(), *CHANGES.values(), UNKNOWN),
    *(*CONFIRMED.values(), *COPIED.values(), *LEFT_OUT.values(), *PARTS.values()),
    *(RECEIVER, SIMULATED, MOVED, OFF, UNBOUNDED, AUTOMATIC, HERE, CONSOLE),
)
LONGEST = 200
DASH = "–"
_YEAR_2200_MS = 7_258_118_400_000
_MOST = 1e12


class _Fields(dict[str, str]):
    """What a sentence has gaps for; a dash for what nobody told."""

    def __missing__(self, name: str) -> str:
        return DASH


def tell(event: Logged, language: str) -> str:
    """The sentence, without the meter that it is about."""
    say = catalogue(PACKAGE, language).gettext
    sentence = KINDS.get(event.kind, UNKNOWN)
    if event.kind == "changed":
        sentence = CHANGES.get(_plain(event.detail.get("what"), language), sentence)
    return say(sentence) % _fields(event, say, language)


def group_of(kind: str) -> str:
    """The name of the group that a kind belongs to, empty for one that is not known."""
    return next((name for name, (_, kinds) in GROUPS.items() if kind in kinds), "")


def _fields(event: Logged, say: Callable[[str], str], language: str) -> _Fields:
    detail = event.detail
    told = {name: _plain(value, language) for name, value in detail.items()}
    fields = _Fields({name: value for name, value in told.items() if value})
    fields["kind"] = _plain(event.kind, language)
    fields |= {
        "address": say(fields["from"]) if fields["from"] == HERE else fields["from"],
        "receiver": _receiver(fields["receiver"], say),
        "who": say(CONSOLE) if fields["who"] == CONSOLE else fields["who"],
        "source": say(CONFIRMED.get(fields["source"], CONFIRMED["estimate"])),
        "copied": say(COPIED.get(fields["from"], DASH)),
        "left_out": say(LEFT_OUT.get(fields["left_out"], DASH)),
        "off": _off(detail.get("uncertainty_ms"), say, language),
        "moved": _times_moved(detail.get("moved_ms"), say, language),
        "system_moved": _moved(detail.get("system_moved_ms"), language),
        "from": _day(detail.get("from_utc_ms"), language),
        "to": _day(detail.get("to_utc_ms"), language),
        "what": fields["what"].replace("_", " "),
        "part": _part(fields["part"], say),
        "keys": ", ".join(say(LABELS.get(key, key)).lower() for key in fields["keys"].split(", ")),
        "center": _measure(detail.get("center_hz"), 1e-6, "MHz", language),
        "gain": say(AUTOMATIC) if detail.get("gain_db") is None else _measure(detail.get("gain_db"), 1, "dB", language),
    }
    if (why := fields["why"]) in PHRASES:
        fields["why"] = say(why)
    fields["why"] = f"{fields['why'].rstrip('.')}."
    saved = detail.get("saved")
    fields["saved"] = _plain(saved.get("reading"), language) if isinstance(saved, dict) else "0"
    for name in ("phy", "enc"):
        pair = detail.get(name)
        if isinstance(pair, list) and len(pair) == 2:
            fields[name] = " → ".join(_plain(value, language) or DASH for value in pair)
    return fields


def _plain(value: Any, language: str) -> str:
    """A value as text in one line, empty for one that is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, int):
        return count(value, language) if abs(value) < 10**18 else DASH
    told = "".join(letter if letter.isprintable() else " " for letter in str(value)[:LONGEST])
    return " ".join(told.split())


def _off(uncertainty_ms: Any, say: Callable[[str], str], language: str) -> str:
    length = _length(uncertainty_ms, language)
    return say(UNBOUNDED) if length is None else say(OFF) % {"time": length}


def _moved(ms: Any, language: str) -> str:
    length = _length(abs(ms), language) if _is_number(ms) else None
    return DASH if length is None else f"{MINUS if ms < 0 else '+'}{length}"


def _times_moved(ms: Any, say: Callable[[str], str], language: str) -> str:
    """A sentence more, none where they moved by less than is told."""
    return "" if _is_number(ms) and abs(ms) < 5 else f" {say(MOVED) % {'time': _moved(ms, language)}}"


def _length(ms: Any, language: str) -> str | None:
    if not _is_number(ms):
        return None
    return f"{decimal(ms / 1000, 2, language)} s" if abs(ms) < 60_000 else span(ms / 1000)


def _part(part: str, say: Callable[[str], str]) -> str:
    if part.startswith(_RECEIVER):
        return f"{say(RECEIVER)} {_receiver(part.removeprefix(_RECEIVER), say)}"
    return say(PARTS.get(part, part))


def _receiver(name: str, say: Callable[[str], str]) -> str:
    return say(SIMULATED) if name == SIMULATED else name


def _measure(value: Any, factor: float, unit: str, language: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        return DASH
    exact = Decimal(f"{value * factor:.10g}").normalize()
    return f"{decimal(exact, max(0, -int(exact.as_tuple().exponent)), language)} {unit}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _YEAR_2200_MS


def _day(utc_ms: Any, language: str) -> str:
    if not _is_number(utc_ms) or utc_ms < 0:
        return DASH
    return day(datetime.fromtimestamp(utc_ms / 1000, zones.here()), language)
