"""Samples from an RTL-SDR dongle, through pyrtlsdr and the library that pyrtlsdrlib brings along.

Reading is asynchronous (`rtlsdr_read_async`): it keeps 15 USB transfers of 55 ms queued in the kernel, so the
dongle's few kilobytes of buffer are emptied while Python does something else. `read_sync` has no transfer under way
between two calls, and what the dongle takes in meanwhile is gone. pyrtlsdr's iterator over the asynchronous reader
(`stream`) is not used: it hands out the driver's own buffers, which are overwritten meanwhile, and spins for ever
when stopped with a full queue.

Everything that may not return (opening, reading, closing) happens in one thread; what is set while it reads is set
from another, as rtl_tcp does it, for within the reader libusb refuses to talk to the device. Whoever waits for it does
so with a limit; when it passes, that is SourceHung: the thread is stuck in the driver or the kernel, the device
cannot even be closed, and only a new process helps.

Faults of pyrtlsdr 0.5 and librtlsdr that this file works around:
- pyrtlsdr's `read_bytes_async` and `cancel_read_async` close the device by themselves when something fails, the one
  under the other's feet; so librtlsdr's functions are called directly, and cancelling is repeated until the reader
  returns, because it is refused before the reader has begun;
- pyrtlsdr leaves the device claimed when `open` fails half-way, and its destructor blocks for ever on a hung device;
- its setters close the device when the dongle refuses, under the reader's feet;
- it rounds the centre frequency to a kilohertz when asked for it;
- librtlsdr refuses to set a correction of 0 ppm, and returns success from reading when the dongle is unplugged.
"""

import ctypes
import importlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from appliance.errors import SourceError, SourceHung, SourceLost, SourceUnavailable
from appliance.radio.sources import BLOCK_SAMPLES, Block, SourceSettings
from appliance.radio.sources.gains import nearest_db
from appliance.radio.sources.inbox import BLOCK_BYTES, Inbox, live_blocks
from appliance.radio.sources.usb import Dongle, explain_absence, explain_refusal, list_dongles, load_driver, open_device

OPEN_S = 10.0
CLOSE_S = 0.7
SET_S = 3.0
# librtlsdr looks for a request to stop once a second when no transfer comes in.
STALLED_CLOSE_S = 4.0
CRYSTAL_HZ = 28_800_000
REPLUG = "Unplug the radio and plug it in again."


