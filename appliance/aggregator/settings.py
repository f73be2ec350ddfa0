"""The aggregator's settings: `aggregator.toml` in its directory, each wrong entry refused by name.

`init` writes the file from the fields below, so that each setting stands there with what it does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_type_hints

from appliance.errors import ConfigError
from appliance.settings import allowed, nearest, setting, settings_of, toml_document

FILE = "aggregator.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Where appliances deliver to, and operators open the pages."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on; * is every address of the machine.",
        pattern=r"\S+",
        words="an address or host name",
    )
    port: int = setting(8443, "TCP port to listen on; 0 takes a free one.", low=0, high=65535)
    names: tuple[str, ...] = setting(
        (),
        "Host names by which operators open the pages, beside this machine's own; appliances may use any.",
        pattern=r"[A-Za-z0-9.-]{1,253}",
        words="a list of host names",
    )
    plain: bool = setting(False, "Serve without TLS on other addresses than the loopback, too.")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where all is kept."""

    url: str = setting(
        "",
        "postgresql://user:password@host:5432/name; empty for SQLite in this directory.",
        pattern=".*",
        words="an address of a database, or empty",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM, from this directory on. Without them a proxy on this machine is to do it."""

    certificate: str = setting("", "The certificate, and those between it and its CA.", pattern=".*", words="a path")
    key: str = setting("", "Its private key.", pattern=".*", words="a path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings."""

    web: Web = Web()
    database: Place = Place()
    tls: Tls = Tls()


TABLES: dict[str, type] = {"web": Web, "database": Place, "tls": Tls}


def read(directory: Path) -> Settings:
    """The settings of an aggregator's directory. Raises ConfigError naming every entry that is wrong."""
    path = directory / FILE
    if not path.exists():
        hint = "Make it ready by 'appliance aggregator init', or name another one with --directory."
        raise ConfigError(f"{directory} is no aggregator's directory: it has no {FILE}", hint)
    try:
        return parse(toml_document(path))
    except ConfigError as fault:
        words = str(fault).removeprefix(f"{path}: ")
        raise ConfigError(f"{path}: {words}", ConfigError.hint) from fault


def parse(document: Mapping[str, Any]) -> Settings:
    """The settings of a TOML document. Raises ConfigError naming every entry that is wrong."""
    parts, wrong = {}, []
    for table, content in document.items():
        if table not in TABLES:
            wrong.append(f"[{table}] is not a table{nearest(table, TABLES)}")
        elif not isinstance(content, dict):
            wrong.append(f"{table} must be a table, written [{table}]")
        else:
            parts[table], found = settings_of(TABLES[table], content, table)
            wrong.extend(found)
    settings = Settings(**parts)
    if bool(settings.tls.certificate) != bool(settings.tls.key):
        wrong.append("[tls] needs both certificate and key")
    elif not (wrong or settings.tls.key or settings.web.plain or settings.web.is_loopback):
        wrong.append(
            f"web.host = {settings.web.host!r} without [tls] would be open to whoever listens in: set [tls] certificate"
            " and key, or leave TLS to a proxy on this machine and listen on 127.0.0.1, or say web.plain = true"
        )
    if wrong:
        raise ConfigError("; ".join(wrong))
    return settings


def written(**changed: Mapping[str, Any]) -> str:
    """A file that says what the settings do; all but those that are `changed`, by table, are left at their defaults."""
    lines = ["# Settings of the aggregator. A line that begins with # shows a default."]
    for table, kind in TABLES.items():
        lines += ["", f"# {kind.__doc__}", f"[{table}]"]
        hints = get_type_hints(kind)
        for about in fields(kind):
            value = changed.get(table, {}).get(about.name, about.default)
            lines.append(f"# {about.metadata['help']} ({allowed(hints[about.name], about.metadata)})")
            lines.append(f"{'# ' if value == about.default else ''}{about.name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"
