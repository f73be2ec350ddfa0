"""A capture of what the receiver hears while it goes on hearing.

A thread of its own writes, so that a card that is slow for a moment holds up nothing; what it cannot take at all
becomes a gap, told in the metadata. The file has its name, and its metadata, only once it is whole and on the disk.
"""

import queue
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.control.lines import Recorded
from appliance.durable import PART, sync
from appliance.errors import StoreError
from appliance.radio import sigmf
from appliance.radio.captures import NAME
from appliance.radio.record import RECORDER, describe
from appliance.radio.sources import Source, SourceSettings
from appliance.radio.sources.samples import CU8, to_cu8

QUEUE_BLOCKS = 64
# Left free on the disk by a capture: history is worth more.
FREE_BYTES = 512_000_000


class Capture:
    """A capture of `seconds` into `folder`; finished or given up by `poll`.

    Raises StoreError when the folder cannot be written or has too little room.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        source: Source,
        settings: SourceSettings,
        wall: Callable[[], float] = time.time,
        free_bytes: int = FREE_BYTES,
    ) -> None:
        self._source = source
        self._wall = wall
        self._wanted = round(seconds * source.rate_hz)
        self._of_s = seconds
        self._taken = self._lost = self._missing = 0
        self._said = -1
        self._started = False
        self._detail = self._fault = ""
        self._description = describe(source, settings)
        self._queue: queue.Queue[NDArray[np.uint8] | None] = queue.Queue(QUEUE_BLOCKS)
        self._closed = self._given_up = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            clear(folder)
            free = shutil.disk_usage(folder).free - self._wanted * CU8.sample_bytes
            if free < free_bytes:
                missing_mb = (free_bytes - free) / 1e6
                raise StoreError(
                    f"too little room for a capture of {seconds:g} s: {missing_mb:.0f} MB more are needed",
                    "Delete older captures, or record for a shorter time.",
                )
            self._data = _fresh_name(folder, datetime.fromtimestamp(wall(), UTC), round(source.center_hz))
            self._part = self._data.with_name(self._data.name + PART)
            self._file = self._part.open("xb")
        except OSError as fault:
            raise StoreError(f"no capture can be written to {folder}: {fault.strerror}") from None
        self._thread = threading.Thread(target=self._write, name="capture", daemon=True)
        self._thread.start()

    def take(self, iq: NDArray[np.complex64], lost: int) -> None:
        """Take in samples, complex64 (n,), full scale ±1, and how many were lost before them."""
        if self._closed or not len(iq):
            return
        if not self._started:
            self._started = True
            start = datetime.fromtimestamp(self._wall() - len(iq) / self._source.rate_hz, UTC)
            self._description = replace(self._description, start=start)
            lost = 0
        self._missing += lost
        codes = to_cu8(iq[: self._wanted - self._taken])
        try:
            self._queue.put_nowait(codes)
        except queue.Full:
            self._missing += len(iq)
            return
        if self._missing:
            gap = sigmf.Gap(self._taken, self._missing)
            self._description = replace(self._description, gaps=(*self._description.gaps, gap))
            self._lost += self._missing
            self._missing = 0
        self._taken += codes.size // 2
        if self._taken >= self._wanted:
            self.finish("")

    def finish(self, detail: str) -> None:
        """Take no more; what is there becomes the capture. `detail` says why it is shorter than asked for."""
        if not self._closed:
            self._closed, self._detail = True, detail
            if not self._taken:
                self._fault = self._fault or detail or "not one sample came"

    def give_up(self) -> None:
        """Leave nothing behind. Does not wait for the disk."""
        self._closed = self._given_up = True
        with suppress(OSError):
            self._part.unlink()

    def poll(self) -> Recorded | None:
        """How it is coming on, once a second of samples, and when it is over: then the state tells."""
        if self._fault:
            self.give_up()
        if self._thread.is_alive() and not self._fault:
            if self._closed and not self._given_up:
                # Once it is taken in: a queue that is full has to empty first.
                with suppress(queue.Full):
                    self._queue.put_nowait(None)
            second = int(self._taken / self._source.rate_hz)
            if second == self._said or self._closed:
                return None
            self._said = second
            return self._recorded("recording", "")
        if self._fault:
            return self._recorded("failed", self._fault)
        return self._recorded("done", self._detail)

    def _recorded(self, state: str, detail: str) -> Recorded:
        return Recorded(
            state="recording" if state == "recording" else "done" if state == "done" else "failed",
            name=self._data.name,
            seconds=round(self._taken / self._source.rate_hz, 3),
            of_s=self._of_s,
            bytes=self._taken * CU8.sample_bytes,
            lost_samples=self._lost,
            detail=detail,
        )

    def _write(self) -> None:
        try:
            with self._file as file:
                while True:
                    try:
                        codes = self._queue.get(timeout=1.0)
                    except queue.Empty:
                        if self._given_up:
                            return
                        continue
                    if codes is None or self._given_up:
                        break
                    file.write(codes.tobytes())
            if not self._given_up:
                sync(self._part)
                self._part.rename(self._data)
                sigmf.write(self._data, self._description, RECORDER)
                sync(sigmf.meta_path(self._data))
                sync(self._data.parent)
        except OSError as fault:
            self._fault = f"the disk takes no more: {fault.strerror}"


def clear(folder: Path) -> None:
    """Remove what captures that were cut off left behind. Raises OSError."""
    for path in folder.iterdir():
        name = path.name.removesuffix(PART)
        if NAME.fullmatch(name) and (path.name != name or not sigmf.meta_path(path).exists()):
            path.unlink(missing_ok=True)


def _fresh_name(folder: Path, moment: datetime, center_hz: int) -> Path:
    stem = f"{moment:%Y%m%dT%H%M%SZ}-{center_hz}Hz"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 100))]
    free = (path for name in names if not (path := folder / f"{name}{sigmf.DATA_SUFFIX}").exists())
    return next(free)
