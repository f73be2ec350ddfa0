"""`appliance simulate FILE`: a neighbourhood into a recording, with its SigMF metadata and its truth beside it.

FILE holds cu8 samples; FILE.truth.jsonl one JSON object a line for each message that is whole in the recording,
by time: `sample` of its first bit, `time`, what it says (`meter_id`, `endpoint_type`, `tamper_phy`, `tamper_enc`,
`consumption`), and how it was sent: `frequency_hz` in its middle, `level_db` (Eb/N0), `oscillator` (steady, drifting
or pulled). What a receiver makes of FILE can be held against it line by line.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from errno import EISDIR
from math import floor
from pathlib import Path
from typing import BinaryIO, TextIO

from appliance import __version__
from appliance.errors import StoreError, UsageError
from appliance.model import format_time, parse_time
from appliance.progress import Progress
from appliance.radio import sigmf
from appliance.radio.protocols import scm
from appliance.radio.simulate import CHIP_RATE_HZ, DEFAULT_METERS, MAX_METERS, Heard, Neighbourhood
from appliance.radio.sources import SourceSettings, check_rate

MAX_SECONDS = 86_400
MAX_CENTER_HZ = 2_000_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    usual = SourceSettings("simulated")
    parser.add_argument("file", metavar="FILE", type=Path, help="the recording to write (cu8)")
    parser.add_argument("--seconds", metavar="N", type=float, default=10.0, help="its length (default: 10)")
    parser.add_argument("--seed", metavar="N", type=int, default=usual.seed, help="chooses the street (default: 1)")
    parser.add_argument("--sample-rate", metavar="HZ", type=int, default=usual.sample_rate_hz)
    parser.add_argument("--center-freq", metavar="HZ", type=int, default=usual.center_hz)
    parser.add_argument("--start", metavar="TIME", help="time of the first sample, RFC 3339 (default: now)")
    parser.add_argument("--meters", metavar="N", type=int, default=DEFAULT_METERS, help=f"default: {DEFAULT_METERS}")


def run(arguments: argparse.Namespace) -> int:
    """Write the three files; returns the exit code. Raises UsageError, and StoreError when FILE cannot be written."""
    start = _checked_start(arguments)
    path: Path = arguments.file
    samples = round(arguments.seconds * arguments.sample_rate)
    street = Neighbourhood(arguments.seed, arguments.sample_rate, arguments.center_freq, start, arguments.meters)
    # Named only when whole: a recording that stops half-way would pass for one with fewer messages.
    progress = Progress(sys.stderr, street.rate_hz)
    drafts: list[Path] = []
    try:
        _check_room(path, 2 * samples)
        drafts = [path.with_name(path.name + suffix) for suffix in (".part", ".truth.jsonl.part")]
        with drafts[0].open("wb") as recording, drafts[1].open("w", encoding="utf-8") as truth:
            count = write(street, samples, start, recording, truth, progress)
        drafts[0].replace(path)
        drafts[1].replace(truth_path(path))
        description = sigmf.Description(
            datatype="cu8",
            sample_rate_hz=arguments.sample_rate,
            center_hz=arguments.center_freq,
            start=start,
            hardware=f"simulated neighbourhood, seed {arguments.seed}, {arguments.meters} meters",
            simulated=True,
        )
        sigmf.write(path, description, recorder=f"meter-appliance {__version__}")
    except OSError as fault:
        hint = "Name a file in a folder that exists, that you may write to and that has room."
        raise StoreError(f"{path}: cannot be written: {fault.strerror}", hint) from None
    finally:
        progress.end()
        for draft in drafts:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
    sys.stderr.write(f"{path}: {samples / arguments.sample_rate:g} s, {count} messages\n")
    return 0


def truth_path(path: Path) -> Path:
    """Where the truth about a recording is kept."""
    return path.with_name(path.name + ".truth.jsonl")


def write(
    street: Neighbourhood,
    samples: int,
    start: datetime,
    recording: BinaryIO,
    truth: TextIO,
    progress: Callable[[int, int | None], None],
) -> int:
    """Write so many samples and the messages whole in them, return their number; tells `progress` block by block."""
    whole = samples - floor(2 * scm.MESSAGE_BITS * street.rate_hz / CHIP_RATE_HZ)
    done = count = 0
    for codes, heard in street.cu8():
        recording.write(codes[: 2 * (samples - done)].data)
        for one in heard:
            if one.sample < whole:
                truth.write(json.dumps(_truth(one, street.rate_hz, start)) + "\n")
                count += 1
        done += len(codes) // 2
        if done >= samples:
            return count
        progress(done, samples)
    raise AssertionError("a street has no end")


def _truth(one: Heard, rate_hz: int, start: datetime) -> dict[str, object]:
    sent = one.sent
    middle_s = scm.MESSAGE_BITS / CHIP_RATE_HZ
    return {
        "sample": one.sample,
        "time": format_time(start + timedelta(seconds=one.sample / rate_hz)),
        "protocol": scm.NAME,
        "meter_id": sent.meter_id,
        "endpoint_type": sent.endpoint_type,
        "tamper_phy": sent.tamper_phy,
        "tamper_enc": sent.tamper_enc,
        "consumption": sent.consumption,
        "frequency_hz": round(sent.frequency_hz + sent.drift_hz_per_s * middle_s),
        "level_db": round(sent.level_db, 2),
        "oscillator": sent.oscillator,
    }


def _checked_start(arguments: argparse.Namespace) -> datetime:
    check_rate(arguments.sample_rate)
    limits = {
        "--seconds": (arguments.seconds, 0.1, MAX_SECONDS),
        "--seed": (arguments.seed, 0, 2**32 - 1),
        "--center-freq": (arguments.center_freq, 1, MAX_CENTER_HZ),
        "--meters": (arguments.meters, 0, MAX_METERS),
    }
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise UsageError(f"{name} {value:g} is out of range", f"Choose one from {least:g} to {most:g}.")
    if arguments.start is None:
        return datetime.now(UTC)
    try:
        return parse_time(arguments.start)
    except ValueError:
        example = "Write it like 2026-01-31T18:30:00Z or 2026-01-31T15:30:00-03:00."
        raise UsageError(f"--start {arguments.start!r} is no time", example) from None


def _check_room(path: Path, needed_bytes: int) -> None:
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    if path.suffix == sigmf.META_SUFFIX:
        raise UsageError(f"{path} is the name of metadata, not of a recording", "Use the extension .cu8.")
    for taken in (path, sigmf.meta_path(path), truth_path(path)):
        if taken.exists():
            raise UsageError(f"{taken} is there already", "Choose another name, or move that file away.")
    free_bytes = shutil.disk_usage(path.absolute().parent).free
    if needed_bytes > free_bytes:
        raise StoreError(
            f"{path}: {needed_bytes / 1e6:.0f} MB are needed and {free_bytes / 1e6:.0f} MB are free",
            "Ask for fewer --seconds, or name a file on a disk with more room.",
        )
