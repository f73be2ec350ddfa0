"""What is set on the page: kept in `settings.toml` in the data directory, and read after the deployer's file.

That file is the deployer's, on a card that may be read-only, and is never written. What is set on the page comes before
it, entry by entry, and can be taken back. Only what the page offers can be set here: nothing that decides where data
lies, which program runs, who is listened to, or which file is read.

Of the receivers in the file those settings here count that have its name; only where the file has none are there
receivers of the page's own. A receiver that is a command stays one.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from appliance.durable import write
from appliance.errors import ConfigError
from appliance.settings import settings_of, toml_document

FILE = "settings.toml"
OFFERED: Mapping[str, tuple[str, ...]] = {
    "site": ("name", "place", "zone"),
    "sync": ("aggregators", "aggregator_key", "certificate", "token"),
    "receiver": ("source", "center_hz", "gain_db", "ppm"),
}
# No path: the page is not to have the receiver read the files of the machine.
SOURCE = re.compile(r"rtlsdr(:[!-~]{1,64})?|rtl_tcp://[A-Za-z0-9.:\[\]_-]{1,260}|simulated")
CERTIFICATE = "-----BEGIN CERTIFICATE-----"
HEAD = "# Set on the page of the appliance, and written anew whenever it is set there: see docs/configuration.md.\n"

_REPEATED = "receiver"
_NAME = re.compile(r"[a-z]{1,20}")
_LONGEST_WHO = 40

Entry = Mapping[str, Any]


class Made(NamedTuple):
    """Since when, a stamp of the clock, and by whom it is set as it is."""

    at: int
    who: str


@dataclass(frozen=True, slots=True)
class Lasting:
    """What is set, as TOML has it; `receivers` by name.

    `made` tells of "site", "sync" and "receiver NAME"; `stays` has the steps of the set-up that were passed over.
    """

    site: Entry = field(default_factory=dict)
    sync: Entry = field(default_factory=dict)
    receivers: Mapping[str, Entry] = field(default_factory=dict)
    made: Mapping[str, Made] = field(default_factory=dict)
    stays: frozenset[str] = frozenset()

    def of(self, part: str) -> Entry:
        """What is set of "site", "sync" or "receiver NAME"."""
        if part in ("site", "sync"):
            return self.site if part == "site" else self.sync
        return self.receivers.get(part.removeprefix(f"{_REPEATED} "), {})

    def having(self, part: str, entries: Entry, made: Made) -> "Lasting":
        """The same with these entries, and no others, for a part; with none of them the file's hold again."""
        told = {**self.made, part: made}
        if not entries:
            del told[part]
        if part == "site":
            return replace(self, site=dict(entries), made=told)
        if part == "sync":
            return replace(self, sync=dict(entries), made=told)
        name = part.removeprefix(f"{_REPEATED} ")
        kept = {known: entry for known, entry in self.receivers.items() if known != name or entries}
        return replace(self, receivers=kept | ({name: dict(entries)} if entries else {}), made=told)

    def over(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document of the file, with what is set here in the place of what stands there."""
        merged = dict(document)
        for table, own in (("site", self.site), ("sync", self.sync)):
            told = document.get(table, {})
            # What is no table is for its reader to refuse.
            if own and isinstance(told, dict):
                merged[table] = {**told, **own}
        told = document.get(_REPEATED, [])
        if isinstance(told, list) and all(isinstance(entry, dict) for entry in told):
            receivers = list(self._over(told) if told else self._own())
            if receivers:
                merged[_REPEATED] = receivers
        return merged

    def _over(self, told: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for position, entry in enumerate(told):
            name = entry.get("name", default_name(position))
            own = dict(self.receivers.get(name, {})) if isinstance(name, str) else {}
            if "command" in entry:
                own.pop("source", None)
            yield {**entry, **own}

    def _own(self) -> Iterator[dict[str, Any]]:
        for name, own in self.receivers.items():
            if "source" in own:
                yield {"name": name, **own}

    def text(self) -> str:
        """As it stands in the file."""
        lines = [HEAD]
        if self.stays:
            lines.append(f"stays = {_value(sorted(self.stays))}\n")
        for head, entries in (("[site]", self.site), ("[sync]", self.sync)):
            lines += _table(head, entries)
        for name, entries in self.receivers.items():
            lines += _table(f"[[{_REPEATED}]]", {"name": name, **entries})
        for part, made in self.made.items():
            lines += _table(f"[made.{_value(part)}]", made._asdict())
        return "".join(lines)


def default_name(position: int) -> str:
    """The name of a receiver that has none, by its place in the file."""
    return "radio" if position == 0 else f"radio{position + 1}"


def keep(directory: Path, lasting: Lasting) -> None:
    """Put it on the card for certain: a power cut leaves what was set before, or this. Raises OSError."""
    write(directory / FILE, lasting.text().encode())


def kept(directory: Path, tables: Mapping[str, type]) -> tuple[Lasting, list[str]]:
    """What is set, and what is wrong in the file, which is left out. `tables` are all settings that there are."""
    path = directory / FILE
    try:
        document = toml_document(path)
    except ConfigError as fault:
        is_none = isinstance(fault.__cause__, FileNotFoundError | NotADirectoryError)
        return Lasting(), [] if is_none else [str(fault)]
    reader = _Reader(tables)
    lasting = reader.lasting(document)
    return lasting, [f"{path}: {words}" for words in reader.wrong]


class _Reader:
    """Reads a document, entry by entry; what is `wrong` is left out."""

    def __init__(self, tables: Mapping[str, type]) -> None:
        self._tables = tables
        self.wrong: list[str] = []

    def lasting(self, document: Mapping[str, Any]) -> Lasting:
        found = Lasting()
        for table, content in document.items():
            if table == "stays":
                found = replace(found, stays=self._stays(content))
            elif table == "made":
                found = replace(found, made=self._made(content))
            elif table not in OFFERED:
                self.wrong.append(f"[{table}] cannot be set here; there are {', '.join(OFFERED)}")
            elif table == _REPEATED:
                found = replace(found, receivers=self._receivers(content))
            elif isinstance(content, dict):
                entries = self._entries(table, content)
                found = replace(found, site=entries) if table == "site" else replace(found, sync=entries)
            else:
                self.wrong.append(f"{table} must be a table, written [{table}]")
        return found

    def _entries(self, table: str, content: Mapping[str, Any]) -> Entry:
        good = {}
        for key, value in content.items():
            words = self._trouble(table, key, value)
            self.wrong += words
            if not words:
                good[key] = value
        return good

    def _trouble(self, table: str, key: str, value: Any) -> list[str]:
        known = {f.name for f in fields(self._tables[table])}
        if key in known and key not in OFFERED[table]:
            return [f"{table}.{key} cannot be set here; there are {', '.join(OFFERED[table])}"]
        found = settings_of(self._tables[table], {key: value}, table)[1]
        if not found and key == "source" and not SOURCE.fullmatch(value):
            return [f"{table}.{key} = {value!r:.60} must be rtlsdr, rtlsdr:SERIAL, rtl_tcp://host:port or simulated"]
        if not found and key == "certificate" and value and not value.startswith(CERTIFICATE):
            return [f"{table}.{key} must be a certificate (PEM), not a file"]
        return found

    def _receivers(self, content: Any) -> Mapping[str, Entry]:
        if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
            self.wrong.append(f"{_REPEATED} must be a list of tables, each written [[{_REPEATED}]]")
            return {}
        good: dict[str, Entry] = {}
        for entry in content:
            words = settings_of(self._tables[_REPEATED], {"name": entry.get("name")}, _REPEATED)[1]
            if not words and entry["name"] in good:
                words = [f"{_REPEATED}.name = {entry['name']!r} is used twice"]
            self.wrong += words
            if not words:
                good[entry["name"]] = self._entries(_REPEATED, {k: v for k, v in entry.items() if k != "name"})
        return good

    def _stays(self, content: Any) -> frozenset[str]:
        if isinstance(content, list) and all(isinstance(one, str) and _NAME.fullmatch(one) for one in content):
            return frozenset(content)
        self.wrong.append("stays must be a list of steps of the set-up")
        return frozenset()

    def _made(self, content: Any) -> Mapping[str, Made]:
        good = {}
        for part, made in content.items() if isinstance(content, dict) else ():
            match made:
                case {"at": int(at), "who": str(who)} if 0 <= at < 2**63 and who.isprintable():
                    good[part] = Made(at, who[:_LONGEST_WHO])
                case _:
                    self.wrong.append(f"made.{part} must have at, a stamp, and who")
        return good


def _table(head: str, entries: Entry) -> list[str]:
    return [f"\n{head}\n", *(f"{key} = {_value(value)}\n" for key, value in entries.items())] if entries else []


def _value(value: Any) -> str:
    """A text, a number, or a list of texts, as TOML writes it. JSON writes them alike, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
