"""A batch as it is sent: JSON in columns, compressed. `docs/batch-format.md` specifies it; `unpack.py` reads it."""

import gzip
import json
from collections import Counter
from operator import floordiv, mul, sub
from typing import Any

from appliance.sync.batch import FORMAT, Batch, Meter, Part, Readings, Receptions, Sparse
from appliance.sync.columns import write, write_runs, write_sparse


def pack(batch: Batch) -> bytes:
    """The payload of a batch's envelope."""
    record: dict[str, Any] = {
        "format": FORMAT,
        "appliance": batch.appliance,
        "epoch": batch.epoch,
        "sequence": batch.sequence,
        "previous": batch.previous,
        "simulated": batch.simulated,
        "assignments": batch.assignments,
        "sealed": [batch.sealed_boot, *batch.sealed],
        "position": batch.position,
        "meters": _meters(batch.meters),
        "parts": [_part(part, len(batch.meters)) for part in batch.parts],
        "restated": batch.restated,
    }
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    # Without the time at which it was compressed: the same content is the same bytes.
    return gzip.compress(text.encode(), 9, mtime=0)


def _meters(meters: tuple[Meter, ...]) -> dict[str, Any]:
    ids = [meter.meter_id for meter in meters]
    return {
        "protocol": [meter.protocol for meter in meters],
        "meter_id": write_runs(ids, [len(ids)]),
        "endpoint_type": write([meter.endpoint_type for meter in meters]),
        "commodity": [meter.commodity for meter in meters],
        "simulated": write([int(meter.simulated) for meter in meters]),
    }


def _part(part: Part, meters: int) -> dict[str, Any]:
    return {
        "boot": part.boot,
        "boot_id": part.boot_id,
        "clock": part.clock,
        "readings": _readings(part.readings, meters),
        "receptions": _receptions(part.receptions, meters),
        "events": part.events,
    }


def _readings(rows: Readings, meters: int) -> dict[str, Any]:
    runs = _runs(rows.meter, meters)
    return {
        "runs": write(runs),
        "ms": write_runs(rows.ms, runs),
        "consumption": write_runs(rows.consumption, runs),
        "tamper_phy": write_sparse(rows.tamper_phy),
        "tamper_enc": write_sparse(rows.tamper_enc),
        "flags": write(rows.flags),
    }


def _receptions(rows: Receptions, meters: int) -> dict[str, Any]:
    runs = _runs(rows.meter, meters)
    # How many had a level is nearly always how many there were, and the best level lies near the mean.
    divisors = [max(1, levels) for levels in rows.levels]
    means = list(map(floordiv, rows.snr_sum_cdb, divisors))
    return {
        "runs": write(runs),
        "ms": write_runs(rows.ms, runs),
        "last": write(list(map(sub, rows.last, rows.ms))),
        "count": write(rows.count),
        "corrected": write(rows.corrected),
        "without_level": write(list(map(sub, rows.count, rows.levels))),
        "snr_mean_cdb": write(means),
        "snr_rest_cdb": write(list(map(sub, rows.snr_sum_cdb, map(mul, means, divisors)))),
        "snr_best_cdb": write_sparse(_above(rows.snr_best_cdb, means)),
        "frequency_min_hz": write_sparse(rows.frequency_min_hz),
        "frequency_max_hz": write_sparse(_above(rows.frequency_max_hz, rows.frequency_min_hz)),
    }


def _runs(column: list[int], meters: int) -> list[int]:
    counts = Counter(column)
    return [counts[meter] for meter in range(meters)]


def _above(column: Sparse, base: Sparse | list[int]) -> Sparse:
    """What a column has above another; one that has a gap where the other has none keeps it."""
    return [None if value is None else value - (low or 0) for value, low in zip(column, base, strict=True)]
