"""Numbers, days and times as a language writes them, by Unicode's CLDR (cldr.unicode.org), as Babel has it.

Browsers have the same data, so that the charts, which write by `Intl`, write the same. On both sides a day has 24 hours
in every language, a zone is its difference from UTC, and a minus is as wide as a plus. What belongs together does not
break: a time with its day has one place where a line may end, between the two.
"""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache

from babel import Locale
from babel.dates import format_date

HARD_SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
# minimumGroupingDigits of CLDR, which Babel leaves out: Spanish has 1234 and 12.345.
_LEAST_GROUPED = {"en": 1_000, "es": 10_000}
# As `Intl` rounds; of such a precision that no number is too long.
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)
_KEPT = 2048


def prepare(language: str) -> None:
    """Read what is needed of a language, which takes a hundredth of a second and some 5 MB."""
    moment(datetime.min.replace(tzinfo=UTC), language)
    month(date.min, language)
    decimal(0, 1, language)


def count(value: int, language: str) -> str:
    """A number of things.

    >>> [count(value, "es") for value in (1234, 12345, -1)], count(1234, "en")
    (['1234', '12.345', '−1'], '1,234')
    """
    if 0 <= value < 1000:
        return str(value)
    grouped = abs(value) >= _LEAST_GROUPED[language]
    return (f"{value:,}" if grouped else f"{value}").translate(_marks(language))


@lru_cache(_KEPT)
def decimal(value: float | Decimal, digits: int, language: str, *, grouped: bool = True) -> str:
    """A number with so many decimals; in a field that is typed in it is not `grouped`.

    >>> decimal(Decimal("-1234567.895"), 2, "es"), decimal(0.25, 1, "en"), decimal(-0.04, 1, "en")
    ('−1.234.567,90', '0.3', '0.0')
    """
    # Of a binary number what is rounded is what it reads as, so that 1.005 is 1.01, as `Intl` has it.
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    rounded = _ROUNDING.quantize(exact, _unit(digits))
    grouped = grouped and abs(rounded) >= _LEAST_GROUPED[language]
    return (f"{rounded:z,f}" if grouped else f"{rounded:zf}").translate(_marks(language))


def pointed(digits: str | Decimal, language: str) -> str:
    """Digits as they are, such as those on a dial, with the language's mark before the decimals.

    >>> pointed("012345.6", "es"), pointed("012345,6", "en"), pointed(Decimal("0.01"), "es")
    ('012345,6', '012345.6', '0,01')
    """
    return str(digits).replace(",", ".").replace(".", _marks(language)[ord(".")])


def size(count: float, language: str) -> str:
    """Bytes in decimal units, as disks are sold.

    >>> size(999, "en"), size(25_000_000, "en"), size(8_000_000_000, "es")
    ('999 B', '25.0 MB', '8,0 GB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return f"{decimal(count, 0 if units[0] == 'B' else 1, language)} {units[0]}"


def day(of: date, language: str) -> str:
    """A day.

    >>> [day(date(2026, 9, 2), language).replace(HARD_SPACE, " ") for language in ("en", "es")]
    ['Sep 2, 2026', '2 sept 2026']
    """
    return _date(of.toordinal(), "yMMMd", language)


def month(of: date, language: str) -> str:
    """The month in which a day lies.

    >>> [month(date(2026, 9, 2), language).replace(HARD_SPACE, " ") for language in ("en", "es")]
    ['Sep 2026', 'sept 2026']
    """
    return _date(of.toordinal(), "yMMM", language)


def clock(local: datetime, *, seconds: bool = False) -> str:
    """The time of day in its zone, which every language writes alike.

    >>> clock(datetime.fromisoformat("2026-03-02T13:05:09-04:00")).replace(HARD_SPACE, " ")
    '13:05 UTC−04'
    """
    return f"{local:%H:%M:%S}{offset(local)}" if seconds else f"{local:%H:%M}{offset(local)}"


def moment(local: datetime, language: str, *, seconds: bool = False) -> str:
    """Day and time of day.

    >>> moment(datetime.fromisoformat("2026-03-02T13:05:09-03:30"), "es", seconds=True).replace(HARD_SPACE, " ")
    '2 mar 2026, 13:05:09 UTC−03:30'
    """
    return _joint(language).format(clock(local, seconds=seconds), day(local, language))


def offset(local: datetime) -> str:
    """How a local time differs from UTC, as it follows it.

    >>> [offset(datetime.fromisoformat(f"2026-03-01T12:00{at}")).strip() for at in ("Z", "-03:30", "+13:00")]
    ['UTC', 'UTC−03:30', 'UTC+13']
    """
    told = f"{local:%z}".replace("-", MINUS)
    hours, minutes = told[:3], told[3:5]
    if told.strip(f"+{MINUS}0") == "":
        return f"{HARD_SPACE}UTC"
    return f"{HARD_SPACE}UTC{hours}" if minutes == "00" else f"{HARD_SPACE}UTC{hours}:{minutes}"


@lru_cache(_KEPT)
def _date(ordinal: int, skeleton: str, language: str) -> str:
    """A date in the form of which these are the parts. By its number: equal instants may be of different days."""
    locale = Locale.parse(language)
    form = locale.datetime_skeletons[skeleton].pattern
    return format_date(date.fromordinal(ordinal), form, locale).replace(" ", HARD_SPACE)


@cache
def _joint(language: str) -> str:
    """How a time of day {0} follows a day {1}."""
    return Locale.parse(language).datetime_formats["medium"]


@cache
def _marks(language: str) -> dict[int, str]:
    """What stands for the marks that Python writes."""
    symbols = Locale.parse(language).number_symbols["latn"]
    return str.maketrans({",": symbols["group"], ".": symbols["decimal"], "-": MINUS})


@cache
def _unit(digits: int) -> Decimal:
    return Decimal(1).scaleb(-digits)
