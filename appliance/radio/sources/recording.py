"""Samples from a file or from standard input.

What is not told on the command line comes from SigMF metadata beside the file, else from the file's extension
(`.cu8`, `.cs8`, `.cs16`, `.cf32`, `.wav`; `.bin`, `.iq`, `.data` and `.raw` are cu8, as `rtl_sdr` writes them), else
from the defaults. A file is read in pieces of one block, so its size does not matter, and a pipe is as good.
"""

import io
import logging
import os
import select
import stat
import wave
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from appliance.errors import InputError, UsageError
from appliance.radio import sigmf
from appliance.radio.sources import BLOCK_SAMPLES, NO_SAMPLES, Block, SourceSettings, check_rate
from appliance.radio.sources.samples import CU8, FORMATS, Converter, SampleFormat

POLL_S = 0.25
STANDARD_INPUT = "-"
_BARE_EXTENSIONS = {".bin", ".iq", ".data", ".raw", ""}

_log = logging.getLogger(__name__)


class RecordingSource:
    """An open recording. `start` is when it was made, if its metadata says so; `total_samples` None on a pipe.

    Raises InputError naming the file when it is missing, empty, no file, not permitted or of an unknown kind.
    """

    simulated = False

    def __init__(self, settings: SourceSettings) -> None:
        self.description = "standard input" if settings.source == STANDARD_INPUT else settings.source
        self.gain_db: float | None = None
        self.start: datetime | None = None
        self.total_samples: int | None = None
        self._data_bytes: int | None = None
        self._gaps: list[sigmf.Gap] = []
        self._file = _open(settings.source)
        try:
            self._format, rate_hz, center_hz = self._understand(settings)
            check_rate(rate_hz)
        except BaseException:
            self._file.close()
            raise
        self.rate_hz, self.center_hz = rate_hz, center_hz

    def _understand(self, settings: SourceSettings) -> tuple[SampleFormat, float, int]:
        sample_format = _named_format(settings.sample_format)
        rate_hz, center_hz = float(settings.sample_rate_hz), settings.center_hz
        if settings.source == STANDARD_INPUT:
            return sample_format or CU8, rate_hz, center_hz
        path = Path(settings.source)
        described = sigmf.read(path)
        if described is not None:
            self.start, self.gain_db, self.simulated = described.start, described.gain_db, described.simulated
            self._gaps = list(described.gaps)
            if "sample_rate_hz" not in settings.told:
                rate_hz = described.sample_rate_hz or rate_hz
            if "center_hz" not in settings.told:
                center_hz = described.center_hz or center_hz
            sample_format = sample_format or _sigmf_format(path, described.datatype)
        about = os.fstat(self._file.fileno())
        if stat.S_ISREG(about.st_mode):
            self._data_bytes = about.st_size
        if path.suffix.lower() == ".wav":
            if self._data_bytes is None:
                raise InputError(f"{path}: WAV can be read from a file only", "Send bare samples through a pipe.")
            sample_format, rate_hz, self._data_bytes = _read_wave_header(path, self._file)
        sample_format = sample_format or _format_by_extension(path)
        if self._data_bytes is not None:
            self.total_samples = self._data_bytes // sample_format.sample_bytes
            if self.total_samples == 0:
                raise InputError(f"{path} is empty: it holds no sample")
        return sample_format, rate_hz, center_hz

    def blocks(self) -> Iterator[Block]:
        """Raises InputError when reading fails half-way."""
        converter = Converter(self._format)
        position = 0
        torn = 0
        pieces = self._pieces() if self._data_bytes is None else self._whole_pieces()
        for raw in pieces:
            iq = converter.to_complex(raw)
            torn = len(raw) % self._format.sample_bytes
            while self._gaps and self._gaps[0].start < position + iq.size:
                gap = self._gaps.pop(0)
                before = max(gap.start - position, 0)
                if before:
                    yield Block(iq[:before])
                yield Block(NO_SAMPLES, gap.lost)
                iq, position = iq[before:], position + before
            position += iq.size
            yield Block(iq)
        if torn:
            _log.warning("recording ends in the middle of a sample source=%s bytes_left_out=%d", self.description, torn)
        if converter.bad_values:
            _log.warning(
                "recording holds values that are no numbers, taken as 0 source=%s values=%d",
                self.description,
                converter.bad_values,
            )
        if position == 0:
            raise InputError(f"{self.description} is empty: not one sample came")

    def tune(self, settings: SourceSettings) -> None:
        """Raises UsageError: what was recorded cannot be received otherwise."""
        raise UsageError("a recording has no radio that could be set", "Choose a dongle or rtl_tcp as the source.")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _whole_pieces(self) -> Iterator[memoryview]:
        """Blocks of a file, in one buffer that is reused."""
        assert self._data_bytes is not None
        buffer = memoryview(bytearray(BLOCK_SAMPLES * self._format.sample_bytes))
        left = self._data_bytes
        filled = 0
        while left:
            try:
                got = self._file.readinto(buffer[filled : filled + left])
            except OSError as fault:
                raise InputError(f"{self.description} cannot be read to its end: {fault.strerror}") from None
            filled += got
            left = left - got if got else 0
            if filled == len(buffer) or not left:
                yield buffer[:filled]
                filled = 0

    def _pieces(self) -> Iterator[memoryview]:
        """What a pipe gives, in whole samples but for the last; empty pieces while nothing comes."""
        size = self._format.sample_bytes
        buffer = memoryview(bytearray(BLOCK_SAMPLES * size))
        filled = 0
        descriptor = self._file.fileno()
        while True:
            if not select.select([descriptor], [], [], POLL_S)[0]:
                whole = filled - filled % size
                yield buffer[:whole]
                buffer[: filled - whole] = bytes(buffer[whole:filled])
                filled -= whole
                continue
            try:
                got = os.readv(descriptor, [buffer[filled:]])
            except OSError as fault:
                raise InputError(f"{self.description} cannot be read: {fault.strerror}") from None
            filled += got
            if got == 0 or filled == len(buffer):
                yield buffer[:filled]
                filled = 0
            if got == 0:
                return


