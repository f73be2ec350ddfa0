import logging
import os
import socket
import threading
import wave
from datetime import UTC, datetime

import numpy as np
import pytest

from appliance.errors import InputError, UsageError
from appliance.radio import sigmf
from appliance.radio.sources import BLOCK_SAMPLES, SourceSettings, open_source
from appliance.radio.sources.samples import to_cu8

CODES = np.random.default_rng(5).integers(0, 256, 2 * (2 * BLOCK_SAMPLES + 777), np.uint8)


def read(path, **settings):
    source = open_source(SourceSettings(str(path), **settings))
    blocks = [(block.iq.copy(), block.lost) for block in source.blocks()]
    source.close()
    return source, np.concatenate([iq for iq, _ in blocks]), [(len(iq), lost) for iq, lost in blocks]


@pytest.mark.parametrize("name", ["a.cu8", "a.bin", "a", "a.CU8"])
def test_codes_in_blocks(tmp_path, name):
    (tmp_path / name).write_bytes(CODES.tobytes())
    source, iq, blocks = read(tmp_path / name)
    np.testing.assert_array_equal(to_cu8(iq), CODES)
    assert [size for size, _ in blocks] == [BLOCK_SAMPLES, BLOCK_SAMPLES, 777]
    assert source.total_samples == len(CODES) // 2


