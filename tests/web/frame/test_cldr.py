"""Numbers and dates are those of Unicode's data, and the same that a browser's `Intl` writes for the charts."""

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from appliance.web.frame.cldr import HARD_SPACE, MINUS, clock, count, day, decimal, moment, month
from appliance.web.frame.language import LANGUAGES

BOTH = pytest.mark.parametrize("language", LANGUAGES)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
NUMBERS = (
    0,
    0.04,
    0.25,
    0.5,
    1.005,
    2.5,
    12.25,
    912.6,
    999.5,
    999.95,
    1000,
    1234.5,
    9999.5,
    9999.96,
    1234567.895,
    2**53 - 1,
)
WORDS = Path(__file__).parents[3] / "appliance/web/static/meter_words.js"
# What writes the numbers of the charts; times are written elsewhere.
CHARTS = """const Zone = { format: () => ({}), writer: () => null };
const words = (language) => { document.documentElement.lang = language; return MeterWords({}); };
"""
BY_INTL = """([language, numbers, days]) => [
  ...numbers.map(([value, digits]) => words(language).number(value, digits)),
  ...[12000, 1200000, 0.25, 30].map((value) => words(language).tick(value)),
  ...days.flatMap((ms) => [
    { dateStyle: "medium" }, { month: "short", year: "numeric" },
    { day: "numeric", month: "short", year: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  ].map((options) => new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options }).format(ms))),
]"""


@BOTH
@given(value=st.decimals(-(10**15), 10**15, places=4), digits=st.integers(0, 4))
def test_as_babel_but_for_four_digits(language: str, value: Decimal, digits: int) -> None:
    """What `decimal` does by itself, for it is asked for a thousand times a page."""
    rounded = Decimal(decimal(value, digits, "en", grouped=False).replace(MINUS, "-"))
    form = f"#,##0.{'0' * digits}" if digits else "#,##0"
    known = format_decimal(
        rounded, format=form, locale=language, group_separator=language == "en" or abs(rounded) >= 10_000
    )
    assert decimal(value, digits, language) == known.replace("-", MINUS)


@BOTH
def test_of_the_same_instant_each_zone_has_its_own_day(language: str) -> None:
    midnight = datetime(2026, 9, 3, 1, tzinfo=UTC)
    here = midnight.astimezone(ZoneInfo("America/Santiago"))
    assert day(midnight, language) != day(here, language) == day(date(2026, 9, 2), language)
    assert moment(here, language).startswith(day(here, language))


def test_a_day_has_24_hours_and_breaks_in_one_place() -> None:
    late = datetime(2026, 3, 2, 0, 5, 9, tzinfo=ZoneInfo("America/Santiago"))
    assert moment(late, "es", seconds=True).split(" ") == [
        f"2{HARD_SPACE}mar{HARD_SPACE}2026,",
        f"00:05:09{HARD_SPACE}UTC−03",
    ]
    assert moment(late, "en").split(" ") == [f"Mar{HARD_SPACE}2,{HARD_SPACE}2026,", f"00:05{HARD_SPACE}UTC−03"]


@pytest.mark.parametrize("value", [Decimal("1e30"), Decimal("-1e-9"), 1.7e308, 5e-324, -0.0])
@BOTH
def test_no_number_is_too_long(language: str, value: float | Decimal) -> None:
    assert decimal(value, 2, language)
    assert decimal(value, 2, language).count(Locale.parse(language).number_symbols["latn"]["decimal"]) == 1


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed (apt-get install chromium)")
async def test_a_browser_writes_the_same() -> None:
    playwright = pytest.importorskip("playwright.async_api")
    numbers = [(value, digits) for value, digits in product((*NUMBERS, *(-value for value in NUMBERS[1:])), range(4))]
    days = [datetime(2026, 1, 2, 0, 5, 9, tzinfo=UTC) + timedelta(days=31 * n, hours=3 * n) for n in range(12)]
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = await browser.new_page()
        await page.add_script_tag(content=CHARTS + WORDS.read_text(encoding="utf-8"))
        for language in LANGUAGES:
            intl = await page.evaluate(BY_INTL, [language, numbers, [one.timestamp() * 1000 for one in days]])
            ours = [decimal(value, digits, language) for value, digits in numbers]
            ours += [*(count(value, language) for value in (12_000, 1_200_000)), decimal(0.25, 2, language), "30"]
            for one in days:
                whole = f"{day(one, language)}, {clock(one, seconds=True)}"
                ours += [day(one, language), month(one, language), whole.removesuffix(f"{HARD_SPACE}UTC")]
            assert [text.replace(HARD_SPACE, " ") for text in ours] == intl
        await browser.close()
