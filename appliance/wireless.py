"""Wi-Fi through NetworkManager, where that runs: which networks are heard, and joining one. By its `nmcli`.

The password goes through a pipe: in the arguments of a program everybody on the machine could read it. A machine
without NetworkManager has its network set up by other means, with which nothing is meddled here.

Source: nmcli(1), terse output and exit codes; measured on NetworkManager 1.42.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from dataclasses import dataclass
from typing import Literal, NamedTuple

LOOK_S, LOOK_ANEW_S, JOIN_S = 5.0, 20.0, 60.0
MOST_BYTES = 65_536
MOST_NETWORKS = 30
# IEEE 802.11: a name of 32 bytes; WPA takes 8 to 63 printable characters, or the key itself.
LONGEST_NAME = 32
PASSWORD = re.compile(r"[ -~]{8,63}|[0-9a-fA-F]{64}")

# "none": no NetworkManager. "off": its Wi-Fi is switched off. "no device": it knows of no radio for Wi-Fi.
State = Literal["none", "no device", "off", "ready"]
Outcome = Literal["joined", "password", "gone", "late", "rights", "none", "failed"]


class Network(NamedTuple):
    """A network that is heard. `takes` what it needs: a "password", "nothing", or "more" than can be given here."""

    name: str
    percent: int
    takes: Literal["password", "nothing", "more"]
    is_joined: bool


@dataclass(frozen=True, slots=True)
class Air:
    """What is heard, the strongest first."""

    state: State
    networks: tuple[Network, ...] = ()


class _Said(NamedTuple):
    code: int
    out: str
    fault: str


async def look(*, anew: bool = False, program: str = "nmcli") -> Air:
    """Which networks there are, as last heard; or, which takes some seconds, as heard `anew`."""
    devices = await _run(program, ["-t", "-f", "TYPE", "device", "status"], LOOK_S)
    if devices is None or devices.code != 0:
        return Air("none")
    if "wifi" not in devices.out.splitlines():
        return Air("no device")
    radio = await _run(program, ["radio", "wifi"], LOOK_S)
    if radio is not None and radio.out.strip() == "disabled":
        return Air("off")
    words = ["-t", "-e", "yes", "-f", "IN-USE,SSID,SIGNAL,SECURITY", "device", "wifi", "list"]
    said = await _run(program, [*words, "--rescan", "yes" if anew else "no"], LOOK_ANEW_S if anew else LOOK_S)
    return Air("ready", _networks(said.out) if said is not None and said.code == 0 else ())


async def join(name: str, password: str, *, is_hidden: bool = False, program: str = "nmcli") -> Outcome:
    """Join a network, and have it joined again by itself from now on. Takes a minute at most."""
    words = ["--wait", str(round(JOIN_S)), "device", "wifi", "connect", name]
    if is_hidden:
        words += ["hidden", "yes"]
    if password:
        words.insert(0, "--ask")
    said = await _run(program, words, JOIN_S + LOOK_S, f"{password}\n" if password else "")
    return "late" if said is None else _outcome(said)


def is_name(name: str) -> bool:
    """Whether a network can have this name."""
    return name.isprintable() and 0 < len(name.encode("utf-8", "replace")) <= LONGEST_NAME and not name.startswith("-")


def fields_of(line: str) -> list[str]:
    r"""The fields of a line of terse output.

    >>> fields_of(r"*:Caf\: \\ Luna:87:WPA2")
    ['*', 'Caf: \\ Luna', '87', 'WPA2']
    """
    return [re.sub(r"\\(.)", r"\1", field) for field in re.findall(r"(?:^|:)((?:[^:\\]|\\.)*)", line)]


def _networks(out: str) -> tuple[Network, ...]:
    """Each name once, as the strongest of its stations comes in."""
    found: dict[str, Network] = {}
    for line in out.splitlines():
        match fields_of(line):
            case [mark, name, percent, security] if is_name(name) and "\ufffd" not in name and percent.isdecimal():
                takes: Literal["password", "nothing", "more"]
                takes = "more" if "802.1X" in security else "password" if security.strip("- ") else "nothing"
                one = Network(name, min(100, int(percent)), takes, mark == "*")
                known = found.get(name)
                is_joined = one.is_joined or (known is not None and known.is_joined)
                best = one if known is None or one.percent > known.percent else known
                found[name] = best._replace(is_joined=is_joined)
    return tuple(sorted(found.values(), key=lambda one: (not one.is_joined, -one.percent)))[:MOST_NETWORKS]


def _outcome(said: _Said) -> Outcome:
    """What became of it, by the exit code and, where that leaves it open, by the words."""
    words = said.fault.lower()
    if said.code == 0:
        return "joined"
    if said.code in (8, 127):
        return "none"
    if "not authorized" in words or "insufficient privileges" in words:
        return "rights"
    if "secrets were required" in words or "802-11-wireless-security" in words:
        return "password"
    if said.code == 10 or "no network with ssid" in words or "no wi-fi device" in words:
        return "gone"
    return "late" if said.code == 3 else "failed"


async def _run(program: str, words: list[str], within_s: float, typed: str = "") -> _Said | None:
    """What the program says; None when it does not end, for which it is ended."""
    path = shutil.which(program)
    if path is None:
        return _Said(127, "", "")
    process = await asyncio.create_subprocess_exec(
        path,
        *words,
        stdin=asyncio.subprocess.PIPE if typed else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        # Without a terminal that it could ask at.
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(within_s):
            out, fault, _ = await asyncio.gather(_read(process.stdout), _read(process.stderr), _type(process, typed))
            return _Said(await process.wait(), out, fault)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _type(process: asyncio.subprocess.Process, typed: str) -> None:
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(typed.encode())
            await process.stdin.drain()
        process.stdin.close()


async def _read(stream: asyncio.StreamReader | None) -> str:
    """The beginning of what comes; the rest is read and dropped, so that nobody waits for a reader."""
    assert stream is not None
    kept = b""
    while piece := await stream.read(MOST_BYTES):
        kept += piece[: MOST_BYTES - len(kept)]
    return kept.decode("utf-8", "replace")
