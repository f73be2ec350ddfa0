"""The rows of the tables. Their fields, in this order, are the columns of the files, CSV and JSON alike."""

from typing import get_args

from appliance.model import COMMODITIES
from appliance.store.multiplier import SURES
from appliance.store.rows import BREAKS, EventKind
from appliance.web.openapi.kinds import (
    Schema,
    choice,
    estimate,
    exact,
    listed,
    maybe,
    number,
    text,
    thing,
    time,
    whole,
    yes,
)

_UNIT = text("Unit of the quantities: kWh, m³, or empty where no multiplier is known.")
_FROM, _TO = time("Begin."), time("End, which belongs to the next row.")
_TAMPER = {
    "tamper_phy": maybe(
        whole("Tamper counter of the meter's body. It wraps; a change means something, a value does not.")
    ),
    "tamper_enc": maybe(whole("Tamper counter of the encoder; as tamper_phy.")),
}
_METER = {
    "protocol": text("Protocol; empty for a meter that was never heard and may speak any.", maxLength=16),
    "meter_id": whole("What the meter calls itself.", minimum=1),
    "simulated": yes("Whether it is made up."),
    "commodity": maybe(choice("What it measures, null if it was never heard.", *COMMODITIES)),
    "endpoint_type": maybe(whole("Type as it is sent, which tells the commodity in its low four bits.")),
    "assigned": yes("Whether the aggregator assigned it to this appliance."),
    "name": text("Name of its service point, as assigned."),
    "address": text("Address, as assigned."),
}

