"""`/radio/{name}/spectrum.svg`: the latest frame as a picture, for browsers that run no script.

Its colours are seen on light and on dark ground, for a picture is not told the theme of its page by every browser.
"""

from aiohttp import web

from appliance.control.lines import Spectrum
from appliance.errors import SourceUnavailable, UsageError
from appliance.web.frame.guard import readers
from appliance.web.views.radio.one_radio import controls_of

WAIT_S = 3.0
WIDTH, HEIGHT, LEFT, BELOW = 640, 220, 44, 24
SPAN_DB, MARGIN_DB = 60.0, 10.0
INK, LINE, PALE = "#0f8a83", "#c2571a", "#7b8985"
STEP_DB, STEP_HZ = 20, 500_000


@readers
async def view(request: web.Request) -> web.Response:
    """The picture; 503 if no frame comes."""
    controls = controls_of(request)
    try:
        found = await controls.spectrum(within_s=WAIT_S) if controls is not None else None
    except (SourceUnavailable, UsageError):
        found = None
    if found is None:
        raise web.HTTPServiceUnavailable
    response = web.Response(text=drawn(found[1]), content_type="image/svg+xml")
    response.headers["Cache-Control"] = "no-store"
    return response


def drawn(frame: Spectrum) -> str:
    """A frame as SVG: most and mean by frequency, the noise floor as a line, and the axes."""
    floor = frame.noise_floor_dbfs
    low = (floor if floor is not None else min(frame.mean_dbfs, default=-100.0)) - MARGIN_DB

    def y(level: float) -> float:
        return round(HEIGHT * (1 - min(1.0, max(0.0, (level - low) / SPAN_DB))), 1)

    def x(hz: float) -> float:
        return round(LEFT + WIDTH * ((hz - frame.center_hz) / frame.span_hz + 0.5), 1)

    def line(levels: tuple[float, ...]) -> str:
        step = WIDTH / max(1, len(levels))
        return " ".join(f"{LEFT + (n + 0.5) * step:.1f},{y(level)}" for n, level in enumerate(levels))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH} {HEIGHT + BELOW}">']
    parts.append(f'<g font-family="sans-serif" font-size="13" fill="{PALE}" stroke="none">')
    for level in range(round(low / STEP_DB + 0.5) * STEP_DB, round(low + SPAN_DB), STEP_DB):
        parts.append(f'<path d="M{LEFT} {y(level)}h{WIDTH}" stroke="{PALE}" stroke-opacity=".4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(level) + 4}" text-anchor="end">{level}</text>')
    first = -(-(frame.center_hz - frame.span_hz // 2) // STEP_HZ) * STEP_HZ
    for hz in range(first, frame.center_hz + frame.span_hz // 2, STEP_HZ):
        parts.append(f'<path d="M{x(hz)} 0v{HEIGHT}" stroke="{PALE}" stroke-opacity=".4"/>')
        parts.append(f'<text x="{x(hz)}" y="{HEIGHT + 18}" text-anchor="middle">{hz / 1e6:.1f}</text>')
    parts.append("</g>")
    parts.append(f'<polyline points="{line(frame.mean_dbfs)}" fill="none" stroke="{PALE}" stroke-width="1.5"/>')
    parts.append(f'<polyline points="{line(frame.peak_dbfs)}" fill="none" stroke="{INK}" stroke-width="2"/>')
    if floor is not None:
        parts.append(f'<path d="M{LEFT} {y(floor)}h{WIDTH}" stroke="{LINE}" stroke-width="2" stroke-dasharray="8 5"/>')
    return "".join([*parts, "</svg>"])
