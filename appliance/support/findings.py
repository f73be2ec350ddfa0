"""What `appliance doctor` finds, found by the command itself: what hangs with a stuck driver can then be ended."""

import asyncio
import contextlib
import sys
from pathlib import Path

LONGEST_S = 60.0
MOST_BYTES = 200_000


async def findings(config_file: Path | None) -> str:
    """What it prints, or why there is nothing."""
    config = ("--config", str(config_file)) if config_file else ()
    try:
        doctor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "appliance", "doctor", *config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as fault:
        return f"cannot be started: {fault.strerror}"
    assert doctor.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(LONGEST_S):
            while len(said) < MOST_BYTES and (piece := await doctor.stdout.read(MOST_BYTES)):
                said += piece
    except TimeoutError:
        said += f"\nended: it took more than {LONGEST_S:g} s\n".encode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            doctor.kill()
        await doctor.wait()
    return said.decode("utf-8", "replace")[:MOST_BYTES]
