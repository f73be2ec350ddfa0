"""Whatever is sent to any address of the site, by who has logged in: no 5xx but "not just now", no traceback, no echo.

The addresses are those of the table of routes and the fields those of the templates, so that new pages are tried too.
"""

import logging
import os
import re
from collections.abc import Iterator
from importlib import resources
from urllib.parse import quote, urlencode

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.web.frame.frame import OWN
from appliance.web.parts import PACKAGE
from appliance.web.routes import ROUTES
from tests.web.filled import Filled, filled

EXAMPLES = settings(max_examples=10, suppress_health_check=list(HealthCheck))
FEW = settings(EXAMPLES, max_examples=4)
# Each takes a password's work, or a file's.
SLOW = {"/login", "/password", "/set-up/accounts", "/delivery/batches"} | {
    f"/system/keeping/{what}" for what in ("backup", "restore", "support")
}
MARK = "<qzx'\">"
KNOWN = {
    "protocol": ["scm"], "meter": ["60", "62-simulated", "90"], "meter_id": ["60", "90"], "kind": ["csv", "json"],
    "receiver": ["street"], "name": ["site.css", "street"], "what": ["program", "machine"],
}  # fmt: skip
ODD = [
    "", "0", "1", "-1", "60", "9" * 30, "1e999", "NaN", "\x00", "\r\nX: y", MARK, "ñandú\u202e🐑", "../../etc/passwd",
    "x" * 3000, "on", "2026-03-02", "00311.60", "912600000", "9999-99-99", "Infinity", "\ud800", "%s{0}{{7*7}}",
]  # fmt: skip
TYPES = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "multipart/form-data", "text/plain",
         "application/json", "x", "", "application/x-www-form-urlencoded; charset=utf-7"]  # fmt: skip


def routes() -> list[tuple[str, str]]:
    return [(route.method, route.path) for route in ROUTES if isinstance(route, web.RouteDef)]


def fields() -> list[str]:
    """The names of all fields of all forms."""
    texts = [
        path.read_text(encoding="utf-8")
        for package in (OWN, PACKAGE)
        for path in (resources.files(package) / "templates").iterdir()
        if path.is_file()
    ]
    return sorted({name for text in texts for name in re.findall(r'name="(\w+)"', text)})


class Faults(logging.Handler):
    """What was logged with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.told.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    # Whatever the pages may have a machine do, none of its programs is there to do it.
    programs = tmp_path_factory.mktemp("bin")
    for name in ("systemctl", "nmcli"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PATH", str(programs))
        with filled(tmp_path_factory.mktemp("site")) as one:
            yield one


@pytest.fixture
def faults() -> Iterator[Faults]:
    handler = Faults()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


TEXTS = st.sampled_from(ODD) | st.text(max_size=12)


def addresses(path: str) -> st.SearchStrategy[str]:
    """Paths of a route, some of which are another's or nobody's, with all kinds of questions."""
    pieces = re.split(r"(\{\w+(?::(?:[^{}]|\{[^{}]*\})*)?\})", path)
    made = []
    for piece in pieces:
        name, _, pattern = piece.strip("{}").partition(":")
        if not piece.startswith("{"):
            made.append(st.just(piece))
            continue
        sound = st.from_regex(pattern or "[^/{}]+", fullmatch=True).map(quoted)
        known = st.sampled_from(KNOWN[name]) if name in KNOWN else sound
        made.append(known | known | sound | TEXTS.map(quoted))
    names = (
        st.sampled_from([*fields(), "from", "to", "step", "before", "until", "lang", "cursor", "next", "group"]) | TEXTS
    )
    query = st.lists(st.tuples(names, TEXTS), max_size=3).map(
        lambda pairs: "?" + "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs) if pairs else ""
    )
    return st.tuples(st.tuples(*made).map("".join), query).map(lambda both: (both[0] + both[1])[:7000])


ODD_HEADS = (
    "", "", "Content-Type: text/plain; charset=none\r\n", "Content-Transfer-Encoding: base64\r\n",
    "Content-Encoding: gzip\r\n", "Content-Transfer-Encoding: none\r\n", "Content-Length: 7\r\n", "no header\r\n",
    "Content-Type: multipart/mixed; boundary=c\r\n", "Content-Length: -1\r\n",
)  # fmt: skip


def multipart(pairs: list[tuple[str, str]]) -> bytes:
    parts = []
    for name, value in pairs:
        head = f'Content-Disposition: form-data; name="{name}"; filename="{value[:40]}"\r\n'
        head += ODD_HEADS[len(value) % len(ODD_HEADS)]
        parts.append(f"--b\r\n{head}\r\n{value}\r\n".encode("utf-8", "replace"))
    return b"".join(parts) + b"--b--\r\n"


PAIRS = st.lists(st.tuples(st.sampled_from(fields()), TEXTS), max_size=8)
FORMS = PAIRS.map(lambda pairs: urlencode(pairs, errors="replace").encode())
BODIES = st.one_of(
    st.tuples(st.just(TYPES[0]), FORMS),
    st.tuples(st.just(TYPES[0]), FORMS),
    st.tuples(st.just(TYPES[1]), PAIRS.map(multipart)),
    st.tuples(st.sampled_from(TYPES), FORMS | PAIRS.map(multipart) | st.binary(max_size=60)),
    st.tuples(st.sampled_from(TYPES), st.sampled_from([b"", b"x" * 100_000, b"--b\r\n\r\n", b"--b--", b"{" * 5000])),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Accept_Language": TEXTS, "Last_Event_ID": TEXTS, "Range": TEXTS, "Content_Encoding": st.just("gzip"),
        "X_Forwarded_For": TEXTS, "If_None_Match": TEXTS, "Accept": TEXTS,
    },
).map(lambda told: {name: re.sub(r"[\r\n\x00\ud800]", "", value) for name, value in told.items()})  # fmt: skip


@pytest.mark.parametrize(("method", "path"), routes())
def test_nothing_breaks(site: Filled, faults: Faults, method: str, path: str) -> None:
    # A log-out ends one session, a new password all of them.
    site.log_in()

    @(FEW if path in SLOW or path.endswith("/events") else EXAMPLES)
    @given(address=addresses(path), body=BODIES if method == "POST" else st.just(("", b"")), headers=HEADERS)
    def ask(address: str, body: tuple[str, bytes], headers: dict[str, str]) -> None:
        answer = site.ask(method, address, body[1], Content_Type=body[0], **headers)
        assert answer.status < 500 or answer.status == 503, answer.body
        assert b"Traceback" not in answer.body
        assert MARK.encode() not in answer.body
        assert faults.told == []

    ask()