class RtlSdrSource:
    """An open dongle that is sending.

    Raises SourceUnavailable when it is not there, claimed by something else or not permitted, saying which dongles
    were found; SourceHung when the driver does not return.
    """

    simulated = False
    gain_db: float | None

    def __init__(self, settings: SourceSettings, serial: str | None = None) -> None:
        self._settings = settings
        self._serial = serial
        self._inbox: Inbox | None = None
        self._device: Any = None
        self._rtlsdr = load_driver()
        self._driver = self._rtlsdr.librtlsdr
        self._callback_type = importlib.import_module("rtlsdr.librtlsdr").rtlsdr_read_async_cb_t
        self._reading = False
        self._hung = False
        self._guard = threading.Lock()
        # Held while the device is set: it must not be closed meanwhile.
        self._setting = threading.Lock()
        self._closing = threading.Event()
        self._opened: queue.SimpleQueue[SourceError | None] = queue.SimpleQueue()
        self.rate_hz = float(settings.sample_rate_hz)
        self.center_hz = settings.center_hz
        self.gain_db = settings.gain_db
        self.description = f"rtlsdr:{serial}" if serial else "rtlsdr"
        self._thread = threading.Thread(target=self._drive, name="rtlsdr", daemon=True)
        self._thread.start()
        try:
            fault = self._opened.get(timeout=OPEN_S)
        except queue.Empty:
            self._closing.set()
            raise SourceHung(f"the driver did not open the dongle within {OPEN_S:g} s", REPLUG) from None
        if fault is not None:
            raise fault

    def blocks(self) -> Iterator[Block]:
        """Raises SourceLost when the dongle goes away or falls silent, SourceHung when the driver is stuck too."""
        assert self._inbox is not None
        return live_blocks(self._inbox, self.rate_hz, self._stalled)

    def tune(self, settings: SourceSettings) -> None:
        """Raises SourceLost when the dongle does not take it, SourceHung when the driver does not return."""
        told: queue.SimpleQueue[SourceError | None] = queue.SimpleQueue()
        threading.Thread(target=lambda: told.put(self._set(settings)), name="rtlsdr-set", daemon=True).start()
        try:
            fault = told.get(timeout=SET_S)
        except queue.Empty:
            self._hung = True
            raise SourceHung(f"the driver did not set the dongle within {SET_S:g} s", REPLUG) from None
        if fault is not None:
            raise fault
        assert self._inbox is not None
        # The transfer that is under way holds samples from before and after.
        self._inbox.discard(BLOCK_SAMPLES)

    def close(self) -> None:
        """Stop reading and close the device. Raises SourceHung when the driver does not let go."""
        if not self._hung and not self._stop(CLOSE_S):
            self._hung = True
            raise SourceHung("the driver does not let go of the dongle", REPLUG)

    def _stalled(self) -> SourceError:
        if self._stop(STALLED_CLOSE_S):
            return SourceLost("the dongle stopped sending", "Check the USB cable and the power supply.")
        self._hung = True
        return SourceHung("the dongle stopped sending and its driver does not return", REPLUG)

    def _stop(self, within_s: float) -> bool:
        """Whether the driver's thread came back in time."""
        self._closing.set()
        deadline_s = time.monotonic() + within_s
        while self._thread.is_alive() and time.monotonic() < deadline_s:
            with self._guard:
                if self._reading:
                    self._driver.rtlsdr_cancel_async(self._device.dev_p)
            self._thread.join(0.02)
        if self._thread.is_alive() and self._device is not None:
            self._device.device_opened = False
        return not self._thread.is_alive()

    def _drive(self) -> None:
        try:
            self._open()
        except SourceError as fault:
            self._opened.put(fault)
            return
        assert self._inbox is not None
        self._opened.put(None)
        result = self._read(self._inbox)
        if result < 0:
            self._inbox.fail(SourceLost(f"the dongle cannot be read: libusb error {result}", REPLUG))
        else:
            self._inbox.fail(SourceLost("the dongle was unplugged", "Plug the radio in again and check its cable."))

    def _open(self) -> None:
        found = list_dongles(self._driver)
        dongle = _choose(found, self._serial)
        try:
            device = open_device(self._rtlsdr, dongle.index)
            try:
                self._configure(device)
            except OSError:
                device.close()
                raise
        except OSError as fault:
            raise SourceUnavailable(*explain_refusal(dongle, fault)) from None
        self.description = str(dongle)
        self._inbox = Inbox(self.rate_hz)
        self._device = device

    def _configure(self, device: Any) -> None:
        settings = self._settings
        device.set_sample_rate(settings.sample_rate_hz)
        if settings.ppm:
            device.set_freq_correction(settings.ppm)
        device.set_center_freq(settings.center_hz)
        device.set_agc_mode(False)
        device.set_gain("auto" if settings.gain_db is None else settings.gain_db)
        if settings.gain_db is not None:
            self.gain_db = device.get_gain()
        # Off is set too: the supply stays on after the program that switched it on has ended.
        self._bias_tee(device, settings.bias_tee)
        self.rate_hz = real_rate_hz(settings.sample_rate_hz)
        self.center_hz = self._driver.rtlsdr_get_center_freq(device.dev_p) or settings.center_hz
        self._driver.rtlsdr_reset_buffer(device.dev_p)

    def _set(self, settings: SourceSettings) -> SourceError | None:
        """Set the dongle while it sends; returns what is wrong."""
        driver = self._driver
        with self._setting:
            if not self._reading:
                return SourceLost("the dongle is not there any more", REPLUG)
            device = self._device.dev_p
            steps: list[Callable[[], int]] = []
            if driver.rtlsdr_get_freq_correction(device) != settings.ppm:
                steps.append(lambda: driver.rtlsdr_set_freq_correction(device, settings.ppm))
            steps.append(lambda: driver.rtlsdr_set_center_freq(device, settings.center_hz))
            gain_db = nearest_db(settings.gain_db, tuple(self._device.gain_values))
            steps.append(lambda: driver.rtlsdr_set_tuner_gain_mode(device, int(gain_db is not None)))
            if gain_db is not None:
                steps.append(lambda: driver.rtlsdr_set_tuner_gain(device, round(10 * gain_db)))
            if settings.bias_tee != self._settings.bias_tee:
                steps.append(lambda: driver.rtlsdr_set_bias_tee(device, int(settings.bias_tee)))
            for step in steps:
                if (code := step()) < 0:
                    return SourceLost(f"the dongle does not take its settings: libusb error {code}", REPLUG)
            self.center_hz = driver.rtlsdr_get_center_freq(device) or settings.center_hz
            self.gain_db = None if gain_db is None else driver.rtlsdr_get_tuner_gain(device) / 10
            self._settings = settings
        return None

    def _bias_tee(self, device: Any, wanted: bool) -> None:
        try:
            device.set_bias_tee(wanted)
        except OSError:
            if wanted:
                raise

    def _read(self, inbox: Inbox) -> int:
        """Read until the stream ends or is cancelled, then close the device; returns what librtlsdr said."""
        result = 0
        callback = self._callback_type(_receiver(inbox))
        with self._guard:
            self._reading = not self._closing.is_set()
        if self._reading:
            result = self._driver.rtlsdr_read_async(self._device.dev_p, callback, None, 0, BLOCK_BYTES)
        with self._guard:
            self._reading = False
        with self._setting:
            self._device.close()
        return int(result)


def _receiver(inbox: Inbox) -> Callable[[Any, int, Any], None]:
    def receive(buffer: Any, length: int, _context: Any) -> None:
        # Runs inside the driver: it must not raise, and must copy what is the driver's own memory.
        if length <= 0 or not buffer:
            return
        inbox.put(np.frombuffer(ctypes.string_at(buffer, length), np.uint8, length - length % 2))
        inbox.lose(length % 2)

    return receive


def _choose(found: list[Dongle], serial: str | None) -> Dongle:
    if not found:
        raise SourceUnavailable(*explain_absence())
    if serial is None:
        return found[0]
    for dongle in found:
        if dongle.serial == serial:
            return dongle
    listed = ", ".join(str(dongle) for dongle in found)
    raise SourceUnavailable(
        f"no dongle has the serial number {serial}; found: {listed}",
        "Plug that one in, or use the serial number of one that is there.",
    )


def real_rate_hz(asked_hz: int) -> float:
    """The rate the RTL2832 really makes: its resampler divides the crystal in steps (librtlsdr, set_sample_rate).

    >>> real_rate_hz(2359296), real_rate_hz(2400000), round(real_rate_hz(2555904), 3)
    (2359296.0, 2400000.0, 2555904.133)
    """
    ratio = (CRYSTAL_HZ << 22) // asked_hz & 0x0FFFFFFC
    return CRYSTAL_HZ * (1 << 22) / (ratio | (ratio & 0x08000000) << 1)
