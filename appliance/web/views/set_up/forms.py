"""What somebody typed into the set-up: the entries that it makes, or what is wrong with each field.

What is taken is what the settings take, by the same rules; here it is said in words that are translated. Only what
differs from the file is an entry: the rest goes on following the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.config import TABLES, Draft
from appliance.lasting import CERTIFICATE, SOURCE, Entry
from appliance.settings import settings_of
from appliance.web.typed import number
from appliance.web.views.radio.setting import LIMITS
from appliance.web.views.radio.tuning import CENTER, GAIN, PPM
from appliance.zones import REGIONS

NAME = "A name has 1 to 80 characters."
PLACE = "At most 120 characters."
ZONE = "This machine does not know that zone: choose one of the list."
ADDRESSES = "Each address begins with https://, such as https://meters.example.org: one in a line, four at most."
KEY = "The key has 64 characters: digits, and letters from a to f. Here are %(count)s."
NO_KEY = "An address is of no use without the key: nothing that comes from there would be believed."
TOKEN = "The token has letters from A to Z and digits from 2 to 7."  # noqa: S105 - words about one
PEM = "A certificate begins with -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----."
ADDRESS = "An address has the form rtl_tcp://host:port."
CHOOSE = "Choose where samples come from."
# How the forms call what is set, for whoever tells of it.
LABELS = {
    "name": "Name",
    "place": "Place",
    "zone": "Time zone",
    "aggregators": "Addresses",
    "aggregator_key": "Key of the aggregator",
    "certificate": "Certificate of its own",
    "token": "Token",
    "source": "Where samples come from",
    "center_hz": "Centre",
    "gain_db": "Gain",
    "ppm": "Correction of the crystal",
}
PHRASES = (*REGIONS, NAME, PLACE, ZONE, ADDRESSES, KEY, NO_KEY, TOKEN, PEM, ADDRESS, CHOOSE, *LABELS.values())

MOST_ADDRESSES = 4
MEGA = 1_000_000
RTL_TCP = "rtl_tcp"

Limits = Mapping[str, str]


@dataclass(slots=True)
class Typed:
    """`entries` as TOML has them, and what is `wrong`: by field a text to translate with limits in it."""

    entries: dict[str, Any]
    wrong: dict[str, tuple[str, Limits]] = field(default_factory=dict)

    def take(self, table: str, key: str, value: Any, told: Any, words: str) -> None:
        """An entry, which is none where the file says the same; `words` if it is not taken."""
        found, faults = settings_of(TABLES[table], {key: value}, table)
        if faults:
            self.wrong[key] = (words, {})
        elif getattr(found, key) == told:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value


def of_site(fields: Mapping[str, str], draft: Draft) -> Typed:
    """Name, place and zone; a form that has no zone, of an earlier version, leaves the one that is set."""
    typed, told = Typed({}), draft.told.site
    typed.take("site", "name", _line(fields, "name"), told.name, NAME)
    typed.take("site", "place", _line(fields, "place"), told.place, PLACE)
    typed.take("site", "zone", fields.get("zone", draft.config.site.zone), told.zone, ZONE)
    return typed


def of_sync(fields: Mapping[str, str], draft: Draft, known: Entry) -> Typed:
    """The aggregator. The token is not shown, so a field that is empty leaves the one that is `known`."""
    typed, told, now = Typed({}), draft.told.sync, draft.config.sync
    addresses = [line.strip().rstrip("/") for line in fields.get("aggregators", "").splitlines() if line.strip()]
    if len(addresses) > MOST_ADDRESSES:
        typed.wrong["aggregators"] = (ADDRESSES, {})
    else:
        typed.take("sync", "aggregators", addresses, told.aggregators, ADDRESSES)
    key = "".join(fields.get("aggregator_key", "").split()).lower()
    typed.take("sync", "aggregator_key", key, told.aggregator_key, KEY)
    if "aggregator_key" in typed.wrong:
        typed.wrong["aggregator_key"] = (KEY, {"count": str(len(key))})
    if addresses and not key:
        typed.wrong["aggregator_key"] = (NO_KEY, {})
    token = _line(fields, "token").upper()
    if token:
        typed.take("sync", "token", token, told.token, TOKEN)
    elif "token" in known:
        typed.entries["token"] = known["token"]
    pem = "\n".join(line.strip() for line in fields.get("certificate", "").strip().splitlines())
    if pem and not (pem.startswith(CERTIFICATE) and pem.endswith(CERTIFICATE.replace("BEGIN", "END"))):
        typed.wrong["certificate"] = (PEM, {})
    elif pem or now.certificate.startswith(CERTIFICATE):
        # A file that the card's settings name is not shown, and stays.
        typed.take("sync", "certificate", f"{pem}\n" if pem else "", told.certificate, PEM)
    return typed


def of_receiver(fields: Mapping[str, str], draft: Draft, name: str, known: Entry) -> Typed:
    """One receiver: what the form has of it, beside what is `known`."""
    typed = Typed(dict(known))
    told = next((one for one in draft.told.receivers if one.name == name and draft.has_receivers), None)
    chosen = fields.get("source", "")
    source = _line(fields, "address") if chosen == RTL_TCP else chosen
    if not chosen and told is not None:
        # What only a file can say, such as the path of a recording, is not shown as a choice.
        typed.entries.pop("source", None)
    elif not SOURCE.fullmatch(source) or (chosen == RTL_TCP and not source.startswith(f"{RTL_TCP}://")):
        typed.wrong["source"] = (ADDRESS if chosen == RTL_TCP else CHOOSE, {})
    else:
        typed.take("receiver", "source", source, told.source if told else None, CHOOSE)
    given: dict[str, Any] = {}
    if "center" in fields:
        mhz = number(fields["center"])
        given["center_hz"] = None if mhz is None else round(mhz * MEGA)
    if fields.get("gain") == "auto":
        given["gain_db"] = "auto"
    elif "gain" in fields:
        gain = number(fields.get("gain_db", ""))
        given["gain_db"] = None if gain is None else float(gain)
    if "ppm" in fields:
        ppm = number(fields["ppm"])
        given["ppm"] = int(ppm) if ppm is not None and ppm == int(ppm) else None
    standard = TABLES["receiver"]()
    for key, value in given.items():
        words = {"center_hz": CENTER, "gain_db": GAIN, "ppm": PPM}[key]
        typed.take("receiver", key, value, getattr(told or standard, key), words)
        if key in typed.wrong:
            typed.wrong[key] = (words, _limits(key))
    return typed


def _line(fields: Mapping[str, str], name: str) -> str:
    return " ".join(fields.get(name, "").split())


def _limits(key: str) -> Limits:
    low, high = LIMITS[key]
    if key == "center_hz":
        low, high = low / MEGA, high / MEGA
    return {"low": f"{low:g}".replace("-", "−"), "high": f"{high:g}"}
