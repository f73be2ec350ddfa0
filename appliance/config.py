"""The settings: one TOML file read into frozen dataclasses, each wrong entry refused by name.

`read`, for the appliance that runs, keeps what can be used and tells what is wrong beside it: a wrong `[[receiver]]` is
left out, of `[site]` and `[web]` what is wrong gets its default. `load`, for commands on what is kept, does the same
without telling, and refuses a file only where it is not sure where readings belong. Both read what was set on the page
(`lasting.py`) after the file, once that says where the data lies.

Every setting is a field with its default, unit, limits and help beside it; `docs/configuration.md` is made
from these fields by `tests/test_config.py`, which fails when the two differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance import lasting, zones
from appliance.errors import ConfigError
from appliance.lasting import Lasting, default_name
from appliance.naming import MOST_NAME, MOST_PLACE
from appliance.settings import near, nearest, setting, settings_of, toml_document

# Of the arguments of a command; what is shorter stands everywhere.
SHORTEST_SECRET = 4
SEARCHED = (Path("appliance.toml"), Path("/etc/meter-appliance/appliance.toml"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the appliance is."""

    name: str = setting(
        "Meter appliance",
        "What the page is headed with, such as the street.",
        pattern=f".{{1,{MOST_NAME}}}",
        words=f"a text of at most {MOST_NAME} characters",
    )
    place: str = setting(
        "",
        "Where it hangs, for whoever has to find it: an address, a floor, coordinates. Shown on the page.",
        pattern=f".{{0,{MOST_PLACE}}}",
        words=f"a text of at most {MOST_PLACE} characters",
    )
    zone: str = setting(
        "",
        "The time zone in which the page tells times and days begin, by its name in the IANA Time Zone Database, such "
        "as `America/Santiago`. Empty for that of the machine.",
        pattern=".{0,64}",
        words="the name of a time zone such as America/Santiago, or empty",
        doubt=lambda name: zones.doubt(name) if name else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The page for the technician."""

    host: str = setting(
        "*",
        "Address to listen on; `*` is every address of the machine, IPv4 and IPv6.",
        pattern=r"\S+",
        words="an address or host name",
    )
    port: int = setting(8080, "TCP port to listen on; 0 takes a free one.", low=0, high=65535)
    names: tuple[str, ...] = setting(
        (),
        "Further host names by which the page is reached. Its addresses, `localhost`, the machine's own name and "
        "names under `.local` need not be listed; a request for any other name is refused.",
        pattern=r"[A-Za-z0-9.-]{1,253}",
        words="a list of host names",
    )
    tls_port: int | None = setting(
        None,
        "TCP port of the same page by HTTPS, with a certificate that the appliance makes itself; 0 for none. `auto` is "
        "8443 beside port 8080, 443 beside port 80, else none.",
        low=0,
        high=65535,
        none="auto",
    )
    first_password: str = setting(
        "",
        "Password of the first account, `technician`, taken when there is no account yet; without it one is made and "
        "printed once. Whoever has the card reads it here: once you have logged in, change it and remove this line.",
        pattern="(.{12,200})?",
        words="a text of 12 to 200 characters",
        secret=True,
    )
    open_to_read: bool = setting(
        False,
        "Show everybody who reaches the page what is heard, without log-in; what changes anything needs one all the "
        "same.",
    )

    @property
    def https_port(self) -> int:
        """The port of the page by HTTPS, 0 for none."""
        return {8080: 8443, 80: 443}.get(self.port, 0) if self.tls_port is None else self.tls_port

    @property
    def near_host(self) -> str:
        """The address at which a program on this machine reaches the page."""
        return {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where readings are kept."""

    directory: Path = setting(  # noqa: RUF009 - the field carries its documentation
        Path("data"),
        "Data directory, made if missing. A relative one starts where the program was started.",
        words="a path",
    )
    commit_interval_s: float = setting(
        50.0,
        "How long readings gather before they are written together: what a power cut can cost. "
        "Longer spares the card; a change of a tamper counter is written at once.",
        unit="s",
        low=0.1,
        high=60,
    )
    budget_mb: float | None = setting(
        None,
        "Most that the data directory may take. When it is reached the oldest history goes first: it is thinned to a "
        "reading a day, then dropped. `auto` leaves a twentieth of the file system free, at most 256 MB.",
        unit="MB",
        low=10,
        high=10_000_000,
        none="auto",
    )

    @property
    def budget_bytes(self) -> int | None:
        """The budget in bytes; None leaves it to the file system."""
        return None if self.budget_mb is None else round(self.budget_mb * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Where what was heard is delivered to. Without `aggregators` it waits to be fetched, or carried off on a stick."""

    aggregators: tuple[str, ...] = setting(
        (),
        "Addresses of the aggregator, the one to try first in front, such as `https://meters.example.org`. Plain "
        "`http` only to this machine itself.",
        pattern=r"https://[A-Za-z0-9.:\[\]-]{1,260}(/[!-~]{0,200})?|http://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?/?",
        words="a list of addresses that begin with https://",
    )
    aggregator_key: str = setting(
        "",
        "The aggregator's public key, as `appliance aggregator init` printed it: nothing else is believed.",
        pattern=r"([0-9a-f]{64})?",
        words="64 hexadecimal digits",
    )
    certificate: str = setting(
        "",
        "File with the certificate (PEM) of the aggregator, or of its own CA, or the certificate itself between "
        '`"""`; empty for those that the system knows.',
        pattern=r"[^\n]*|-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n -]{1,16000}",
        words="a path, or a certificate that begins with -----BEGIN CERTIFICATE-----",
        lines=True,
    )
    token: str = setting(
        "",
        "Word of the operator that approves this appliance at once; from `appliance aggregator token`.",
        pattern="[A-Z2-7]{0,64}",
        words="the token, of letters and digits",
        secret=True,
    )
    stick: str = setting(
        "",
        "Folder on which the system mounts the USB stick that is named for it, such as `/media/METERS`: whenever it is "
        "plugged in, what waits is put on it, and receipts are taken in. Empty for none.",
        pattern="(/.*)?",
        words="a path that begins with /, or empty",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A radio, or a command that stands in for one. Repeat the table for each."""

    name: str = setting(
        "radio",
        "What logs and the page call it; each needs its own: where none is given the second is `radio2`, and so on.",
        pattern=r"[A-Za-z0-9][A-Za-z0-9_. -]{0,31}",
        words="a text of at most 32 letters, digits, spaces and any of _ . -",
    )
    source: str = setting(
        "rtlsdr",
        "Where samples come from: `rtlsdr` (the only dongle), `rtlsdr:SERIAL`, `rtl_tcp://host:port`, "
        "`simulated`, or the path of a recording.",
        pattern=r"(?!-$).+",
        words="rtlsdr, rtlsdr:SERIAL, rtl_tcp://host:port, simulated or a path",
    )
    center_hz: int = setting(
        912_600_155, "Centre of the band that is heard.", unit="Hz", low=24_000_000, high=1_766_000_000
    )
    sample_rate_hz: int = setting(
        2_359_296, "Sample rate; the band that is heard is as wide.", unit="Hz", low=1_000_000, high=3_200_000
    )
    gain_db: float | None = setting(
        None, "Gain of the tuner; `auto` leaves it to the radio.", unit="dB", low=-10, high=60, none="auto"
    )
    ppm: int = setting(0, "Correction of the radio's crystal.", unit="10⁻⁶", low=-200, high=200)
    bias_tee: bool = setting(False, "Feed an antenna amplifier through the antenna socket.")
    protocols: tuple[str, ...] = setting(
        ("scm",), "Protocols to listen for.", pattern=r"[a-z0-9+]{1,16}", words="a list of names such as scm"
    )
    command: tuple[str, ...] = setting(
        (),
        "A program with its arguments to run in place of the appliance's own receiver. It prints the lines of "
        "`appliance listen`, or those of `rtlamr -format=json`; the radio settings above then have no effect.",
        pattern=r"[^\0]+",
        words="a list of texts",
    )
    silence_timeout_s: float | None = setting(
        None,
        "A receiver that prints no line for so long is ended and started again. `auto` is 30 s, and 600 s with "
        "`command`, for rtlamr prints nothing between messages.",
        unit="s",
        low=5,
        high=86_400,
        none="auto",
    )

    @property
    def untold(self) -> frozenset[str]:
        """What `command` is told, in whole and in part: any of it may be a password, so it is quoted nowhere."""
        parts = {part for word in self.command[1:] for part in (word, word.partition("=")[2])}
        return frozenset(part for part in parts if len(part) >= SHORTEST_SECRET)

    @property
    def silence_s(self) -> float:
        """The time-out in force."""
        return self.silence_timeout_s or (600.0 if self.command else 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings."""

    site: Site = Site()
    web: Web = Web()
    store: Store = Store()
    sync: Sync = Sync()
    receivers: tuple[Receiver, ...] = (Receiver(name="simulated", source="simulated"),)

    @property
    def demonstration(self) -> bool:
        """Nothing but the simulated neighbourhood is heard."""
        return bool(self.receivers) and all(r.source == "simulated" and not r.command for r in self.receivers)


@dataclass(frozen=True, slots=True)
class Wrong:
    """An entry that is wrong: the part that it keeps from working, and what is wrong with it and what is allowed.

    `part` is "receiver" and its name, the name of another table, "file" where nothing in it can be trusted, `DATA`
    where the data directory that it rightly names cannot be used, or `PAGE` for what was set on the page.
    """

    part: str
    words: str

    def __str__(self) -> str:
        """The words; with the name of the receiver, for there may be several."""
        return f"{self.part}: {self.words}" if self.part.startswith(f"{REPEATED} ") else self.words


@dataclass(frozen=True, slots=True)
class Draft:
    """What a file says: the settings that can be used, and what is wrong in it. `path` is None without a file.

    `lasting` is what was set on the page, which `config` has; `told` is what the file alone says, and whether that
    `has_receivers`.
    """

    path: Path | None
    config: Config
    wrong: tuple[Wrong, ...] = ()
    lasting: Lasting = field(default_factory=Lasting)
    told: Config = field(default_factory=Config)
    has_receivers: bool = False

    @property
    def keeps(self) -> bool:
        """Whether it is sure where readings belong, so that receiving and storing may start."""
        return not any(wrong.part in KEEPING for wrong in self.wrong)


TABLES: dict[str, type] = {"site": Site, "web": Web, "store": Store, "sync": Sync, "receiver": Receiver}
REPEATED = "receiver"
# What must be right before anything is kept or looked for: else it is not sure where readings belong.
DATA, PAGE = "data", "settings"
KEEPING = ("file", "store", DATA)


def load(path: Path | None = None) -> Config:
    """The settings of `path`, else of the first of `SEARCHED` that exists, else the defaults.

    A receiver that is set wrongly is no reason to refuse a backup: what is wrong elsewhere than in `KEEPING` is left
    out or at its default. Raises ConfigError naming the file and every entry of those that is wrong.
    """
    path = find(path)
    draft = _drafted(path, {} if path is None else toml_document(path))
    if words := [one.words for one in draft.wrong if one.part in KEEPING]:
        raise ConfigError(f"{path}: {'; '.join(words)}")
    return draft.config


def read(path: Path | None = None) -> Draft:
    """As `load`, but what is wrong in the file is told, not raised.

    Raises ConfigError when there is no such file as `path`.
    """
    path = find(path)
    try:
        return _drafted(path, {} if path is None else toml_document(path))
    except ConfigError as fault:
        if isinstance(fault.__cause__, FileNotFoundError):
            raise
        words = str(fault).removeprefix(f"{path}: ")
        return Draft(path, Config(receivers=()), (Wrong("file", words),))


def find(path: Path | None) -> Path | None:
    """The file to be read: `path`, else the first of `SEARCHED` that exists."""
    return path or next((p for p in SEARCHED if p.exists()), None)


def parse(document: Mapping[str, Any]) -> Config:
    """The settings of a TOML document. Raises ConfigError naming every entry that is wrong."""
    config, wrong = _examine(document)
    if wrong:
        raise ConfigError("; ".join(one.words for one in wrong))
    return config


def _drafted(path: Path | None, document: Mapping[str, Any]) -> Draft:
    """What a document says, with what was set on the page over it, where it is sure which data that is of."""
    told, wrong = _examine(document)
    draft = Draft(path, told, tuple(wrong), told=told, has_receivers=bool(document.get(REPEATED)))
    if not draft.keeps:
        return draft
    found, words = lasting.kept(told.store.directory, TABLES)
    config, wrong = _examine(found.over(document))
    return replace(draft, config=config, wrong=(*wrong, *(Wrong(PAGE, one) for one in words)), lasting=found)


def _examine(document: Mapping[str, Any]) -> tuple[Config, list[Wrong]]:
    """The settings that can be used, and what is wrong."""
    wrong: list[Wrong] = []
    parts: dict[str, Any] = {}
    for table, content in document.items():
        if table not in TABLES:
            # A table that was misspelt is taken for the one that was meant; one of another version is passed over.
            meant = near(table, TABLES) or table
            wrong.append(Wrong(meant, f"[{table}] is not a table{nearest(table, TABLES)}"))
        elif table != REPEATED:
            if isinstance(content, dict):
                parts[table], found = settings_of(TABLES[table], content, table)
                wrong.extend(Wrong(table, words) for words in found)
            else:
                wrong.append(Wrong(table, f"{table} must be a table, written [{table}]"))
        elif isinstance(content, list) and all(isinstance(entry, dict) for entry in content):
            parts["receivers"], found_here = _receivers(content)
            wrong.extend(found_here)
        else:
            wrong.append(Wrong(REPEATED, f"{table} must be a list of tables, each written [[{table}]]"))
    if (told := parts.get("sync")) and told.aggregators and not told.aggregator_key:
        wrong.append(Wrong("sync", "sync.aggregator_key is missing: `appliance aggregator init` prints it"))
        parts["sync"] = Sync()
    if any(one.part.split()[0] == REPEATED for one in wrong):
        # What was meant to be heard is not known: a simulated street in its place would be a lie.
        parts.setdefault("receivers", ())
    elif not parts.get("receivers"):
        parts.pop("receivers", None)
    return Config(**parts), wrong


def _receivers(content: list[dict[str, Any]]) -> tuple[tuple[Receiver, ...], list[Wrong]]:
    """The receivers that are set as they should be, and what is wrong with the others."""
    good: dict[str, Receiver] = {}
    wrong: list[Wrong] = []
    for position, entry in enumerate(content):
        default = default_name(position)
        receiver, found = settings_of(Receiver, {"name": default, **entry}, REPEATED)
        if receiver.name != entry.get("name"):
            receiver = replace(receiver, name=default)
        if receiver.name in good:
            found.append(f"receiver.name = {receiver.name!r} is used twice")
            # Its table's place tells it from the one that has the name.
            receiver = replace(receiver, name=f"number {position + 1}")
        if entry.get("command") and "source" in entry:
            found.append("receiver has both source and command: keep one")
        wrong.extend(Wrong(f"{REPEATED} {receiver.name}", words) for words in found)
        if not found:
            good[receiver.name] = receiver
    return tuple(good.values()), wrong
