"""A meter as the list shows it, and as it is told to programs."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from appliance.assignment import Assignment
from appliance.store.ledger import Meter
from appliance.store.rows import MeterKey
from appliance.web.openapi.tables import METER, columns
from appliance.web.parts import Parts
from appliance.web.quantities import Scale, scale_of
from appliance.web.times import Shown, Times
from appliance.web.times import told as when
from appliance.web.views.meters.sparks import Spark

# Eb/N0 that fills the bar, and where a level is called weak or fair. Half of the messages of an unknown meter
# are lost near 9 dB, and 10 dB of fading is common.
FULL_BAR_DB = 40.0
WEAK_DB, FAIR_DB = 12.0, 20.0


@dataclass(frozen=True, slots=True)
class MeterRow:
    """For _rows.html. `level` is "weak", "fair" or "good"; `path` is its page.

    `register` is in counts; `quantity` is that times the multiplier, with so many `decimals`. `used` is what it used in
    the last day in the same unit, or in counts.
    """

    dom_id: str
    path: str
    key: MeterKey
    name: str
    address: str
    commodity: str
    register: int
    scale: Scale
    quantity: Decimal | None
    spark: str
    used: Decimal | None
    heard: Shown
    changed: Shown | None
    snr_db: float | None
    level: str
    bar_percent: int
    per_hour: int
    tamper_phy: int | None
    tamper_enc: int | None
    tamper_changed: Shown | None


def name_of(key: MeterKey) -> str:
    """A meter as addresses name it.

    >>> name_of(MeterKey("scm", 60243827, False)), name_of(MeterKey("scm+", 7, True))
    ('scm/60243827', 'scm+/7-simulated')
    """
    return f"{key.protocol}/{key.meter_id}{'-simulated' if key.simulated else ''}"


def dom_id(key: MeterKey) -> str:
    """What a meter's row is called in a page."""
    return f"m-{name_of(key).replace('/', '-')}"


def level_of(snr_db: float | None) -> str:
    """How good a level is, "" where none was measured."""
    return "" if snr_db is None else "weak" if snr_db < WEAK_DB else "fair" if snr_db < FAIR_DB else "good"


def meter_row(parts: Parts, meter: Meter, of: Assignment | None, spark: Spark | None, times: Times) -> MeterRow:
    """A meter as the table shows it."""
    key, snr_db, scale = meter.key, meter.snr_db, scale_of(parts.store, meter.key, meter.commodity)
    used = spark.used if spark else None
    return MeterRow(
        dom_id=dom_id(key),
        path=f"/meters/{name_of(key)}",
        key=key,
        name=of.name if of else "",
        address=of.address if of else "",
        commodity=meter.commodity,
        register=meter.consumption,
        scale=scale,
        quantity=scale.quantity(meter.consumption),
        spark=spark.path if spark else "",
        used=None if used is None else used * (scale.multiplier or Decimal(1)),
        heard=times.at(meter.last_at),
        changed=None if meter.changed_at is None else times.at(meter.changed_at),
        snr_db=snr_db,
        level=level_of(snr_db),
        bar_percent=round(100 * min(1.0, max(0.0, (snr_db or 0.0) / FULL_BAR_DB))),
        per_hour=round(meter.messages_an_hour(times.now.timestamp())),
        tamper_phy=meter.tamper_phy,
        tamper_enc=meter.tamper_enc,
        tamper_changed=None if meter.tamper_changed_at is None else times.at(meter.tamper_changed_at),
    )


def told(parts: Parts, meter: Meter, of: Assignment | None, spark: Spark | None, times: Times) -> dict[str, Any]:
    """A meter as programs read it."""
    row = meter_row(parts, meter, of, spark, times)
    return {
        "protocol": meter.key.protocol,
        "meter_id": meter.key.meter_id,
        "simulated": meter.key.simulated,
        "commodity": meter.commodity,
        "endpoint_type": meter.endpoint_type,
        "assigned": of is not None,
        "name": row.name,
        "address": row.address,
        "register": meter.consumption,
        "multiplier": row.scale.multiplier,
        "quantity": row.quantity,
        "unit": row.scale.unit,
        "used_last_day": spark.used if spark else None,
        "used_last_day_quantity": row.scale.quantity(spark.used) if spark else None,
        **when("last_heard", row.heard),
        **when("last_changed", row.changed),
        "snr_db": meter.snr_db,
        "frequency_hz": meter.frequency_hz,
        "messages_an_hour": row.per_hour,
        "tamper_phy": meter.tamper_phy,
        "tamper_enc": meter.tamper_enc,
        **when("tamper_changed", row.tamper_changed),
    }


def told_unheard(of: Assignment) -> dict[str, Any]:
    """A meter that is assigned and was never heard, with the same fields."""
    return {
        **dict.fromkeys(columns(METER)),
        "protocol": of.protocol,
        "meter_id": of.meter_id,
        "simulated": False,
        "assigned": True,
        "name": of.name,
        "address": of.address,
        "multiplier": of.multiplier,
        "unit": "",
        "messages_an_hour": 0,
        **when("last_heard", None),
        **when("last_changed", None),
        **when("tamper_changed", None),
    }
