"""A street of meters that never was: who they are, when they send, on which channel, and what their registers show.

Everything is a function of a seed and the time of day, without state. So the same seed gives the same street, a
simulation that starts again goes on where the street would be by now, no register runs backwards, and a year of it
takes no more memory than a second.

How a real street behaves is in `docs/protocols.md`: channels, intervals, levels, oscillators. A household uses about
220 kWh a month, least at night and most in the evening; now and then somebody tampers with one of four of the meters.
Where the gaps between the hop channels lie is not published; here they begin at 914.5 MHz.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil, cos, floor, tau
from typing import Literal

import numpy as np

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
DAY_S = 86_400.0
MONTH_S = 30.4 * DAY_S
REGISTER_CODES = 1 << 24

CHANNEL_STEP_HZ = 196_568
CHANNELS_HZ = tuple(909_586_000 + CHANNEL_STEP_HZ * n for n in range(63) if n not in range(25, 62, 3))
LEVEL_MEAN_DB, LEVEL_DEVIATION_DB, LEVEL_MIN_DB, LEVEL_MAX_DB = 24.0, 8.0, 6.0, 48.0
FADING_DB = 2.0
# An electric meter brings its register up to date this often, whatever it sends in between.
REFRESH_S = 300.0
TAMPER_EVERY_S = 1800.0
TAMPERED_METERS = 4
# West of Greenwich, like the street that the project comes from.
LOCAL_TIME_S = -4 * 3600.0

Oscillator = Literal["steady", "drifting", "pulled"]

# Share of the day's mean load in each hour, local time.
_DAYS = {
    "household": (5, 4, 4, 4, 4, 5, 8, 12, 11, 8, 7, 7, 9, 9, 7, 7, 8, 10, 13, 18, 20, 18, 13, 8),
    "sun": (0, 0, 0, 0, 0, 0, 0, 1, 4, 8, 12, 15, 16, 15, 13, 9, 5, 2, 0, 0, 0, 0, 0, 0),
    "water": (1, 1, 1, 1, 1, 3, 9, 14, 11, 8, 6, 5, 6, 7, 5, 4, 5, 6, 8, 10, 10, 7, 4, 2),
}
_HOURS = np.arange(25) / 24
_USED_BY_HOUR = {name: np.concatenate([[0.0], np.cumsum(day) / np.sum(day)]) for name, day in _DAYS.items()}


@dataclass(frozen=True, slots=True)
class Meter:
    """One endpoint of the street.

    `counts_per_s` is the register's mean pace, `first_count` what it showed at EPOCH, `day` the shape of its use;
    `tamper_slot` is None for a meter nobody touches, `wobble_hz` the rms of a pulled oscillator, 0 for a clean one.
    """

    index: int
    meter_id: int
    endpoint_type: int
    day: str
    counts_per_s: float
    first_count: float
    period_s: float
    phase: float
    refresh_s: float
    tamper_phy: int
    tamper_enc: int
    tamper_slot: int | None
    level_db: float
    oscillator: Oscillator
    wobble_hz: float
    offset_hz: float
    hops: tuple[int, ...]

    def register_at(self, time_s: float) -> int:
        """What the register shows `time_s` seconds after EPOCH, rolled over at 24 bits."""
        local_s = floor(time_s / self.refresh_s) * self.refresh_s + LOCAL_TIME_S
        days = floor(local_s / DAY_S)
        used_today = float(np.interp(local_s / DAY_S - days, _HOURS, _USED_BY_HOUR[self.day]))
        # Cold winters, and weeks that differ; the integral of 1 + 0.15 sin(…) + 0.1 sin(…), so it only ever rises.
        seasons = sum(
            share * days_long / tau * (1 - cos(tau * (days + used_today) / days_long + self.index))
            for share, days_long in ((0.15, 365.25), (0.1, 3.7))
        )
        return int(self.first_count + self.counts_per_s * DAY_S * (days + used_today + seasons)) % REGISTER_CODES

    def tampers_at(self, time_s: float) -> tuple[int, int]:
        """The physical and the encoder tamper counter, `time_s` seconds after EPOCH: they turn in turns."""
        if self.tamper_slot is None:
            return self.tamper_phy, self.tamper_enc
        times = (floor(time_s / TAMPER_EVERY_S) - self.tamper_slot) // TAMPERED_METERS + 1
        return (self.tamper_phy + (times + 1) // 2) % 4, (self.tamper_enc + times // 2) % 4


@dataclass(frozen=True, slots=True)
class Transmission:
    """One message on its way: `time_s` after EPOCH its first bit begins, `level_db` is its Eb/N0.

    `drift_hz_per_s` and `wobble_hz` say what the oscillator does; `key` seeds what is left to chance.
    """

    time_s: float
    meter_id: int
    endpoint_type: int
    tamper_phy: int
    tamper_enc: int
    consumption: int
    frequency_hz: float
    level_db: float
    oscillator: Oscillator
    drift_hz_per_s: float
    wobble_hz: float
    key: tuple[int, int, int]


def street(seed: int, meters: int) -> list[Meter]:
    """The meters of a seed: the first next to the antenna, the second and third one house with solar cells."""
    rng = np.random.default_rng((seed, 0))
    # Every fourth ID, so that the house with solar cells has room for its second.
    ids = 17_000_000 + 4 * rng.choice(11_000_000, meters, replace=False)
    homes = [_meter(index, int(meter_id), rng) for index, meter_id in enumerate(ids)]
    if meters:
        homes[0] = replace(homes[0], level_db=LEVEL_MAX_DB, oscillator="steady", wobble_hz=0.0)
    if meters >= 3:
        delivered = replace(
            homes[1],
            endpoint_type=8,
            day="household",
            counts_per_s=22_000 / MONTH_S,
            first_count=400_000.0,
            period_s=30.0,
            refresh_s=REFRESH_S,
        )
        homes[1:3] = [
            delivered,
            replace(delivered, index=2, meter_id=delivered.meter_id + 1, day="sun", phase=delivered.phase + 0.37),
        ]
    return homes


def _meter(index: int, meter_id: int, rng: np.random.Generator) -> Meter:
    endpoint_type = int(rng.choice([7, 8, 4, 5, 12, 13, 11], p=[0.35, 0.2, 0.12, 0.05, 0.14, 0.1, 0.04]))
    size = float(np.exp(rng.normal(0, 0.4)))
    if endpoint_type in (7, 8):  # 10 Wh
        day, per_month, refresh_s = "household", 22_000 * size, REFRESH_S
    elif endpoint_type in (4, 5):  # 1 kWh
        day, per_month, refresh_s = "household", 220 * size, REFRESH_S
    elif endpoint_type == 12:  # cubic feet
        day, per_month, refresh_s = "household", 1_000 * size, 60.0
    else:  # 10 l
        day, per_month, refresh_s = "water", 1_500 * size, 60.0
    pulled = rng.random() < (0.7 if endpoint_type == 7 else 0.1)
    clean: Oscillator = "steady" if rng.random() < 0.5 else "drifting"
    return Meter(
        index=index,
        meter_id=meter_id,
        endpoint_type=endpoint_type,
        day=day,
        counts_per_s=per_month / MONTH_S,
        first_count=per_month * 12 * rng.uniform(0.5, 8),
        period_s=float(rng.uniform(29, 31) if day == "household" and endpoint_type != 12 else rng.uniform(15, 60)),
        phase=float(rng.random()),
        refresh_s=refresh_s,
        tamper_phy=int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1])),
        tamper_enc=int(rng.integers(4)),
        tamper_slot=(index - 3) % TAMPERED_METERS if 3 <= index < 3 + TAMPERED_METERS else None,
        level_db=float(np.clip(rng.normal(LEVEL_MEAN_DB, LEVEL_DEVIATION_DB), LEVEL_MIN_DB, LEVEL_MAX_DB)),
        oscillator="pulled" if pulled else clean,
        wobble_hz=float(rng.uniform(20e3, 40e3)) if pulled else 0.0,
        offset_hz=float(rng.normal(0, 6e3)),
        hops=tuple(int(n) for n in rng.permutation(len(CHANNELS_HZ))),
    )


def transmissions(seed: int, homes: list[Meter], from_s: float, band_hz: tuple[float, float]) -> Iterator[Transmission]:
    """All that is sent within a band from `from_s` seconds after EPOCH on, in order of time, without end."""
    return heapq.merge(*(_sent_by(seed, home, from_s, band_hz) for home in homes), key=lambda sent: sent.time_s)


def _sent_by(seed: int, home: Meter, from_s: float, band_hz: tuple[float, float]) -> Iterator[Transmission]:
    turn = ceil(from_s / home.period_s - home.phase - 0.1)
    if not any(band_hz[0] <= CHANNELS_HZ[hop] + home.offset_hz <= band_hz[1] for hop in home.hops):
        return
    while True:
        frequency_hz = CHANNELS_HZ[home.hops[turn % len(home.hops)]] + home.offset_hz
        if band_hz[0] <= frequency_hz <= band_hz[1]:
            # Before EPOCH, as on a machine whose clock was never set, turns are negative and seeds may not be.
            key = (seed, home.index, turn % 2**32)
            rng = np.random.default_rng((*key, 1))
            # Endpoints vary their interval so that two of them never collide for long; within a tenth, here.
            time_s = (turn + home.phase + rng.uniform(0, 0.1)) * home.period_s
            level_db = float(np.clip(home.level_db + rng.normal(0, FADING_DB), LEVEL_MIN_DB, LEVEL_MAX_DB))
            per_s = {"steady": 5e3, "drifting": 300e3, "pulled": 0.0}[home.oscillator]
            drift_hz_per_s = float(rng.uniform(-per_s, per_s))
            wander_hz = float(rng.normal(0, 300))
            if time_s >= from_s:
                tamper_phy, tamper_enc = home.tampers_at(time_s)
                yield Transmission(
                    time_s=time_s,
                    meter_id=home.meter_id,
                    endpoint_type=home.endpoint_type,
                    tamper_phy=tamper_phy,
                    tamper_enc=tamper_enc,
                    consumption=home.register_at(time_s),
                    frequency_hz=frequency_hz + wander_hz,
                    level_db=level_db,
                    oscillator=home.oscillator,
                    drift_hz_per_s=drift_hz_per_s,
                    wobble_hz=home.wobble_hz,
                    key=key,
                )
        turn += 1
