"""Captures a source into a cu8 file with SigMF metadata beside it, so that a fault seen on site can be brought home.

The metadata is written before the first sample, anew at each gap, and at the end. The data goes to its final name
as it comes: whatever ends the command, a kill or a power cut, leaves a capture that reads up to that point.
The codes of a dongle, an rtl_tcp server or a cu8 file are stored as they came, bit for bit.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from appliance import __version__
from appliance.errors import InputError, SourceError, StoreError, UsageError
from appliance.radio import sigmf
from appliance.radio.sources import Source, SourceSettings, open_source
from appliance.radio.sources.samples import CU8, to_cu8
from appliance.radio.stop import StopRequest

RECORDER = f"meter-appliance {__version__}"

_log = logging.getLogger(__name__)


def record(
    path: Path,
    settings: SourceSettings,
    stop: StopRequest,
    seconds: float | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    wall: Callable[[], float] = time.time,
) -> int:
    """Record until `seconds` of samples are there, the source ends, or `stop`; returns the samples recorded.

    A name without extension gets `.sigmf-data`. Raises UsageError when the file is there already, StoreError when
    the disk takes no more, the SourceError family and InputError as the source does; what came before stays.
    """
    data = path if path.suffix else path.with_suffix(sigmf.DATA_SUFFIX)
    if data.suffix == sigmf.META_SUFFIX:
        raise UsageError(f"{data} is the name of metadata, not of a capture", "Use the extension .cu8 or .sigmf-data.")
    for taken in (data, sigmf.meta_path(data)):
        if taken.exists():
            raise UsageError(f"{taken} is there already", "Choose another name, or move that file away.")
    with stop.breaking_in():
        source = open_source(settings)
    try:
        return _Capture(data, source, settings, wall).take(seconds, stop, progress)
    finally:
        source.close()


def describe(source: Source, settings: SourceSettings) -> sigmf.Description:
    """What the metadata of a capture in cu8 says of its source."""
    return sigmf.Description(
        datatype=CU8.sigmf,
        sample_rate_hz=source.rate_hz,
        center_hz=round(source.center_hz),
        hardware=source.description,
        gain_db=source.gain_db,
        ppm=settings.ppm if settings.tunable else None,
        simulated=source.simulated,
        start=getattr(source, "start", None),
    )


class _Capture:
    def __init__(self, data: Path, source: Source, settings: SourceSettings, wall: Callable[[], float]) -> None:
        self._data = data
        self._source = source
        self._wall = wall
        self._samples = 0
        self._lost = 0
        self._description = describe(source, settings)
        self._live = settings.live

    def take(self, seconds: float | None, stop: StopRequest, progress: Callable[[int, int | None], None]) -> int:
        wanted = None if seconds is None else round(seconds * self._source.rate_hz)
        try:
            self._write_metadata()
            with FileIO(self._data, "xb") as file:
                for block in self._source.blocks():
                    if stop.requested:
                        break
                    self._note(block.lost, len(block.iq))
                    left = len(block.iq) if wanted is None else wanted - self._samples
                    self._write(file, to_cu8(block.iq[:left]).tobytes())
                    progress(self._samples, wanted)
                    if wanted is not None and self._samples >= wanted:
                        break
        except OSError as fault:
            raise StoreError(
                f"{self._data} cannot be written after {self._seconds:.1f} s: {fault.strerror}",
                "Free some space or choose another disk; what was recorded until now is usable.",
            ) from None
        except (SourceError, InputError) as fault:
            raise type(fault)(f"{fault}; {self._seconds:.1f} s were recorded before", fault.hint) from None
        return self._samples

    @property
    def _seconds(self) -> float:
        return self._samples / self._source.rate_hz

    def _note(self, lost: int, count: int) -> None:
        description = self._description
        if count and self._samples == 0 and self._live and description.start is None:
            start = datetime.fromtimestamp(self._wall() - count / self._source.rate_hz, UTC)
            self._description = replace(description, start=start)
            self._lost = 0
            self._write_metadata()
            return
        self._lost += lost
        if count and self._lost:
            _log.warning("samples lost at_sample=%d lost=%d", self._samples, self._lost)
            gap = sigmf.Gap(self._samples, self._lost)
            self._description = replace(description, gaps=(*description.gaps, gap))
            self._lost = 0
            self._write_metadata()

    def _write(self, file: FileIO, codes: bytes) -> None:
        view = memoryview(codes)
        while view:
            written = file.write(view) or 0
            self._samples += written // CU8.sample_bytes
            view = view[written:]

    def _write_metadata(self) -> None:
        sigmf.write(self._data, self._description, RECORDER)
