"""`appliance status` against servers that are healthy, not, something else, or not there."""

import http.server
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from appliance.config import Web
from appliance.errors import NotRunning
from appliance.status import EXIT_CODES, report

HEALTH: dict[str, Any] = {
    "state": "degraded", "version": "0.1.0", "simulated": False, "uptime_s": 90_061, "meters": 12,
    "readings_waiting": 3, "readings_lost": 0,
    "parts": {
        "store": {"state": "healthy", "reason": "", "hint": "", "failures": 0},
        "receiver street": {
            "state": "degraded", "reason": "no dongle found", "hint": "Plug the radio in.", "failures": 4,
        },
    },
    "receivers": [{
        "name": "street", "source": "rtlsdr", "simulated": False, "state": "retrying", "reason": "no dongle found",
        "restarts": 4, "messages": 1234, "noise_floor_dbfs": -52.34, "dropped_samples": 0, "clipped": 0.0,
    }],
    "storage": {
        "bytes_used": 2_500_000, "bytes_budget": 6_000_000_000, "bytes_free": 7_000_000_000, "segments": 4,
        "damaged_segments": 0, "readings_waiting": 3, "readings_lost": 0, "last_commit_age_s": 12.0,
        "oldest_utc_ms": 0, "trouble": "the card is full",
    },
    "clock": {"source": "ntp", "uncertainty_ms": 250},
}  # fmt: skip
Serve = Callable[[bytes, int], Web]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answers each request with the given body and status."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(body: bytes, status: int) -> Web:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/healthz"
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,)).start()
        return Web(host="127.0.0.1", port=servers[-1].server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("state", "code"), EXIT_CODES.items())
def test_the_state_is_the_exit_code(serve: Serve, state: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    out = io.StringIO()
    web = serve(json.dumps(HEALTH | {"state": state}).encode(), 503 if state == "failed" else 200)
    assert report(web, out) == code
    assert out.getvalue().startswith(f"{state}: version 0.1.0, running for 1 d 1 h\n")


def test_the_words(serve: Serve) -> None:
    out = io.StringIO()
    report(serve(json.dumps(HEALTH).encode(), 200), out)
    assert out.getvalue() == (
        "degraded: version 0.1.0, running for 1 d 1 h\n"
        "\nParts\n"
        "  store: healthy\n"
        "  receiver street: degraded (failed 4 times): no dongle found\n"
        "    Plug the radio in.\n"
        "\nReceivers\n"
        "  street (rtlsdr): retrying: no dongle found\n"
        "    1234 messages, 4 restarts, noise floor -52.3 dBFS\n"
        "\nReadings\n"
        "  12 meters known\n"
        "  3 readings waiting to be written, 0 lost\n"
        "\nStorage\n"
        "  2.5 MB of 6.0 GB used, 7.0 GB free\n"
        "  4 segments of history, 0 damaged\n"
        "  last written 12 s ago\n"
        "  trouble: the card is full\n"
        "\nClock\n"
        "  by NTP, at most 0.25 s off\n"
    )


def test_without_store_and_clock(serve: Serve) -> None:
    out = io.StringIO()
    report(serve(json.dumps(HEALTH | {"storage": None, "clock": None, "receivers": []}).encode(), 200), out)
    assert "Receivers\n  none\n" in out.getvalue()
    assert "Clock" not in out.getvalue()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"state": "healthy"}', b'{"state": [], "parts": {}}', b"[" * 5000]
)
def test_something_else_at_the_port(serve: Serve, body: bytes) -> None:
    with pytest.raises(NotRunning, match="is no appliance"):
        report(serve(body, 200), io.StringIO())


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotRunning, match=f"no appliance answers at 127.0.0.1:{port}: Connection refused"):
        report(Web(port=port), io.StringIO())
    with pytest.raises(NotRunning, match="port is 0"):
        report(Web(port=0), io.StringIO())


def test_what_talks_no_http_and_what_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.status.ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        web = Web(host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(NotRunning, match="does not answer within"):
            report(web, io.StringIO())
        monkeypatch.setattr("appliance.status.ANSWER_S", 20)

        def talk() -> None:
            server.accept()[0].close()
            one, _ = server.accept()
            one.recv(1000)
            one.sendall(b"\x00\x01\x02 no HTTP\r\n\r\n")
            one.close()

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(NotRunning):
            report(web, io.StringIO())
        thread.join(20)


@pytest.mark.parametrize(
    ("host", "near"), [("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.168.1.5", "192.168.1.5")]
)
def test_where_a_program_of_this_machine_finds_the_page(host: str, near: str) -> None:
    assert Web(host=host).near_host == near