def _open(source: str) -> io.FileIO:
    if source == STANDARD_INPUT:
        return io.FileIO(0, closefd=False)
    try:
        if os.path.isdir(source):
            raise IsADirectoryError(21, "it is a directory")
        return io.FileIO(source)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise InputError(f"{source!r} cannot be opened: {reason}") from None


def _named_format(name: str | None) -> SampleFormat | None:
    if name is None:
        return None
    if name not in FORMATS:
        raise UsageError(f"{name!r} is no sample format", f"Choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def _sigmf_format(path: Path, datatype: str) -> SampleFormat:
    for sample_format in FORMATS.values():
        if sample_format.sigmf == datatype:
            return sample_format
    known = ", ".join(sample_format.sigmf for sample_format in FORMATS.values())
    raise InputError(f"{sigmf.meta_path(path)}: core:datatype is {datatype!r}, known are {known}")


def _format_by_extension(path: Path) -> SampleFormat:
    extension = path.suffix.lower()
    if extension.removeprefix(".") in FORMATS:
        return FORMATS[extension.removeprefix(".")]
    if extension in _BARE_EXTENSIONS:
        return CU8
    raise InputError(
        f"{path}: the extension {extension!r} does not tell the sample format",
        f"Add --sample-format with one of {', '.join(FORMATS)}.",
    )


def _read_wave_header(path: Path, file: io.FileIO) -> tuple[SampleFormat, float, int]:
    """Format, rate and bytes of a .wav with I on the left and Q on the right; leaves the file at its first sample."""
    try:
        with wave.open(str(path), "rb") as header:
            channels, width, rate_hz, frames = header.getparams()[:4]
    # RuntimeError: a chunk that says it is longer than the file.
    except (wave.Error, EOFError, RuntimeError, OSError) as fault:
        raise InputError(f"{path}: not readable as WAV: {str(fault) or 'it ends too early'}") from None
    if channels != 2 or width not in (1, 2):
        raise InputError(f"{path}: {channels} channels of {8 * width} bits; needed are 2 channels of 8 or 16 bits")
    file.seek(_find_data_chunk(file))
    return FORMATS["cu8" if width == 1 else "cs16"], float(rate_hz), frames * channels * width


def _find_data_chunk(file: io.FileIO) -> int:
    position = 12
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise InputError(f"{file.name}: a WAV file without samples")
        if head[:4] == b"data":
            return position + 8
        size = int.from_bytes(head[4:], "little")
        position += 8 + size + size % 2
