"""The documents that are no tables: how the appliance is, one meter, its chart, the delivery, and what went wrong."""

from typing import get_args

from appliance.clock import Source
from appliance.model import REFUSALS, STATES
from appliance.store.rows import BREAKS
from appliance.web.openapi.kinds import (
    Schema,
    choice,
    counts,
    estimate,
    listed,
    maybe,
    number,
    ref,
    text,
    thing,
    time,
    whole,
    yes,
)
from appliance.web.openapi.tables import METER
from appliance.web.verdict import DEEDS

STEPS = ("quarter", "day", "month")

_CLOCK = thing(
    "The time, and who told it.",
    {
        "time": time("Now."),
        "is_estimate": estimate("time"),
        "source": choice("Who told the time.", *get_args(Source), "estimate"),
        "uncertainty_ms": maybe(whole("By how much it may be off, in ms; null where nothing bounds that.")),
        "zone": text("The zone in which days are counted, as the IANA database calls it."),
    },
)
_DEED = thing(
    "Something that somebody must do.",
    {
        "what": choice("What it is about; usb, network and receiver are how a radio is reached.", *DEEDS),
        "of": text("Which radio, or which file; else empty."),
        "words": text("What the program says of it, where it says more than what it is about."),
        "hint": text("What to do about it."),
    },
)
_PART = thing(
    "A part of the program.",
    {
        "state": choice("How it is.", "healthy", "degraded", "failed"),
        "reason": text("Why, empty if it is healthy."),
        "hint": text("What to do about it."),
        "failures": whole("How often it failed since the program started."),
    },
)
_RECEIVER = thing(
    "A receiver. What the radio measures is null until it spoke.",
    {
        "name": text("Its name in the settings."),
        "source": text("Where its samples come from."),
        "simulated": yes("Whether what it hears is made up."),
        "state": choice("Whether it runs.", *STATES),
        "reason": text("Why it does not, else empty."),
        "restarts": whole("How often it was started again since the program started."),
        "messages": whole("Messages since the program started."),
        "messages_by_protocol": counts("The same, by protocol."),
        "center_hz": maybe(whole("Centre of the band, in Hz.")),
        "sample_rate_hz": maybe(whole("Samples a second.")),
        "gain_db": maybe(number("Gain of the tuner in dB, null while it sets it itself.")),
        "noise_floor_dbfs": maybe(number("Power of the band without messages, in dB of full scale.")),
        "level_dbfs": maybe(number("Power of the band, in dB of full scale.")),
        "clipped_share": maybe(number("Share of samples at the converter's limits.", minimum=0, maximum=1)),
        "dropped_samples": maybe(whole("Samples that never came.")),
        "refused": counts(f"Bursts that gave no message, by reason: {', '.join(REFUSALS)}."),
        "garbage_lines": counts("Lines of the receiver that were not understood, by reason."),
    },
)
_STORAGE = thing(
    "The card and what is kept on it.",
    {
        "bytes_used": whole("What the data takes, in bytes."),
        "bytes_budget": whole("What it may take, in bytes."),
        "bytes_free": whole("What is free on the card, in bytes."),
        "segments": whole("Sealed segments of history."),
        "damaged_segments": whole("Segments that were set aside as damaged."),
        "readings_waiting": whole("Readings in memory, not yet on the card."),
        "readings_lost": whole("Readings given up while the card could not be written to."),
        "last_commit_age_s": maybe(number("Seconds since the card was last written to.")),
        "oldest": maybe(time("The oldest reading that is kept.")),
        "trouble": text("Why readings wait in memory, else empty."),
    },
)
STATUS = thing(
    "How the appliance is.",
    {
        "site": text("Its name, as set."),
        "version": text("Version of the program."),
        "uptime_s": whole("Seconds since the program started."),
        "simulated": yes("Whether any receiver hears what is made up."),
        "condition": choice(
            "Whether somebody must act (bad), or something is worth a look (fair).", "good", "fair", "bad"
        ),
        "to_do": listed("What somebody must do, the gravest first; told to who has logged in.", ref("Deed")),
        "wrong_settings": listed("What is wrong in the settings; told to who has logged in.", text("In words.")),
        "history_trouble": text("Why the history is not looked after, or has too little room; else empty."),
        "is_silent": yes("Whether nothing was heard for half an hour though a radio runs."),
        "clock": ref("Clock"),
        "receivers": listed("The receivers, in the order of the settings.", ref("Receiver")),
        "parts": {
            "type": "object",
            "description": "The parts of the program, by name.",
            "additionalProperties": ref("Part"),
        },
        "storage": {
            "oneOf": [ref("Storage"), {"type": "null"}],
            "description": "Null until the files were first measured.",
        },
        "meters": whole("Meters known."),
        "meters_last_day": whole("Meters heard in the last 24 hours."),
        "assigned": whole("Meters that are assigned to this appliance."),
        "assigned_last_day": whole("How many of them were heard in the last 24 hours."),
        "last_heard": maybe(time("When any meter was last heard.")),
        "last_heard_is_estimate": estimate("last_heard"),
        "batches_waiting": maybe(whole("Batches that wait for a receipt; null if the outbox was not looked at.")),
    },
)
ONE_METER = thing(
    "A meter, and what is known of it besides; of each list the latest entries, all of which the tables have.",
    METER["properties"]
    | {
        "multiplier_by": choice("Where the multiplier comes from; empty if there is none.", "dial", "assigned", ""),
        "first_heard": maybe(time("When it was first heard.")),
        "first_heard_is_estimate": estimate("first_heard"),
        "tamper_phy_meaning": text("What is known of what the body's counter counts."),
        "tamper_enc_meaning": text("What is known of what the encoder's counter counts."),
        "tamper_changes": listed("Changes of the counters, the latest first.", ref("TamperChange")),
        "breaks": listed("What happened to the register, the latest first.", ref("Break")),
        "comparisons": listed("Comparisons with the dial, the latest first.", ref("Comparison")),
        "notes": listed("Notes, the latest first.", ref("Note")),
        "siblings": listed("Meters with IDs near by.", ref("Sibling")),
    },
)
_PLACE = whole("Place in the columns, from 0.")
_MS: Schema = whole("UTC, in ms since 1970.")
CHART = thing(
    "What charts are drawn from, by columns: those of the same length have an entry for each step.",
    {
        "from": whole("Begin of what is shown: UTC, in ms since 1970."),
        "to": whole("Its end."),
        "step": choice("How long a step is.", *STEPS),
        "begin": listed("When each step begins.", _MS),
        "end": listed("When it ends.", _MS),
        "register": listed("Register at its end, in counts.", maybe(whole("Null if the meter was not heard."))),
        "used": listed("Used in it, in counts.", maybe(whole("Null if it is not known.", minimum=-(2**53)))),
        "since": listed(
            "Steps before which the meter was not heard.",
            thing(
                "What is told as used in this step was used since then, nobody knows when.",
                {"place": _PLACE, "ms": whole("Since when: UTC, in ms since 1970.")},
            ),
        ),
        "breaks": listed(
            "Steps in which something happened to the register.",
            thing("What happened.", {"place": _PLACE, "kinds": listed("In its order.", choice("What.", *BREAKS))}),
        ),
        "messages": listed("Messages in it.", maybe(whole("Null where that is not kept."))),
        "level_db": listed("Mean level in it: Eb/N0 in dB.", maybe(number("Null where none was measured."))),
        "not_kept": listed("Steps of which more may have been heard than is kept.", _PLACE),
        "unsure": listed("Steps that may have been a minute or more before or after.", _PLACE),
    },
)
DELIVERY = thing(
    "How it stands with what is delivered to the aggregator. All of the outbox is null while it cannot be looked at.",
    {
        "trouble": text("Why the outbox cannot be looked at, else empty."),
        "appliance": maybe(text("The appliance's number, made of its first key.")),
        "fingerprint": maybe(text("Fingerprint of its key, as the operator sees it.")),
        "epoch": maybe(whole("How often its key was exchanged for another.")),
        "waiting": maybe(whole("Batches that wait for a receipt.")),
        "sent": maybe(whole("How many of them were sent, fetched or carried off since the program started.")),
        "waiting_bytes": maybe(whole("Their size, in bytes.")),
        "oldest": maybe(time("When the first of them was sealed.")),
        "oldest_is_estimate": estimate("oldest"),
        "sealed": maybe(whole("Batches made with the present key.")),
        "confirmed": maybe(whole("How many of them the aggregator confirmed.")),
        "last_confirmed": maybe(time("When the aggregator stored what it confirmed last, by its clock.")),
        "has_key": yes("Whether an aggregator's key is set, so that receipts can be verified."),
        "assignments": whole("Version of the assignments in force, 0 before any came."),
        "assigned": whole("Meters in it."),
        "contacts": listed("The addresses of the aggregator.", ref("Contact")),
    },
)
PROBLEM = thing(
    "What went wrong (RFC 9457).",
    {
        "status": whole("The status of the answer.", minimum=400, maximum=599),
        "title": text("The status in a word or two."),
        "detail": text("What happened and what to do."),
    },
)
PARTS_OF_DOCUMENTS = {
    "Clock": _CLOCK,
    "Deed": _DEED,
    "Part": _PART,
    "Receiver": _RECEIVER,
    "Storage": _STORAGE,
}
