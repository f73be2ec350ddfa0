"""Says which dongles are there, which tuner each has, and what is wrong when one cannot be used.

Asks the driver in a thread of its own, so that a hung USB stack costs this command ten seconds, not for ever.
"""

import threading
from collections.abc import Sequence
from typing import Any

from appliance.errors import SourceHung, SourceUnavailable
from appliance.radio.sources.rtl_tcp import TUNERS
from appliance.radio.sources.usb import Dongle, explain_absence, explain_refusal, list_dongles, load_driver, open_device

ASK_S = 10.0


def describe() -> tuple[str, bool]:
    """A line a dongle (index, serial, maker, product, tuner), what is wrong with each, and whether one is usable.

    Raises SourceUnavailable when there is none; SourceHung when the driver does not return.
    """
    rtlsdr = load_driver()
    answers: list[tuple[Dongle, str, str]] = []
    faults: list[SourceUnavailable] = []

    def ask() -> None:
        try:
            answers.extend(_ask(rtlsdr))
        except SourceUnavailable as fault:
            faults.append(fault)

    thread = threading.Thread(target=ask, name="devices", daemon=True)
    thread.start()
    thread.join(ASK_S)
    if thread.is_alive():
        raise SourceHung(f"the driver did not answer within {ASK_S:g} s")
    if faults:
        raise faults[0]
    return _table(answers), any(not hint for _, _, hint in answers)


def _ask(rtlsdr: Any) -> list[tuple[Dongle, str, str]]:
    dongles = list_dongles(rtlsdr.librtlsdr)
    if not dongles:
        raise SourceUnavailable(*explain_absence())
    return [(dongle, *_tuner(rtlsdr, dongle)) for dongle in dongles]


def _tuner(rtlsdr: Any, dongle: Dongle) -> tuple[str, str]:
    """The tuner's name, or what is wrong with a hint."""
    try:
        device = open_device(rtlsdr, dongle.index)
    except OSError as fault:
        return explain_refusal(dongle, fault)
    number = device.get_tuner_type()
    device.close()
    return TUNERS.get(number, f"number {number}"), ""


def _table(answers: Sequence[tuple[Dongle, str, str]]) -> str:
    rows = [("index", "serial", "maker", "product", "tuner")]
    for dongle, tuner, hint in answers:
        rows.append((str(dongle.index), dongle.serial, dongle.manufacturer, dongle.product, "-" if hint else tuner))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{wrong}: {hint}" for _, wrong, hint in answers if hint]
    return "\n".join(lines)
