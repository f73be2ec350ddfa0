"""`appliance doctor`: looks at all that an appliance depends on, and says what to do about what is wrong.

One line for each thing, on standard output; what takes long is told on standard error. It changes nothing, sends
nothing beyond this machine, and does not disturb an appliance that runs.
"""

import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from appliance.config import Draft
from appliance.doctor.disk import check_disk
from appliance.doctor.finding import Finding
from appliance.doctor.power import check_power
from appliance.doctor.program import check_port, check_rights, check_running, check_settings
from appliance.doctor.radio import check_dongles, check_library, check_television_driver
from appliance.doctor.system import check_clock, check_network
from appliance.errors import ApplianceError, NotRunning
from appliance.machine import Machine
from appliance.status import ask

LONG_S = 2.0
BAD = ApplianceError.exit_code


def examine(draft: Draft, out: TextIO, err: TextIO, machine: Machine | None = None) -> int:
    """Print what is found; returns the exit code: 0 when nothing is bad."""
    bad = look = 0
    for finding in findings(draft, err, machine or Machine()):
        out.write(f"{finding.verdict:<5} {finding.name:<18} {finding.found}\n")
        if finding.advice:
            out.write(f"{'':<24} → {finding.advice}\n")
        out.flush()
        bad += finding.verdict == "bad"
        look += finding.verdict == "look"
    out.write(f"\n{bad} bad, {look} worth a look\n")
    return BAD if bad else 0


def findings(draft: Draft, err: TextIO, machine: Machine) -> Iterator[Finding]:
    """All checks, one after the other."""
    config = draft.config
    health, why_not, hint = None, "", ""
    with _Patience("the running appliance", err):
        try:
            health = ask(config.web)
        except NotRunning as fault:
            why_not, hint = str(fault), fault.hint
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("the settings", lambda: check_settings(draft)),
        ("the appliance", lambda: check_running(health, why_not, hint)),
        ("the port", lambda: check_port(config.web, health is not None)),
        ("the radio's library", check_library),
        ("dongles", lambda: check_dongles(config, machine, health)),
        ("drivers", lambda: check_television_driver(machine)),
        ("power", lambda: check_power(machine)),
        *((("the card", lambda: check_disk(config.store.directory, machine)),) if draft.keeps else ()),
        ("rights", lambda: check_rights(draft)),
        ("the clock", lambda: check_clock(machine)),
        ("the network", lambda: check_network(machine)),
    )
    for what, check in checks:
        with _Patience(what, err):
            found = list(check())
        yield from found


class _Patience:
    """Says what is being waited for when it takes long, as a failing card does."""

    def __init__(self, what: str, err: TextIO) -> None:
        self._timer = threading.Timer(LONG_S, lambda: err.write(f"looking at {what} ...\n"))
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
