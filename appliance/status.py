"""`appliance status`: asks the running appliance how it is, and says it in words.

The source is `GET /healthz` of the page, over this machine's own address; the exit code says the overall state.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, TextIO

from appliance.config import Web
from appliance.errors import NotRunning

ANSWER_S = 10.0
MOST_BYTES = 1_000_000
SOURCES = {
    "estimate": "an estimate",
    "ntp": "by NTP",
    "rtc": "by a clock chip",
    "receipt": "by the aggregator's answer",
    "browser": "by a technician's browser",
}
# As in docs/commands.md: a degraded appliance goes on by itself, a failed part may need a person.
EXIT_CODES = {"healthy": 0, "degraded": 75, "failed": 70}


def report(web: Web, out: TextIO) -> int:
    """Print how the running appliance is; returns the exit code. Raises NotRunning."""
    health = ask(web)
    out.write("\n".join(describe(health)) + "\n")
    return EXIT_CODES[health["state"]]


def ask(web: Web) -> dict[str, Any]:
    """What `/healthz` says. Raises NotRunning when no appliance answers at the port that is set."""
    if web.port == 0:
        raise NotRunning("[web] port is 0, so it is not known where the page is", "Set [web] port to a number.")
    host = f"[{web.near_host}]" if ":" in web.near_host else web.near_host
    where = f"{host}:{web.port}"
    # A proxy that is set for the outside has no business between two programs of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{where}/healthz", timeout=ANSWER_S) as answer:
            body = answer.read(MOST_BYTES)
    except urllib.error.HTTPError as fault:
        with fault:
            body = fault.read(MOST_BYTES)
    except TimeoutError:
        raise NotRunning(f"something at {where} takes connections but does not answer within {ANSWER_S:g} s") from None
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "reason", fault)
        raise NotRunning(f"no appliance answers at {where}: {getattr(reason, 'strerror', None) or reason}") from None
    try:
        health = json.loads(body)
        if health["state"] in EXIT_CODES and isinstance(health["parts"], dict):
            return dict(health)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    hint = "Set [web] port in the configuration to that of the appliance, or stop the other program."
    raise NotRunning(f"what answers at {where} is no appliance", hint)


def describe(health: dict[str, Any]) -> Iterator[str]:
    """The lines to print."""
    simulated = ", what is heard is simulated" if health.get("simulated") else ""
    yield f"{health['state']}: version {health.get('version')}, running for {duration(health['uptime_s'])}{simulated}"
    yield from ("", "Parts")
    for name, part in health["parts"].items():
        times = f" (failed {part['failures']} times)" if part["failures"] else ""
        yield f"  {name}: {part['state']}{times}{_because(part['reason'])}"
        if part["hint"]:
            yield f"    {part['hint']}"
    yield from ("", "Receivers")
    for one in health.get("receivers") or ():
        yield f"  {one['name']} ({one['source']}): {one['state']}{_because(one['reason'])}"
        floor = "" if one["noise_floor_dbfs"] is None else f", noise floor {one['noise_floor_dbfs']:.1f} dBFS"
        yield f"    {one['messages']} messages, {one['restarts']} restarts{floor}"
    if not health.get("receivers"):
        yield "  none"
    yield from ("", "Readings")
    yield f"  {health['meters']} meters known"
    yield f"  {health['readings_waiting']} readings waiting to be written, {health['readings_lost']} lost"
    yield from _storage(health.get("storage"))
    yield from _clock(health.get("clock"))


def _storage(storage: dict[str, Any] | None) -> Iterator[str]:
    if not storage:
        return
    yield from ("", "Storage")
    yield f"  {size(storage['bytes_used'])} of {size(storage['bytes_budget'])} used, {size(storage['bytes_free'])} free"
    yield f"  {storage['segments']} segments of history, {storage['damaged_segments']} damaged"
    if storage["last_commit_age_s"] is not None:
        yield f"  last written {duration(storage['last_commit_age_s'])} ago"
    if storage["trouble"]:
        yield f"  trouble: {storage['trouble']}"


def _clock(clock: dict[str, Any] | None) -> Iterator[str]:
    if not clock:
        return
    known = clock["uncertainty_ms"]
    bound = "how far off is not known" if known is None else f"at most {known / 1000:g} s off"
    source = SOURCES.get(clock["source"], f"by {clock['source']}")
    yield from ("", "Clock", f"  {source}, {bound}")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def duration(seconds: float) -> str:
    """In two units at most.

    >>> [duration(s) for s in (0.4, 59, 61, 7300, 200_000)]
    ['0 s', '59 s', '1 min 1 s', '2 h 1 min', '2 d 7 h']
    """
    left = int(seconds)
    parts: list[str] = []
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length} {unit}")
        elif parts:
            break
        left %= length
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Bytes in decimal units, as disks are sold.

    >>> size(999), size(25_000_000), size(8_000_000_000)
    ('999 B', '25.0 MB', '8.0 GB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return f"{count:.0f} B" if units[0] == "B" else f"{count:.1f} {units[0]}"
