"""SigMF metadata beside a recording: what was recorded, how, when, and where samples are missing.

A gap is written twice, as SigMF has it: a new capture segment whose `core:global_index` counts the missing samples
(a replay puts them back), and an annotation for whoever looks at it. A file that is not called `.sigmf-data` is a
"non-conforming dataset", named by `core:dataset`.

Source: the SigMF specification, version 1.2.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from appliance.errors import InputError
from appliance.model import format_time, parse_time

VERSION = "1.2.0"
NAMESPACE = "meter_appliance"
DATA_SUFFIX = ".sigmf-data"
META_SUFFIX = ".sigmf-meta"
# Some centuries: times and counts beyond cannot be reckoned with.
MOST_SAMPLES = 2**53


@dataclass(frozen=True, slots=True)
class Gap:
    """`lost` samples are missing before the sample at `start` of the file."""

    start: int
    lost: int


@dataclass(frozen=True, slots=True)
class Description:
    """What the metadata of a recording says; what it does not say is None. `datatype` is SigMF's name."""

    datatype: str
    sample_rate_hz: float | None = None
    center_hz: int | None = None
    start: datetime | None = None
    hardware: str | None = None
    gain_db: float | None = None
    ppm: int | None = None
    simulated: bool = False
    gaps: tuple[Gap, ...] = field(default=())


def meta_path(data: Path) -> Path:
    """Where the metadata of this recording is kept."""
    return data.with_suffix(META_SUFFIX)


def write(data: Path, description: Description, recorder: str) -> None:
    """Write the metadata beside `data`; readers see the old or the new, never half of it. Raises OSError."""
    path = meta_path(data)
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(json.dumps(_to_json(data, description, recorder), indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def read(data: Path) -> Description | None:
    """The metadata of this recording, or None if none is beside it.

    Raises InputError naming the file and the field when the metadata is not usable.
    """
    path = meta_path(data)
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise InputError(f"{path}: not readable as SigMF metadata: {fault}") from None
    try:
        about = record["global"]
        if data.suffix != DATA_SUFFIX and about.get("core:dataset") != data.name:
            return None
        if about.get("core:num_channels", 1) != 1:
            raise InputError(f"{path}: core:num_channels is {about['core:num_channels']}, only 1 can be read")
        return _from_json(about, record.get("captures", []))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise InputError(f"{path}: not usable as SigMF metadata: {type(fault).__name__} {fault}") from None


def _to_json(data: Path, description: Description, recorder: str) -> dict[str, Any]:
    about: dict[str, Any] = {
        "core:datatype": description.datatype,
        "core:sample_rate": description.sample_rate_hz,
        "core:version": VERSION,
        "core:recorder": recorder,
        "core:hw": description.hardware,
        f"{NAMESPACE}:gain_db": description.gain_db,
        f"{NAMESPACE}:ppm": description.ppm,
        f"{NAMESPACE}:simulated": description.simulated,
        "core:extensions": [{"name": NAMESPACE, "version": "1.0.0", "optional": True}],
    }
    if data.suffix != DATA_SUFFIX:
        about["core:dataset"] = data.name
    first: dict[str, Any] = {"core:sample_start": 0, "core:global_index": 0, "core:frequency": description.center_hz}
    if description.start is not None:
        first["core:datetime"] = format_time(description.start)
    captures, annotations, missing = [first], [], 0
    for gap in description.gaps:
        missing += gap.lost
        place = {"core:sample_start": gap.start, "core:global_index": gap.start + missing}
        captures.append(place | {"core:frequency": description.center_hz})
        comment = f"{gap.lost} samples are missing before this one"
        note = {"core:sample_start": gap.start, "core:sample_count": 0, "core:label": "gap", "core:comment": comment}
        annotations.append(note)
    if captures[1:] and captures[1]["core:sample_start"] == 0:
        captures[0:2] = [first | {"core:global_index": captures[1]["core:global_index"]}]
    return {
        "global": {key: value for key, value in about.items() if value is not None},
        "captures": captures,
        "annotations": annotations,
    }


def _from_json(about: dict[str, Any], captures: list[dict[str, Any]]) -> Description:
    first = captures[0] if captures else {}
    rate, center, start = about.get("core:sample_rate"), first.get("core:frequency"), first.get("core:datetime")
    if any(capture.get("core:header_bytes") for capture in captures):
        raise ValueError("core:header_bytes is set: samples between headers cannot be read")
    gain = about.get(f"{NAMESPACE}:gain_db")
    return Description(
        datatype=str(about["core:datatype"]),
        sample_rate_hz=None if rate is None else _number("core:sample_rate", rate, 1e11),
        center_hz=None if center is None else round(_number("core:frequency", center, 1e11)),
        start=None if start is None else parse_time(start),
        hardware=about.get("core:hw"),
        gain_db=None if gain is None else _number(f"{NAMESPACE}:gain_db", gain, 1000, -1000),
        ppm=about.get(f"{NAMESPACE}:ppm"),
        simulated=about.get(f"{NAMESPACE}:simulated") is True,
        gaps=tuple(_gaps(captures)),
    )


def _number(name: str, value: Any, most: float, least: float = 0) -> float:
    if isinstance(value, bool) or not least <= float(value) <= most:
        raise ValueError(f"{name} is {value!r:.40}, expected a number from {least:g} to {most:g}")
    return float(value)


def _gaps(captures: Iterable[dict[str, Any]]) -> Iterable[Gap]:
    missing = 0
    for capture in captures:
        start = int(capture["core:sample_start"])
        now_missing = int(capture.get("core:global_index", start + missing)) - start
        if abs(start) > MOST_SAMPLES or now_missing > MOST_SAMPLES:
            raise ValueError(f"a capture at {start} of which {now_missing} samples are missing before it")
        # A recording cut out of a longer one begins at a high index; that is no gap.
        if start > 0 and now_missing > missing:
            yield Gap(start, now_missing - missing)
        missing = max(missing, now_missing)
