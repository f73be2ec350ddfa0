"""rtl_tcp as client, against a real socket on 127.0.0.1 that plays the server and misbehaves."""

import socket
import struct
import threading
from contextlib import closing, contextmanager, suppress

import numpy as np
import pytest

from appliance.errors import SourceLost, SourceUnavailable, UsageError
from appliance.radio.sources import BLOCK_SAMPLES, SourceSettings, open_source
from appliance.radio.sources import rtl_tcp as module
from appliance.radio.sources.samples import to_cu8

HEADER = b"RTL0" + struct.pack(">II", 5, 29)
CODES = np.random.default_rng(3).integers(0, 256, 700_000, np.uint8)


@contextmanager
def server(serve):
    """Yields the address; `serve(connection)` runs for each client that comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept():
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                with closing(connection):
                    with suppress(OSError):
                        serve(connection)
                        # Hanging up with commands unread would take back what is still under way.
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(100):
                            pass

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"rtl_tcp://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive()


def read_all(source):
    """What came until the fault, as codes, the samples lost, and the fault."""
    got, lost = [], 0
    try:
        for block in source.blocks():
            got.append(to_cu8(block.iq))
            lost += block.lost
    except SourceLost as fault:
        return np.concatenate(got) if got else np.empty(0, np.uint8), lost, fault
    finally:
        source.close()
    raise AssertionError("a server has no end")


@pytest.mark.parametrize("pieces", [1, 3, 511, 65_536])
def test_samples_keep_their_alignment_whatever_the_network_makes_of_them(pieces):
    codes = CODES[: 5_000 * pieces][:700_000]

    def serve(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (HEADER[:1], HEADER[1:7], HEADER[7:]):
            connection.sendall(part)
        for at in range(0, len(codes), pieces):
            connection.sendall(codes[at : at + pieces].tobytes())

    with server(serve) as address:
        source = open_source(SourceSettings(address))
        assert "R820T, 29 gains" in source.description
        got, lost, fault = read_all(source)
    np.testing.assert_array_equal(got, codes[: len(codes) // 2 * 2])
    assert lost == 0
    assert fault.retryable


def test_the_settings_are_sent_as_rtl_tcp_wants_them():
    received = bytearray()
    complete = threading.Event()

    def serve(connection):
        connection.sendall(HEADER)
        while len(received) < 35:
            received.extend(connection.recv(100))
        complete.set()

    settings = {"sample_rate_hz": 2_400_000, "center_hz": 912_600_155, "gain_db": 40.2, "ppm": -3, "bias_tee": True}
    with server(serve) as address:
        source = open_source(SourceSettings(address, **settings))
        assert complete.wait(10)
        source.close()
    commands = [struct.unpack(">BI", received[at : at + 5]) for at in range(0, 35, 5)]
    assert commands == [(2, 2_400_000), (5, 2**32 - 3), (1, 912_600_155), (8, 0), (3, 1), (4, 402), (14, 1)]


def test_what_is_set_while_it_sends_goes_to_the_server_and_what_came_before_is_dropped():
    received = bytearray()
    told = threading.Event()

    def serve(connection):
        connection.sendall(HEADER + CODES.tobytes())
        while len(received) < 35 + 30:
            received.extend(connection.recv(100))
        connection.sendall(CODES.tobytes())
        told.set()

    with server(serve) as address:
        source = open_source(SourceSettings(address, sample_rate_hz=1_000_000, gain_db=39))
        assert source.gain_db == 38.6
        assert len(next(source.blocks()).iq)
        settings = SourceSettings(address, sample_rate_hz=1_000_000, center_hz=911_000_000, gain_db=48.9, ppm=2)
        source.tune(settings)
        assert (source.center_hz, source.gain_db) == (911_000_000, 49.6)
        assert told.wait(10)
        got, lost, _ = read_all(source)
    commands = [struct.unpack(">BI", received[at : at + 5]) for at in range(35, 65, 5)]
    assert commands == [(5, 2), (1, 911_000_000), (8, 0), (3, 1), (4, 496), (14, 0)]
    assert lost >= 250_000
    assert lost + len(got) // 2 + BLOCK_SAMPLES == len(CODES)


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no rtl_tcp server: it began with b'SSH-2.0-Open'"),
        (b"", "is no rtl_tcp server: it began with b''"),
        (HEADER[:7], "is no rtl_tcp server"),
        (b"RTL", "is no rtl_tcp server"),
    ],
)
def test_another_program_at_that_port(greeting, said):
    with server(lambda connection: connection.sendall(greeting)) as address:
        with pytest.raises(SourceUnavailable, match=None) as caught:
            open_source(SourceSettings(address))
        assert said in str(caught.value)


def test_a_server_that_is_taken_by_another_client(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    with server(lambda connection: connection.recv(1)) as address:
        with pytest.raises(SourceUnavailable, match="does not greet") as caught:
            open_source(SourceSettings(address))
        assert "one program at a time" in caught.value.hint


def test_nobody_is_listening():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceUnavailable, match="no connection to"):
        open_source(SourceSettings(f"rtl_tcp://127.0.0.1:{port}"))


def test_a_server_that_falls_silent(monkeypatch):
    monkeypatch.setattr(module, "STALL_S", 0.3)
    ended = threading.Event()

    def serve(connection):
        connection.sendall(HEADER + CODES[:1001].tobytes())
        ended.wait(10)

    with server(serve) as address:
        got, _, fault = read_all(open_source(SourceSettings(address)))
        ended.set()
    np.testing.assert_array_equal(got, CODES[:1000])
    assert "sends no samples" in str(fault)


def test_a_slow_reader_does_not_hold_up_the_server_and_is_told_what_it_missed():
    sent = threading.Event()
    total = 24 * 2**20

    def serve(connection):
        connection.sendall(HEADER)
        for _ in range(total // 2**20):
            connection.sendall(CODES[: 2**19].tobytes() * 2)
        sent.set()

    with server(serve) as address:
        source = open_source(SourceSettings(address))
        blocks = source.blocks()
        assert sent.wait(30)
        got = lost = 0
        with suppress(SourceLost):
            for block in blocks:
                got += len(block.iq)
                lost += block.lost
        source.close()
    assert lost > 0
    assert got + lost <= total // 2


@pytest.mark.parametrize("spec", ["rtl_tcp://", "rtl_tcp:host", "rtl_tcp://host:99999", "rtl_tcp://host:port"])
def test_an_address_that_is_none(spec):
    with pytest.raises(UsageError, match="no address"):
        open_source(SourceSettings(spec))


def test_closing_ends_the_thread_and_may_be_repeated():
    with server(lambda connection: (connection.sendall(HEADER), connection.recv(100), connection.recv(1))) as address:
        source = open_source(SourceSettings(address))
        source.close()
        source.close()
    assert not any(thread.name == "rtl_tcp" for thread in threading.enumerate())
