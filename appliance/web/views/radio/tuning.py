"""What a technician sets by hand at a radio: centre, gain, correction, supply; at once, and back again.

It lasts until the program ends: what is to last belongs into the settings. A form may have any of the fields, and
sets those alone.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from appliance.radio.controls import Controls
from appliance.store.accounts import TECHNICIAN
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.typed import number
from appliance.web.views.radio.board import BOARD
from appliance.web.views.radio.one_radio import Trouble, note, receiver_of
from appliance.web.views.radio.page import answer, ask
from appliance.web.views.radio.setting import LIMITS

CENTER = "A number of MHz from %(low)s to %(high)s, such as 912.6."
GAIN = "A number of dB from %(low)s to %(high)s."
PPM = "A whole number from %(low)s to %(high)s."
NOTHING = "There was nothing to set."
PHRASES = (CENTER, GAIN, PPM, NOTHING)
PART = "tuning"
MEGA = 1_000_000


@only(TECHNICIAN)
async def tune(request: web.Request) -> web.Response:
    """Set what the form says."""
    typed = await form(request)
    changes = wanted(typed)
    if isinstance(changes, Trouble):
        return await answer(request, changes)

    async def set_it(controls: Controls) -> None:
        tuning = await controls.set(**changes)
        request.app[BOARD].set_by(receiver_of(request).name, request[SESSION].name)
        note(request, "radio_tuned", **asdict(tuning))

    return await ask(request, PART, set_it, typed)


@only(TECHNICIAN)
async def reset(request: web.Request) -> web.Response:
    """Set what the configuration says."""
    await form(request)

    async def go_back(controls: Controls) -> None:
        tuning = await controls.reset()
        request.app[BOARD].was_set(receiver_of(request).name)
        note(request, "radio_reset", **asdict(tuning))

    return await ask(request, PART, go_back)


def wanted(typed: Mapping[str, str]) -> dict[str, Any] | Trouble:
    """The settings that a form changes, or what is wrong with it."""
    changes: dict[str, Any] = {}
    if "center" in typed:
        center_mhz, (low, high) = number(typed["center"]), LIMITS["center_hz"]
        if center_mhz is None or not low <= center_mhz * MEGA <= high:
            return _wrong("center", CENTER, low / MEGA, high / MEGA, typed)
        changes["center_hz"] = round(center_mhz * MEGA)
    if typed.get("gain") == "auto":
        changes["gain_db"] = None
    elif "gain" in typed:
        gain_db, (low, high) = number(typed.get("gain_db", "")), LIMITS["gain_db"]
        if gain_db is None or not low <= gain_db <= high:
            return _wrong("gain_db", GAIN, low, high, typed)
        changes["gain_db"] = float(gain_db)
    if "ppm" in typed:
        ppm, (low, high) = number(typed["ppm"]), LIMITS["ppm"]
        if ppm is None or ppm != int(ppm) or not low <= ppm <= high:
            return _wrong("ppm", PPM, low, high, typed)
        changes["ppm"] = int(ppm)
    if "supply" in typed:
        changes["bias_tee"] = typed.get("bias_tee") == "on"
    return changes or Trouble(PART, NOTHING)


def _wrong(field: str, words: str, low: float, high: float, typed: Mapping[str, str]) -> Trouble:
    limits = {"low": f"{low:g}".replace("-", "−"), "high": f"{high:g}"}
    return Trouble(PART, words, field, limits, typed=typed)
