"""Which meters of the list somebody wants to see, and in which order: what its address says after the question mark."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from appliance.assignment import Assignment
from appliance.model import COMMODITIES
from appliance.store.ledger import Meter

LONGEST_SEARCH = 64
ASSIGNED = {"yes": "assigned", "no": "not assigned"}
UNKNOWN_DB = 999.0
LAST = "\U0010ffff"
Key = tuple[Any, ...]
SORTS: dict[str, tuple[str, Callable[[Meter, Assignment | None, float], Key]]] = {
    "id": ("meter ID", lambda meter, of, now_s: (meter.key.meter_id,)),
    "name": ("name", lambda meter, of, now_s: (folded(of.name) or LAST, folded(of.address)) if of else (LAST, "")),
    "heard": ("last heard", lambda meter, of, now_s: (-meter.last_at,)),
    "changed": ("last changed", lambda meter, of, now_s: (1 if meter.changed_at is None else -meter.changed_at,)),
    "strongest": (
        "level, strongest first",
        lambda meter, of, now_s: (UNKNOWN_DB if meter.snr_db is None else -meter.snr_db,),
    ),
    "level": ("level, weakest first", lambda meter, of, now_s: (UNKNOWN_DB if meter.snr_db is None else meter.snr_db,)),
    "rate": ("messages an hour", lambda meter, of, now_s: (-meter.messages_an_hour(now_s),)),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`words` are looked for in ID, name and address; "" and False choose nothing."""

    words: str = ""
    commodity: str = ""
    assigned: str = ""
    silent: bool = False
    tampered: bool = False
    sort: str = "id"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """What an address asks for; what it does not know of is passed over."""
        commodity, assigned, sort = query.get("commodity", ""), query.get("assigned", ""), query.get("sort", "")
        return cls(
            words=" ".join("".join(c if c.isprintable() else " " for c in query.get("q", "")).split())[:LONGEST_SEARCH],
            commodity=commodity if commodity in COMMODITIES else "",
            assigned=assigned if assigned in ASSIGNED else "",
            silent="silent" in query,
            tampered="tampered" in query,
            sort=sort if sort in SORTS else "id",
        )

    def query(self, **changed: Any) -> str:
        """What comes after the path of an address: "" or a question mark and what is chosen."""
        chosen = replace(self, **changed)
        named = {"q": chosen.words, "commodity": chosen.commodity, "assigned": chosen.assigned}
        named |= {"silent": "1" if chosen.silent else "", "tampered": "1" if chosen.tampered else ""}
        named["sort"] = chosen.sort if chosen.sort != "id" else ""
        said = urlencode({name: value for name, value in named.items() if value})
        return f"?{said}" if said else ""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return replace(self, sort="id") == Wanted()

    @property
    def number(self) -> int | None:
        """The number that is looked for, if the words are one that a transmitter can have; 32 bits at most.

        >>> Wanted("99999999").number, Wanted("Calle 5").number, Wanted("99999999999").number, Wanted("0").number
        (99999999, None, None, None)
        """
        if not (self.words.isascii() and self.words.isdigit() and len(self.words) < 11):
            return None
        return int(self.words) if 0 < int(self.words) < 1 << 32 else None

    def takes(self, meter: Meter, of: Assignment | None, day_ago: int) -> bool:
        """Whether a meter, assigned as `of`, is among them; `day_ago` is the stamp of a day before now."""
        return (
            (not self.commodity or meter.commodity == self.commodity)
            and (not self.assigned or (of is not None) == (self.assigned == "yes"))
            and (not self.silent or meter.last_at < day_ago)
            and (not self.tampered or meter.tamper_changed_at is not None)
            and (not self.words or self.finds(meter.key.meter_id, of))
        )

    def takes_unheard(self, of: Assignment) -> bool:
        """Whether a meter that is assigned and was never heard is among them: of that nothing else is known."""
        return not (self.commodity or self.tampered or self.assigned == "no") and self.finds(of.meter_id, of)

    def finds(self, meter_id: int, of: Assignment | None) -> bool:
        """Whether each of the words is somewhere in ID, name or address."""
        text = folded(f"{meter_id} {of.name} {of.address}") if of else str(meter_id)
        return all(word in text for word in folded(self.words).split())

    def key(self, meter: Meter, of: Assignment | None, now_s: float) -> Key:
        """By which meters are put in order."""
        return (*SORTS[self.sort][1](meter, of, now_s), meter.key)


def folded(text: str) -> str:
    """A text as it is looked for: without case and accents.

    >>> folded("Ñuñoa, Álvarez 12")
    'nunoa, alvarez 12'
    """
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
