"""The numbers of the receiver, of the store, of delivery and of the site: `python -m benchmarks`, or `make bench`.

With names of parts (`receiver`, `store`, `powercuts`, `delivery`, `ingest`, `site`) only these are measured. Scenes are
made from the seeds given, by the definitions in `docs/receiver.md`; other seeds make other scenes. Prints a table of
what was measured beside what must be and what is aimed at; exits with 1 when a must is missed.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import asking, browsers, ingest, month, offline, rate, scenes, site, size, wire, writing
from benchmarks.conservation import campaign as conservation
from benchmarks.conservation.check import Lost
from benchmarks.cost import peak_memory_mb, processor_ratio
from benchmarks.hearing import Heard, hear, listen
from benchmarks.powercuts import campaign
from benchmarks.scenes import RATE_HZ

FAINT_NOISE, STREET_NOISE = 8.0, 2.5
INTRODUCED = 60


@dataclass(frozen=True)
class Row:
    """A line of the table: lower is better unless `at_least`."""

    measure: str
    unit: str
    must: float
    aim: float
    got: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        def reached(limit: float) -> bool:
            return self.got >= limit if self.at_least else self.got <= limit

        return "aim" if reached(self.aim) else "must" if reached(self.must) else "MISSED"


def noise(seconds: float, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Noise alone, with a word of progress every minute."""
    for i, block in enumerate(scenes.render([], int(seconds * RATE_HZ), FAINT_NOISE, seed)):
        if i % 60 == 0 and seconds > 60:
            print(f"\r  noise: {i // 60} of {seconds / 60:.0f} min", end="", file=sys.stderr, flush=True)
        yield block
    print(file=sys.stderr)


def faint(per_level: int, seed: int) -> dict[str, Heard]:
    """The scenes of single, faint messages, by the name of their curve."""

    def levels(first: float, last: float) -> list[float]:
        return [float(level) for level in np.arange(first, last + 0.01, 0.5)]

    strangers: Callable[..., tuple[list[scenes.Sent], int]] = scenes.strangers
    known = scenes.acquaintances(levels(2.0, 7.0), per_level, INTRODUCED, seed + 3)
    return {
        "steady": hear("steady", strangers(levels(6.5, 11), per_level, seed), FAINT_NOISE, seed),
        "20 kHz wobble": hear(
            "20 kHz wobble", strangers(levels(8, 13), per_level, seed + 1, wobble_hz=20e3), FAINT_NOISE, seed + 1
        ),
        "40 kHz wobble": hear(
            "40 kHz wobble", strangers(levels(9, 14.5), per_level, seed + 2, wobble_hz=40e3), FAINT_NOISE, seed + 2
        ),
        "steady, meter known": hear("steady, meter known", known, FAINT_NOISE, seed + 3, skip=INTRODUCED),
    }


