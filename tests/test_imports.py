"""The rules of the house, read from the source by `ast`: who imports whom, third-party packages, sizes, names.

A rule is a line in one of the tables below; the checker itself is tested on small sources that break each.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What each part of the package may import of the others, by longest matching prefix.
# "everything" is for the two places that wire the parts together.
EVERYTHING = ("appliance",)
NOUNS = ("appliance.model", "appliance.errors")
MAY_IMPORT = {
    "appliance": ("appliance",),  # appliance/__init__.py
    "appliance.__main__": EVERYTHING,
    "appliance.cli": EVERYTHING,
    "appliance.app": (
        *NOUNS,
        *(
            f"appliance.{p}"
            for p in (
                *(
                    "supervisor",
                    "notify",
                    "memory",
                    "file_handles",
                    "recent_log",
                    "config",
                    "clock",
                    "timeline",
                    "zones",
                ),
                *("radio", "store", "web", "sync"),
            )
        ),
    ),
    "appliance.supervisor": NOUNS,
    "appliance.notify": (),
    "appliance.recent_log": (),
    "appliance.support": (*NOUNS, "appliance.config", "appliance.settings", "appliance.store"),
    "appliance.memory": (),
    "appliance.file_handles": (),
    "appliance.status": (*NOUNS, "appliance.config"),
    # Has the rules of the log-in and the store's accounts.
    "appliance.account_command": (
        *NOUNS,
        *(f"appliance.{p}" for p in ("account", "config", "console_accounts", "store", "web.frame.passwords")),
    ),
    "appliance.console_accounts": ("appliance.errors", "appliance.archive", "appliance.web.frame.passwords"),
    "appliance.doctor": (
        *NOUNS,
        *(f"appliance.{p}" for p in ("config", "status", "machine", "radio.attached", "radio.sources.usb")),
    ),
    "appliance.machine": ("appliance.kernel_clock",),
    "appliance.config": tuple(f"appliance.{p}" for p in ("errors", "settings", "lasting", "naming", "zones")),
    "appliance.lasting": ("appliance.errors", "appliance.settings", "appliance.durable"),
    "appliance.settings": ("appliance.errors",),
    "appliance.control": (*NOUNS, "appliance.config", "appliance.settings"),
    "appliance.clock": tuple(f"appliance.{p}" for p in ("timeline", "boot_order", "fixes", "kernel_clock")),
    "appliance.timeline": ("appliance.fixes", "appliance.boot_order"),
    "appliance.boot_order": ("appliance.fixes",),
    "appliance.fixes": (),
    "appliance.zones": (),
    "appliance.naming": (),
    "appliance.kernel_clock": (),
    "appliance.model": (),
    "appliance.errors": (),
    "appliance.assignment": (),
    "appliance.account": ("appliance.errors",),
    "appliance.certificate": ("appliance.errors", "appliance.durable"),
    "appliance.tamper": ("appliance.model",),
    "appliance.wireless": (),
    "appliance.durable": (),
    "appliance.rtlamr": ("appliance.model",),
    "appliance.progress": (),
    "appliance.archive": ("appliance.errors",),
    "appliance.radio": (
        *NOUNS,
        *(f"appliance.{p}" for p in ("clock", "control", "config", "durable", "rtlamr", "progress")),
    ),
    "appliance.radio.protocols": NOUNS,
    "appliance.radio.detect": (*NOUNS, "appliance.radio.protocols", "appliance.radio.geometry"),
    "appliance.radio.demodulate": (
        *NOUNS,
        "appliance.radio.protocols",
        "appliance.radio.geometry",
        "appliance.radio.detect",
    ),
    "appliance.store": (
        *NOUNS,
        "appliance.account",
        "appliance.assignment",
        "appliance.archive",
        "appliance.durable",
        "appliance.clock",
        "appliance.timeline",
        "appliance.fixes",
        "appliance.zones",
        "appliance.config",
        "appliance.rtlamr",
        "appliance.progress",
    ),
    "appliance.sync": (
        *NOUNS,
        "appliance.archive",
        "appliance.assignment",
        "appliance.durable",
        "appliance.progress",
        "appliance.clock",
        "appliance.timeline",
        "appliance.config",
        "appliance.store",
    ),
    "appliance.web": (
        *NOUNS,
        # What a person may ask of a receiver, and what came of it; neither imports numpy.
        "appliance.control",
        "appliance.radio.controls",
        "appliance.radio.captures",
        "appliance.radio.attached",
        "appliance.lasting",
        "appliance.settings",
        "appliance.wireless",
        "appliance.zones",
        "appliance.account",
        "appliance.archive",
        "appliance.certificate",
        "appliance.machine",
        "appliance.tamper",
        "appliance.assignment",
        "appliance.clock",
        "appliance.timeline",
        "appliance.config",
        "appliance.recent_log",
        "appliance.store",
        "appliance.support",
        "appliance.sync",
        "appliance.supervisor",
    ),
    "appliance.web.frame": (*NOUNS, "appliance.account", "appliance.zones"),
    # Has appliances of its own, so it has what they have.
    "appliance.aggregator.loadtest": (
        *NOUNS,
        "appliance.certificate",
        "appliance.durable",
        "appliance.file_handles",
        "appliance.aggregator",
        *(f"appliance.sync.{p}" for p in ("envelope", "batch", "pack", "receipt", "identity", "transport")),
    ),
    "appliance.aggregator": (
        *NOUNS,
        "appliance.archive",
        "appliance.certificate",
        "appliance.console_accounts",
        "appliance.durable",
        "appliance.file_handles",
        "appliance.progress",
        "appliance.settings",
        "appliance.assignment",
        "appliance.naming",
        *(
            f"appliance.sync.{p}"
            for p in ("envelope", "batch", "unpack", "receipt", "answer", "assignments", "identity", "keyfile", "pull")
        ),
        # A bucket of tokens, which knows of no store.
        "appliance.store.limits",
        "appliance.web.frame",
    ),
}

# The only places that may import a package from outside the standard library, at any level of a module.
THIRD_PARTY = {
    "numpy": ("appliance.radio",),
    "scipy": ("appliance.radio",),
    "rtlsdr": ("appliance.radio.sources",),
    "pyrtlsdrlib": ("appliance.radio.sources",),
    "aiosqlite": ("appliance.store",),
    "sqlite3": ("appliance.store",),
    "cryptography": tuple(f"appliance.{p}" for p in ("archive", "certificate", "sync", "web.frame", "aggregator")),
    "aiohttp": ("appliance.web", "appliance.sync", "appliance.aggregator"),
    "jinja2": ("appliance.web.frame",),
    "babel": ("appliance.web.frame",),
    "prometheus_client": ("appliance.web",),
    "sqlalchemy": ("appliance.aggregator",),
    "alembic": ("appliance.aggregator",),
    "asyncpg": ("appliance.aggregator",),
}

LONGEST_FILE = 400
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def imported(module: str, is_package: bool, tree: ast.Module, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, lazy imports included; names of `known` modules in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if is_package else module.split(".")[:-1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in known else base


def violations(module: str, source: str, *, is_package: bool = False, known: frozenset[str] = frozenset()) -> list[str]:
    """What `source`, being `module`, does against the tables above."""
    tree = ast.parse(source)
    found = []
    allowed = MAY_IMPORT[max((prefix for prefix in MAY_IMPORT if within(module, prefix)), key=len)]
    own = max((p for p in MAY_IMPORT if within(module, p)), key=len)
    for line, name in imported(module, is_package, tree, known):
        top = name.split(".")[0]
        if top == "appliance":
            if name != "appliance" and not within(name, own) and not any(within(name, prefix) for prefix in allowed):
                found.append(f"{module}:{line} imports {name}; it may import {', '.join(allowed) or 'nothing'}")
        elif top in THIRD_PARTY:
            if not any(within(module, place) for place in THIRD_PARTY[top]):
                found.append(f"{module}:{line} imports {top}, which belongs in {', '.join(THIRD_PARTY[top])}")
        elif top not in sys.stdlib_module_names:
            found.append(f"{module}:{line} imports {top}, which no rule allows anywhere")
    lines = len(source.splitlines())
    docstring = ast.get_docstring(tree) or ""
    if lines > LONGEST_FILE and "lines" not in docstring:
        found.append(f"{module} has {lines} lines: split it, or say in its docstring why it has so many lines")
    if not docstring and source.strip():
        found.append(f"{module} has no docstring")
    if drawer := DRAWERS.intersection(word for part in module.split(".") for word in part.split("_")):
        found.append(f"{module} is a drawer called {drawer.pop()}: name the idea it holds")
    return list(dict.fromkeys(found))


def modules() -> dict[str, Path]:
    paths = sorted((ROOT / "appliance").rglob("*.py"))
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=modules())
def test_the_house_is_in_order(module: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    found = violations(module, source, is_package=path.name == "__init__.py", known=frozenset(modules()))
    assert not found, "\n".join(found)


def test_each_package_is_in_the_table() -> None:
    parts = {m for m in modules() if m.count(".") == 1}
    assert parts <= set(MAY_IMPORT), "say in MAY_IMPORT what the new part may import"


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("appliance.radio.task", "from appliance.store import writer", "imports appliance.store"),
        ("appliance.radio.task", "from appliance import web", "imports appliance.web"),
        ("appliance.radio.task", "def f():\n    import appliance.sync.batch", "imports appliance.sync.batch"),
        ("appliance.radio.task", "from ..store.writer import Writer", "imports appliance.store.writer"),
        ("appliance.radio.sources", "from ...store import writer", "imports appliance.store"),
        ("appliance.store.writer", "from appliance.web import routes", "imports appliance.web"),
        ("appliance.sync.task", "import appliance.web.routes", "imports appliance.web.routes"),
        ("appliance.aggregator.ingest", "from appliance.sync.outbox import Outbox", "imports appliance.sync.outbox"),
        ("appliance.app", "from appliance.aggregator import ingest", "imports appliance.aggregator"),
        ("appliance.aggregator.server", "from appliance.web.site import serving", "imports appliance.web.site"),
        ("appliance.web.frame.errors", "from appliance.web.parts import PARTS", "imports appliance.web.parts"),
        ("appliance.model", "from appliance.errors import ConfigError", "imports appliance.errors"),
        ("appliance.radio.detect", "from appliance.radio.receiver import Receiver", "imports appliance.radio.receiver"),
        ("appliance.web.live", "import numpy as np", "imports numpy"),
        ("appliance.radio.receiver", "if x:\n    import rtlsdr", "imports rtlsdr"),
        ("appliance.web.live", "import aiosqlite", "imports aiosqlite"),
        ("appliance.web.live", "import sqlite3", "imports sqlite3"),
        ("appliance.radio.task", "from aiohttp import web", "imports aiohttp"),
        ("appliance.store.writer", "import sqlalchemy.orm", "imports sqlalchemy"),
        ("appliance.web.live", "import requests", "no rule allows"),
        ("appliance.clock", "#\n" * 401, "split it"),
        ("appliance.radio.receiver_utils", "", "drawer"),
        ("appliance.common", "", "drawer"),
        ("appliance.clock", "x = 1", "no docstring"),
    ],
)
def test_the_checker_finds(module: str, source: str, complaint: str) -> None:
    known = frozenset({"appliance.web", "appliance.store", "appliance.aggregator"})
    found = violations(module, source, is_package=module.endswith("sources"), known=known)
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("appliance.radio.receiver", '"""."""\nimport numpy as np\nfrom appliance.radio.protocols import scm'),
        (
            "appliance.radio.sources.dongle",
            '"""."""\nfrom rtlsdr import RtlSdr\nfrom . import Block\nfrom ..detect import f',
        ),
        ("appliance.app", '"""."""\nfrom appliance import radio, store\nimport asyncio'),
        ("appliance.web.views.live", '"""."""\nfrom appliance import __version__\nfrom ..routes import table'),
        ("appliance.clock", '"""Long, since a table of 500 lines is one idea."""\n' + "#\n" * 500),
    ],
)
def test_the_checker_lets_pass(module: str, source: str) -> None:
    known = frozenset({"appliance.radio", "appliance.store"})
    assert violations(module, source, known=known) == []