METER = thing(
    "A meter as it is now. One that is assigned and was never heard has null for all that only a message tells.",
    _METER
    | {
        "register": maybe(whole("The register, in counts, as it was sent.")),
        "multiplier": maybe(exact("What a count stands for, in the unit.")),
        "quantity": maybe(exact("Register times multiplier, in the unit.")),
        "unit": _UNIT,
        "used_last_day": maybe(whole("Used in the last 24 hours, in counts.", minimum=-(2**53))),
        "used_last_day_quantity": maybe(exact("The same in the unit.")),
        "last_heard": maybe(time("When it was last heard.")),
        "last_heard_is_estimate": estimate("last_heard"),
        "last_changed": maybe(time("When its register last moved.")),
        "last_changed_is_estimate": estimate("last_changed"),
        "snr_db": maybe(number("Level of the last message: Eb/N0 in dB.")),
        "frequency_hz": maybe(whole("Carrier of the last message, in Hz.")),
        "messages_an_hour": whole("Messages in the last hour."),
        **_TAMPER,
        "tamper_changed": maybe(time("When a tamper counter last changed.")),
        "tamper_changed_is_estimate": estimate("tamper_changed"),
    },
)
CONSUMPTION = thing(
    "What a meter used in a quarter of an hour, a day or a month.",
    {
        "from": _FROM,
        "to": _TO,
        "is_estimate": estimate("from"),
        "used": maybe(
            whole("Used, in counts; null where the register at begin or end is not known.", minimum=-(2**53))
        ),
        "register": maybe(whole("Register at the end, in counts; null if the meter was not heard.")),
        "used_quantity": maybe(exact("Used, in the unit.")),
        "quantity": maybe(exact("Register at the end, in the unit.")),
        "unit": _UNIT,
        "used_since": maybe(
            time(
                "Since when the meter was not heard, if it was not until this row: what is told as used was used since "
                "then, nobody knows when."
            )
        ),
        "breaks": listed("What happened to the register meanwhile.", choice("What happened.", *BREAKS)),
    },
)
RECEPTION = thing(
    "How a meter was heard in a quarter of an hour, a day or a month.",
    {
        "from": _FROM,
        "to": _TO,
        "is_estimate": estimate("from"),
        "is_kept": yes("Whether all of it is kept; where not, more may have been heard."),
        "messages": whole("Messages."),
        "corrected": whole("How many of them had bits corrected."),
        "snr_mean_db": maybe(number("Mean level: Eb/N0 in dB.")),
        "snr_best_db": maybe(number("Best level: Eb/N0 in dB.")),
        "frequency_min_hz": maybe(whole("Lowest carrier, in Hz.")),
        "frequency_max_hz": maybe(whole("Highest carrier, in Hz.")),
    },
)
READING = thing(
    "A reading as it is kept: a message that changed nothing is none.",
    {
        "stamp": text("The reading's place, by which the page after it is asked for.", pattern="^[0-9]{1,18}$"),
        "time": time("When it was heard."),
        "is_estimate": estimate("time"),
        "register": whole("The register, in counts, as it was sent."),
        "quantity": maybe(exact("Register times multiplier, in the unit.")),
        "unit": _UNIT,
        **_TAMPER,
        "is_suspect": yes("Whether the register cannot have moved so and no second message agreed: it is not counted."),
    },
)
TAMPER = thing(
    "A change of tamper counters.",
    {
        "time": time("When it was heard."),
        "is_estimate": estimate("time"),
        "phy_before": maybe(whole("Counter of the body before.")),
        "phy": maybe(whole("Counter of the body after.")),
        "phy_happened": maybe(whole("How often at least it counted; null where its modulus is not known.")),
        "enc_before": maybe(whole("Counter of the encoder before.")),
        "enc": maybe(whole("Counter of the encoder after.")),
        "enc_happened": maybe(whole("How often at least it counted.")),
    },
)
BREAK = thing(
    "Something that happened to the register, so that two readings cannot simply be subtracted.",
    {
        "time": time("When it was heard."),
        "is_estimate": estimate("time"),
        "what": choice("What happened.", *BREAKS),
        "before": whole("Register before, in counts."),
        "after": whole("Register after, in counts."),
    },
)
NOTE = thing(
    "A note of a technician.",
    {
        "time": time("When it was written."),
        "is_estimate": estimate("time"),
        "who": text("Who wrote it."),
        "text": text("The note."),
    },
)
COMPARISON = thing(
    "A comparison with the dial.",
    {
        "time": time("When it was made."),
        "is_estimate": estimate("time"),
        "who": text("Who made it."),
        "dial": text("What the dial showed, as it was typed, with its leading zeros."),
        "register": whole("The register then, in counts."),
        "verdict": choice("How sure the multiplier is.", *SURES),
        "multiplier": maybe(exact("The multiplier, if one was told.")),
    },
)
SIBLING = thing(
    "A meter whose ID is near by: a meter may own two or three consecutive ones.",
    _METER
    | {
        "register": whole("The register as it was last written to the card, in counts."),
        "last_heard": time("When it was heard, as it was last written to the card."),
        "last_heard_is_estimate": estimate("last_heard"),
    },
)
QUARTER = thing(
    "What was heard of all meters in a quarter of an hour of the last day; one in which nothing was has no row.",
    {
        "from": _FROM,
        "to": _TO,
        "is_estimate": estimate("from"),
        "meters": whole("Meters heard."),
        "messages": whole("Messages heard."),
    },
)
EVENT = thing(
    "Something that happened.",
    {
        "number": whole("The event's place, by which the page after it is asked for."),
        "time": time("When it happened."),
        "is_estimate": estimate("time"),
        "kind": text(f"What happened: {', '.join(get_args(EventKind))}; or what another version has written."),
        "protocol": maybe(text("Of the meter that it is about; null if it is about none.")),
        "meter_id": maybe(whole("The meter's ID.")),
        "simulated": maybe(yes("Whether that meter is made up.")),
        "words": text("The same in a sentence, in the language that the request prefers."),
        "detail": {"type": "object", "description": "What else is known of it; which fields, hangs on the kind."},
    },
)
SURVEYED = thing(
    "What a survey heard at one centre.",
    {
        "center_hz": whole("The centre, in Hz."),
        "seconds": number("How long it listened there, in s."),
        "messages": whole("Messages heard."),
        "meters": whole("Meters heard, each counted once."),
        "noise_floor_dbfs": maybe(number("Power of the band without messages, in dB of full scale.")),
    },
)
CONTACT = thing(
    "An address of the aggregator, in the order in which they are tried.",
    {
        "address": text("The address."),
        "answered": maybe(time("When it last answered with its key; null if it has not since the program started.")),
        "answered_is_estimate": estimate("answered"),
        "fault": text("Why the last try failed, empty if it did not."),
        "hint": text("What to do about it."),
    },
)


def columns(row: Schema) -> tuple[str, ...]:
    """The columns of a table of such rows."""
    return tuple(row["properties"])