def draw(curves: dict[str, Heard], path: Path) -> None:
    """The share of messages heard against Eb/N0, as a picture for the documents."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, heard in curves.items():
        known = "known" in name
        points = heard.by_level(uncorrected=not known)
        line = axes.plot(
            [level for level, _ in points], [100 * share for _, share in points], marker="o", markersize=3, label=name
        )
        axes.axvline(heard.half(uncorrected=not known), color=line[0].get_color(), linewidth=0.7, linestyle=":")
    axes.axhline(50, color="grey", linewidth=0.7)
    axes.set(xlabel="Eb/N0 of a message sent once (dB)", ylabel="messages heard (%)", ylim=(0, 100))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def receiver(arguments: argparse.Namespace) -> list[Row]:
    seed, quick = arguments.seed, arguments.quick
    curves = faint(40 if quick else 200, seed)
    seconds = 20 if quick else 90
    streets = {
        rate: hear(
            f"street, {rate} messages/s", scenes.dense_street(rate, seconds, seed + rate), STREET_NOISE, seed + rate
        )
        for rate in (40, 120)
    }
    noise_hours = 1 / 60 if quick else arguments.noise_hours
    from_noise = len(listen(noise(3600 * noise_hours, seed + 9)))
    idle = list(scenes.render([], 10 * RATE_HZ, STREET_NOISE, seed + 10))
    sent, n_samples = scenes.dense_street(40, 10, seed + 11)
    busy = list(scenes.render(sent, n_samples, STREET_NOISE, seed + 11))
    print("  processor and memory …", file=sys.stderr, flush=True)
    idle_ratio, bare_ms = processor_ratio(idle)
    busy_ratio, _ = processor_ratio(busy)
    print(f"bare FFT: {bare_ms:.1f} ms of processor time a second of samples")
    false = sum(len(heard.false) for heard in (*curves.values(), *streets.values()))
    repeated = sum(heard.repeated for heard in (*curves.values(), *streets.values()))
    if arguments.draw:
        draw(curves, arguments.draw)
    return [
        Row("steady carrier, half heard, uncorrected", "dB", 9.6, 9.0, curves["steady"].half(uncorrected=True)),
        Row("the same, meter known", "dB", 7.6, 6.8, curves["steady, meter known"].half(uncorrected=False)),
        Row("20 kHz wobble, half heard, uncorrected", "dB", 11.0, 10.3, curves["20 kHz wobble"].half(uncorrected=True)),
        Row("40 kHz wobble, half heard, uncorrected", "dB", 12.6, 12.6, curves["40 kHz wobble"].half(uncorrected=True)),
        Row("dense street, 40 messages/s", "%", 94, 97, 100 * streets[40].share, at_least=True),
        Row("dense street, 120 messages/s", "%", 89, 95, 100 * streets[120].share, at_least=True),
        Row("false messages in all of these", "", 0, 0, false),
        Row("messages told twice", "", 0, 0, repeated),
        Row(f"false messages in {noise_hours * 60:.0f} min of noise", "", 0, 0, from_noise),
        Row("processor on an idle band, against bare FFT", "×", 3, 2, idle_ratio),
        Row("processor at 40 messages/s, against bare FFT", "×", 15, 6, busy_ratio),
        Row("memory of appliance decode", "MB", 150, 100, peak_memory_mb(busy)),
    ]


def power_cuts(arguments: argparse.Namespace) -> list[Row]:
    tally = campaign.measure(arguments.seed, quick=arguments.quick)
    must, aim = (1, 1) if arguments.quick else (1_000, 10_000)
    return [
        Row("power cuts survived", "", must, aim, tally.survived, at_least=True),
        Row("power cuts not survived", "", 0, 0, tally.cuts - tally.survived),
        Row("readings lost in a power cut, at most", "s", 60, 60, tally.lost_s),
    ]


def store(arguments: argparse.Namespace) -> list[Row]:
    seed, quick = arguments.seed, arguments.quick
    answers = asking.measure(seed, quick=quick)
    cold_ms = max(asked.cold_ms for asked in answers.asked.values())
    warm_ms = max(asked.warm_ms for asked in answers.asked.values())
    sizes = size.measure(quick=quick)
    hours = 6.0 if quick else 24.0
    written = writing.measure(hours=hours)
    taken = rate.measure(quick=quick)
    memory = month.measure(quick=quick)
    sent, n_samples = scenes.dense_street(40, 10, seed + 11)
    receiver_mb = peak_memory_mb(list(scenes.render(sent, n_samples, STREET_NOISE, seed + 11)))
    to_card = [Row("the same, by an ext4 with its journal", "B/s", 400, 300, written.device)] if written.device else []
    return [
        Row("slowest question on two years, cold", "ms", 50, 25, cold_ms),
        Row("slowest question on two years, warm", "ms", 10, 5, warm_ms),
        Row("two years against 60 days, cold", "×", 1.5, 1.2, answers.cold_ratio),
        Row("two years against 60 days, warm", "×", 1.5, 1.2, answers.warm_ratio),
        Row("8 GB last, 50 meters at 3 messages/s", "years", 10, 30, sizes[size.THESIS].years, at_least=True),
        Row("readings taken, to the card", "/s", 20_000, 40_000, taken.store_per_s, at_least=True),
        Row("the same, against bare executemany", "×", 20, 10, taken.ratio),
        Row(f"written in {hours:.0f} h of 300 meters", "B/s", 400, 300, written.process),
        *to_card,
        Row("memory after a month, receiver included", "MB", 200, 150, memory.most_mb + receiver_mb),
        Row("growth of it within the month", "MB", 5, 2, memory.growth_mb),
    ]


def delivery(arguments: argparse.Namespace) -> list[Row]:
    quick = arguments.quick
    try:
        tally = conservation.measure(arguments.seed, quick=quick)
    except Lost as fault:
        raise SystemExit(f"readings were not conserved: {fault}") from None
    rows = [
        Row("readings that arrived, each once", "", 3e3 if quick else 1e5, 1e5, tally.readings, at_least=True),
        Row("faults on their way", "", 40 if quick else 1_000, 1_000, tally.faults, at_least=True),
    ]
    rows.append(Row("a reading on the wire, 300 meters", "bytes", 12, 8, wire.measure(hours=2.0 if quick else 24.0)))
    if quick:
        return rows
    try:
        caught_up = offline.measure(days=30, meters=20, rate_kbit=128, cuts_s=(2.0, 10.0))
        share = 100 * caught_up.link_used
        rows.append(Row("a month offline, link of 128 kbit/s used", "%", 80, 95, share, at_least=True))
    except offline.Unavailable as fault:
        print(f"  not measured: {fault}", file=sys.stderr)
    return rows


def ingested(arguments: argparse.Namespace) -> list[Row]:
    found = ingest.rates(quick=arguments.quick)
    lite, full = found["SQLite"], found["PostgreSQL"]
    return [
        Row("verified and stored, on SQLite", "/s", 10_000, 30_000, lite.ingest_per_s, at_least=True),
        Row("the same, against bare executemany", "×", 10, 4, lite.ratio),
        Row("verified and stored, on PostgreSQL", "/s", 30_000, 50_000, full.ingest_per_s, at_least=True),
        Row("the same, against bare COPY", "×", 10, 4, full.ratio),
    ]


def pages(arguments: argparse.Namespace) -> list[Row]:
    asked = site.measure(quick=arguments.quick)
    years = "60 days" if arguments.quick else "two years"
    heaviest_kb = max(page.with_files_kb for page in asked.values())
    alone, watched = browsers.measure(quick=arguments.quick)
    heard = 100 * watched.messages_per_s / alone.messages_per_s
    return [
        Row("first page of the site", "ms", 100, 50, asked["overview"].first_ms),
        Row(f"slowest page of the site on {years}, first", "ms", 200, 100, max(one.first_ms for one in asked.values())),
        Row("the same, again", "ms", 200, 50, max(one.again_ms for one in asked.values())),
        Row("heaviest page with all it loads", "kB", 150, 75, heaviest_kb),
        Row("samples lost with 50 browsers", "", 0, 0, watched.dropped_samples),
        Row("messages heard with 50 browsers, against none", "%", 98, 99, heard, at_least=True),
    ]


PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "delivery": delivery,
    "ingest": ingested,
    "powercuts": power_cuts,
    "receiver": receiver,
    "site": pages,
    "store": store,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure receiver, store, delivery and site."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default all)")
    parser.add_argument("--seed", type=int, default=1, help="makes the scenes (default 1)")
    parser.add_argument("--quick", action="store_true", help="small scenes and a minute of noise: a rough idea")
    parser.add_argument("--noise-hours", type=float, default=1.0, metavar="H", help="noise to listen to (default 1)")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw the curves into this PNG")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows = [row for part in arguments.parts or PARTS for row in PARTS[part](arguments)]
    print(f"{'measure':<46}{'measured':>12}{'must':>10}{'aim':>10}")
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        values = [f"{row.got:.1f} {row.unit}", f"{sign} {row.must:g}", f"{sign} {row.aim:g}"]
        print(f"{row.measure:<46}{values[0]:>12}{values[1]:>10}{values[2]:>10}  {row.verdict}")
    return int(any(row.verdict == "MISSED" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
