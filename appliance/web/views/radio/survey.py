"""A survey of the band: which centre hears most meters. Begun, ended, and taken along as a table."""

from collections.abc import Mapping
from decimal import Decimal

from aiohttp import web

from appliance.control.commands import LONGEST_DWELL_S, LONGEST_SURVEY_S, MOST_CENTERS, SHORTEST_DWELL_S
from appliance.radio.controls import Controls
from appliance.store.accounts import TECHNICIAN
from appliance.web import table_file
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only, readers
from appliance.web.openapi.tables import SURVEYED, columns
from appliance.web.typed import number
from appliance.web.views.radio.board import BOARD
from appliance.web.views.radio.one_radio import Trouble, controls_of, note, receiver_of
from appliance.web.views.radio.page import answer, ask
from appliance.web.views.radio.setting import LIMITS
from appliance.web.views.radio.tuning import CENTER, MEGA

ORDER = "The last centre must not lie below the first."
STEP = "A number of MHz above 0."
TOO_MANY = "At most %(high)s centres: take a larger step."
DWELL = "A number of seconds from %(low)s to %(high)s."
TOO_LONG = "It would take longer than %(high)s minutes: take fewer centres, or less time at each."
PHRASES = (ORDER, STEP, TOO_MANY, DWELL, TOO_LONG)
PART = "survey"
FIELDS = ("from", "to", "step", "dwell")
COLUMNS = columns(SURVEYED)


@only(TECHNICIAN)
async def begin(request: web.Request) -> web.Response:
    """Begin one."""
    typed = await form(request)
    asked = wanted(typed)
    if isinstance(asked, Trouble):
        return await answer(request, asked)
    centers_hz, dwell_s = asked

    async def begin_it(controls: Controls) -> None:
        await controls.begin_survey(centers_hz, dwell_s)
        about = {"from_hz": centers_hz[0], "to_hz": centers_hz[-1], "centers": len(centers_hz), "dwell_s": dwell_s}
        note(request, "survey_begun", **about)
        fields = {field: float(number(typed[field]) or 0) for field in FIELDS}
        request.app[BOARD].survey_asked(receiver_of(request).name, fields)

    return await ask(request, PART, begin_it, typed)


@only(TECHNICIAN)
async def stop(request: web.Request) -> web.Response:
    """End the one that is under way."""
    await form(request)

    async def stop_it(controls: Controls) -> None:
        await controls.stop_survey()
        note(request, "survey_stopped")

    return await ask(request, PART, stop_it, ends=True)


@readers
async def export(request: web.Request) -> web.Response:
    """What the last one found, as a file: a row for each centre, `meters` distinct ones."""
    controls = controls_of(request)
    rows = [
        {
            "center_hz": one.center_hz,
            "seconds": one.seconds,
            "messages": one.messages,
            "meters": one.distinct_meters,
            "noise_floor_dbfs": one.noise_floor_dbfs,
        }
        for one in (controls.surveyed if controls else ())
    ]
    name = receiver_of(request).name.replace(" ", "-")
    return table_file.answer(request, f"survey-{name}", rows, COLUMNS)


def wanted(typed: Mapping[str, str]) -> tuple[tuple[int, ...], float] | Trouble:
    """The centres of a survey in Hz and the seconds at each, or what is wrong with the form."""
    low, high = LIMITS["center_hz"]
    ends: list[Decimal] = []
    for field in ("from", "to"):
        end = number(typed.get(field, ""))
        if end is None or not low <= end * MEGA <= high:
            return _wrong(typed, field, CENTER, low / MEGA, high / MEGA)
        ends.append(end * MEGA)
    first, last = map(round, ends)
    if last < first:
        return _wrong(typed, "to", ORDER)
    step_mhz = number(typed.get("step", ""))
    if step_mhz is None or not 1 <= step_mhz * MEGA <= high:
        return _wrong(typed, "step", STEP)
    step = round(step_mhz * MEGA)
    count = (last - first) // step + 1
    if count > MOST_CENTERS:
        return _wrong(typed, "step", TOO_MANY, high=MOST_CENTERS)
    dwell_s = number(typed.get("dwell", ""))
    if dwell_s is None or not SHORTEST_DWELL_S <= dwell_s <= LONGEST_DWELL_S:
        return _wrong(typed, "dwell", DWELL, SHORTEST_DWELL_S, LONGEST_DWELL_S)
    if count * dwell_s > LONGEST_SURVEY_S:
        return _wrong(typed, "dwell", TOO_LONG, high=LONGEST_SURVEY_S / 60)
    return tuple(range(first, last + 1, step)), float(dwell_s)


def _wrong(typed: Mapping[str, str], field: str, words: str, low: float = 0, high: float = 0) -> Trouble:
    return Trouble(PART, words, field, {"low": f"{low:g}", "high": f"{high:g}"}, typed=typed)
