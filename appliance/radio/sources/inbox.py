"""Between the thread that reads a radio and the rest: a bounded queue of copied blocks.

The driver's thread must never wait for the receiver, or USB transfers and the server's buffer run over where nobody
counts it. So `put` never blocks: when the queue is full the newest block is dropped and counted, and the next one
that fits says how many samples are missing before it. The reader in turn never waits for ever: `live_blocks` hands
out an empty block when nothing came for a moment, and gives up when nothing came for `STALL_S`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from appliance.errors import SourceError, SourceLost
from appliance.radio.sources import BLOCK_SAMPLES, NO_SAMPLES, Block
from appliance.radio.sources.pace import Pace
from appliance.radio.sources.samples import CU8, Converter

BLOCK_BYTES = 2 * BLOCK_SAMPLES
QUEUE_BYTES = 32 * BLOCK_BYTES
POLL_S = 0.25
STALL_S = 3.0
# A tuner's own noise moves the lowest bit many times a millisecond; a converter that is dead does not.
FROZEN_S = 3.0


class Inbox:
    """Codes on their way from the reading thread. All methods may be called from any thread."""

    def __init__(self, rate_hz: float, queue_bytes: int = QUEUE_BYTES, pace: Pace | None = None) -> None:
        self._pace = pace or Pace(rate_hz)
        self._queue: deque[tuple[NDArray[np.uint8], int]] = deque()
        self._queued_bytes = 0
        self._queue_bytes = queue_bytes
        self._lost = 0
        self._unwanted = 0
        self._fault: SourceError | None = None
        self._changed = threading.Condition()

    def put(self, codes: NDArray[np.uint8]) -> None:
        """Hand over codes, uint8 (2 n,) interleaved, which the caller must not touch again. Never waits."""
        lost = self._pace.count(codes.size // 2)
        with self._changed:
            self._lost += lost
            if self._unwanted or self._queued_bytes + codes.size > self._queue_bytes:
                self._lost += codes.size // 2
                self._unwanted = max(0, self._unwanted - codes.size // 2)
                return
            self._queue.append((codes, self._lost))
            self._queued_bytes += codes.size
            self._lost = 0
            self._changed.notify()

    def lose(self, samples: int) -> None:
        """Note samples that the reading thread knows to be missing."""
        with self._changed:
            self._lost += samples

    def discard(self, samples: int) -> None:
        """Drop what is queued and, in whole blocks, the next `samples`; all of it counts as lost."""
        with self._changed:
            self._lost += sum(codes.size // 2 + lost for codes, lost in self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            self._unwanted = samples

    def fail(self, fault: SourceError) -> None:
        """No more will come, for this reason; what is queued is still handed out."""
        with self._changed:
            self._fault = self._fault or fault
            self._changed.notify()

    def take(self, timeout_s: float) -> tuple[NDArray[np.uint8], int] | None:
        """The next codes and the samples lost before them, or None if none come in time; raises what `fail` got.

        Losses that no codes followed are told with none.
        """
        with self._changed:
            if not self._queue and self._fault is None:
                self._changed.wait(timeout_s)
            if self._queue:
                codes, lost = self._queue.popleft()
                self._queued_bytes -= codes.size
                return codes, lost
            if self._lost:
                lost, self._lost = self._lost, 0
                return np.zeros(0, np.uint8), lost
            if self._fault is not None:
                raise self._fault
            return None


def live_blocks(
    inbox: Inbox,
    rate_hz: float,
    stalled: Callable[[], SourceError],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Block]:
    """Blocks from the inbox as they come, empty ones while nothing does.

    Raises what `stalled` returns when nothing came for `STALL_S`, SourceLost when the radio sends one value only,
    and whatever the reading thread failed with.
    """
    converter = Converter(CU8)
    last_s = clock()
    frozen_samples = 0
    while True:
        taken = inbox.take(POLL_S)
        if taken is None:
            if clock() - last_s > STALL_S:
                raise stalled()
            yield Block(NO_SAMPLES)
            continue
        codes, lost = taken
        if not codes.size:
            yield Block(NO_SAMPLES, lost)
            continue
        last_s = clock()
        frozen_samples = frozen_samples + codes.size // 2 if _is_constant(codes) else 0
        if frozen_samples > FROZEN_S * rate_hz:
            raise SourceLost(
                f"the radio sends nothing but the value {codes[0]}, {codes[1]}",
                "Unplug the radio and plug it in again; if that does not help it is broken.",
            )
        yield Block(converter.to_complex(codes), lost)
        # The reader may have been busy for long with this block; that is no stall of the radio.
        last_s = max(last_s, clock())


def _is_constant(codes: NDArray[np.uint8]) -> bool:
    # The first few settle it for every radio that works, and nearly for free.
    return all((part[0::2] == part[0]).all() and (part[1::2] == part[1]).all() for part in (codes[:512], codes))
