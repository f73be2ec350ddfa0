"""Starting the machine anew, where systemd runs it: systemctl(1) decides whether this user may.

Whether it does run it is told as sd_booted(3) has it.
"""

import asyncio
import shutil

from appliance.machine import Machine

ANSWER_S = 15.0
MOST_WORDS = 300


def can_restart(machine: Machine) -> bool:
    """Whether there is somebody to ask."""
    return (machine.run / "systemd" / "system").is_dir() and shutil.which(machine.systemctl) is not None


async def restart(machine: Machine) -> str:
    """Have the machine started anew, by which the program is soon told to stop; returns why that is refused, or ""."""
    try:
        asking = await asyncio.create_subprocess_exec(
            machine.systemctl,
            *("--no-ask-password", "--no-block", "reboot"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as fault:
        return f"{machine.systemctl}: {fault.strerror}"
    try:
        async with asyncio.timeout(ANSWER_S):
            said, _ = await asking.communicate()
    except TimeoutError:
        return f"{machine.systemctl} gave no answer within {ANSWER_S:g} s"
    finally:
        if asking.returncode is None:
            asking.kill()
            await asking.wait()
    words = " ".join(said.decode(errors="replace").split())[:MOST_WORDS]
    return (words or f"{machine.systemctl} ended with {asking.returncode}") if asking.returncode else ""
