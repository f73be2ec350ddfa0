"""What listening costs: processor time against a bare FFT of the same samples in the same run, and memory."""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from appliance.radio.memory import keep_freed_memory
from appliance.radio.receiver import Receiver
from appliance.radio.sources.samples import CU8, Converter
from benchmarks.scenes import CENTER_HZ, RATE_HZ

FRAME = 512
TURNS = 5


def processor_ratio(scene: list[NDArray[np.uint8]]) -> tuple[float, float]:
    """Receiver's processor time over that of a bare 512-point `scipy.fft` of the same samples.

    scene: cu8 blocks. Both run in turn, block by block, `TURNS` times over; the conversion from bytes counts for the
    receiver. Returns the median ratio of the turns and the bare FFT's milliseconds a second of samples.
    """
    keep_freed_memory()
    converter = Converter(CU8)
    ratios, bare_ms = [], []
    for _ in range(TURNS):
        receiver = Receiver(RATE_HZ, CENTER_HZ, datetime(2026, 1, 1, tzinfo=UTC))
        listening = bare = 0.0
        samples = 0
        for block in scene:
            for start in range(0, len(block) - 2**18 + 1, 2**18):
                begin = time.process_time()
                iq = converter.to_complex(block[start : start + 2**18])
                receiver.feed(iq)
                middle = time.process_time()
                scipy.fft.fft(iq.reshape(-1, FRAME), axis=1)
                listening += middle - begin
                bare += time.process_time() - middle
                samples += len(iq)
        ratios.append(listening / bare)
        bare_ms.append(bare / samples * RATE_HZ * 1e3)
    return float(np.median(ratios)), float(np.median(bare_ms))


def peak_memory_mb(scene: list[NDArray[np.uint8]]) -> float:
    """Largest resident size of `appliance decode` over the scene, in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.cu8"
        with path.open("wb") as file:
            for block in scene:
                file.write(block.tobytes())
        # A child inherits its parent's peak until it runs a program of its own, so a small parent is put between.
        command = [sys.executable, "-m", "appliance", "decode", str(path), "--sample-rate", str(RATE_HZ)]
        between = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=-3, check=True); "
        between += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        answer = subprocess.run([sys.executable, "-c", between, *command], capture_output=True, check=True)
    return int(answer.stdout) / 1024