@pytest.mark.parametrize(
    ("extension", "kind", "scale"), [("cs16", "<i2", 32768), ("cf32", "<f4", 1), ("cs8", "i1", 128)]
)
def test_other_formats_by_extension_or_by_name(tmp_path, extension, kind, scale):
    values = np.array([1, -1, 0, 1], kind) if scale == 1 else np.array([scale // 2, -scale, 0, 1], kind)
    expected = values.astype(np.float32) / np.float32(scale)
    for path, settings in ((tmp_path / f"a.{extension}", {}), (tmp_path / "b", {"sample_format": extension})):
        path.write_bytes(values.tobytes())
        np.testing.assert_array_equal(read(path, **settings)[1].view(np.float32), expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_wav_brings_its_rate(tmp_path, bits):
    path = tmp_path / "a.wav"
    values = CODES[:2000] if bits == 8 else CODES[:4000].view("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((2, bits // 8, 2_048_000, 0, "NONE", ""))
        file.writeframes(values.tobytes())
    with path.open("ab") as file:
        file.write(b"LIST\x04\0\0\0more")
    source, iq, _ = read(path)
    assert source.rate_hz == 2_048_000
    assert len(iq) == 1000
    if bits == 8:
        np.testing.assert_array_equal(to_cu8(iq), values)


def test_sigmf_says_rate_centre_time_and_gaps(tmp_path):
    data = tmp_path / "a.sigmf-data"
    data.write_bytes(CODES.tobytes())
    start = datetime(2026, 1, 2, tzinfo=UTC)
    gaps = (sigmf.Gap(1000, 50), sigmf.Gap(BLOCK_SAMPLES, 60))
    sigmf.write(data, sigmf.Description("cu8", 2_048_000, 915_000_000, start, gaps=gaps, gain_db=30.0), "test")
    source, iq, blocks = read(data)
    assert (source.rate_hz, source.center_hz, source.start, source.gain_db) == (2_048_000, 915_000_000, start, 30.0)
    np.testing.assert_array_equal(to_cu8(iq), CODES)
    position, found = 0, []
    for size, lost in blocks:
        if lost:
            found.append(sigmf.Gap(position, lost))
        position += size
    assert found == list(gaps)


def test_what_is_told_outranks_the_metadata(tmp_path):
    data = tmp_path / "a.cu8"
    data.write_bytes(CODES.tobytes())
    sigmf.write(data, sigmf.Description("cu8", 2_048_000, 915_000_000), "test")
    source, _, _ = read(data, sample_rate_hz=1_024_000, told=frozenset({"sample_rate_hz"}))
    assert (source.rate_hz, source.center_hz) == (1_024_000, 915_000_000)


def test_a_torn_last_sample_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "a.cu8"
    path.write_bytes(CODES[:1001].tobytes())
    with caplog.at_level(logging.WARNING):
        assert len(read(path)[1]) == 500
    assert "bytes_left_out=1" in caplog.text


def test_values_that_are_no_numbers_are_reported(tmp_path, caplog):
    path = tmp_path / "a.cf32"
    path.write_bytes(np.array([np.nan, 0, np.inf, 1], "<f4").tobytes())
    with caplog.at_level(logging.WARNING):
        assert read(path)[1].tolist() == [0, 1j]
    assert "values=2" in caplog.text


def test_a_pipe_that_dribbles_and_pauses(tmp_path):
    path = tmp_path / "pipe.cu8"
    os.mkfifo(path)

    def feed():
        with path.open("wb", buffering=0) as pipe:
            for at in range(0, 9999, 101):
                pipe.write(CODES[at : min(at + 101, 9999)].tobytes())
                if at == 5050:
                    threading.Event().wait(0.6)

    thread = threading.Thread(target=feed)
    thread.start()
    _, iq, blocks = read(path)
    thread.join()
    np.testing.assert_array_equal(to_cu8(iq), CODES[:9998])
    assert (0, 0) in blocks


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.cu8", None, "No such file"),
        ("empty.cu8", b"", "is empty"),
        ("half.cu8", b"x", "is empty"),
        ("a.mp3", b"xxxx", "the extension '.mp3' does not tell the sample format"),
        ("a.wav", b"no wave at all, but long enough", "not readable as WAV"),
        (
            "b.wav",
            b"RIFF\xff\xff\xff\x7fWAVEJUNK\xff\xff\xff\xff" + bytes(100),
            "not readable as WAV: it ends too early",
        ),
        ("bad\0name", None, "cannot be opened"),
    ],
)
def test_files_that_are_of_no_use_are_named(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_source(SourceSettings(str(tmp_path) + "/" + name))
    assert said in str(caught.value)
    assert repr(name)[1:-1].split("\\")[0] in str(caught.value)


def test_a_wave_needs_a_file(tmp_path):
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    with path.open("r+b", buffering=0), pytest.raises(InputError, match="from a file only"):
        open_source(SourceSettings(str(path)))


def test_a_directory_a_socket_and_nothing(tmp_path):
    with pytest.raises(InputError, match="directory"):
        open_source(SourceSettings(str(tmp_path)))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(InputError, match="cannot be opened"):
            open_source(SourceSettings(str(tmp_path / "socket")))
    source = open_source(SourceSettings("/dev/null", sample_format="cu8"))
    with pytest.raises(InputError, match="not one sample came"):
        list(source.blocks())
    source.close()


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ("{", "not readable as SigMF"),
        ("[" * 100_000, "not readable as SigMF"),
        ("[]", "not usable as SigMF"),
        ('{"global": {"core:datatype": "cu8", "core:sample_rate": NaN}}', "core:sample_rate is nan"),
        ('{"global": {"core:datatype": "cu8", "meter_appliance:gain_db": NaN}}', "gain_db is nan"),
        ('{"global": {"core:datatype": "cu8"}, "captures": [{"core:frequency": 1e300}]}', "core:frequency is 1e+300"),
        (
            '{"global": {"core:datatype": "cu8"}, "captures": [{"core:sample_start": 1, "core:global_index": 1e30}]}',
            "samples are missing",
        ),
        ('{"global": {}}', "core:datatype"),
        ('{"global": {"core:datatype": "rf64_le"}}', "core:datatype is 'rf64_le'"),
        ('{"global": {"core:datatype": "cu8", "core:num_channels": 2}}', "core:num_channels is 2"),
        ('{"global": {"core:datatype": "cu8", "core:sample_rate": "fast"}}', "not usable as SigMF"),
        ('{"global": {"core:datatype": "cu8"}, "captures": [{"core:header_bytes": 4}]}', "core:header_bytes"),
    ],
)
def test_metadata_that_is_of_no_use_is_named(tmp_path, meta, said):
    (tmp_path / "a.sigmf-data").write_bytes(CODES.tobytes())
    (tmp_path / "a.sigmf-meta").write_text(meta)
    with pytest.raises(InputError) as caught:
        open_source(SourceSettings(str(tmp_path / "a.sigmf-data")))
    assert said in str(caught.value)
    assert "a.sigmf-meta" in str(caught.value)


def test_settings_that_cannot_be(tmp_path):
    (tmp_path / "a.cu8").write_bytes(CODES.tobytes())
    for settings, said in (({"sample_format": "cu9"}, "cu9"), ({"sample_rate_hz": 900_000}, "900000 Hz")):
        with pytest.raises(UsageError, match=said):
            open_source(SourceSettings(str(tmp_path / "a.cu8"), **settings))


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path):
    import tracemalloc

    peaks = []
    for blocks in (4, 40):
        path = tmp_path / f"{blocks}.cu8"
        with path.open("wb") as file:
            file.truncate(blocks * 2 * BLOCK_SAMPLES)
        tracemalloc.start()
        source = open_source(SourceSettings(str(path)))
        assert sum(len(block.iq) for block in source.blocks()) == blocks * BLOCK_SAMPLES
        source.close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
