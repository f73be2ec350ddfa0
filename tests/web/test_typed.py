"""What a page shows can be typed back, in its language, and nothing is taken a thousand times off."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InputError
from appliance.web.frame.cldr import decimal, pointed
from appliance.web.frame.language import LANGUAGES
from appliance.web.typed import Either, number, reading, typed
from appliance.web.views.find.load import power_of
from tests.web.conftest import Site
from tests.web.pages import get

BOTH = pytest.mark.parametrize("language", LANGUAGES)


@BOTH
@given(value=st.decimals(-2_000_000, 2_000_000, places=2), digits=st.integers(0, 6))
def test_what_is_shown_is_taken(language: str, value: Decimal, digits: int) -> None:
    """Exactly, or as what may be either; never as another number."""
    shown = decimal(value, digits, language)
    found = typed(shown.replace("\N{MINUS SIGN}", "-"))
    assert found is not None
    taken, meant = (
        Decimal(found.digits),
        Decimal(decimal(value, digits, "en", grouped=False).replace("\N{MINUS SIGN}", "-")),
    )
    assert taken == meant or (found.is_either and taken * 1000 == meant)


@BOTH
@given(value=st.decimals(0, 2_000_000, places=3), digits=st.integers(0, 3))
def test_a_field_of_the_radio_takes_what_it_shows(language: str, value: Decimal, digits: int) -> None:
    shown = decimal(value, digits, language, grouped=False)
    assert number(shown) == Decimal(decimal(value, digits, "en", grouped=False))


@BOTH
@pytest.mark.parametrize("watts", [20, 999, 1_000, 9_999, 10_000, 22_000, 100_000])
def test_a_power_as_it_is_shown(language: str, watts: int) -> None:
    assert power_of(f"{decimal(watts, 0, language)} W") == watts
    assert power_of(f"{decimal(watts / 1000, 3, language)} kW") == watts


@BOTH
@given(value=st.decimals(0, 9_999_999, places=3), digits=st.integers(0, 3))
def test_a_dial_as_it_is_shown(language: str, value: Decimal, digits: int) -> None:
    shown = decimal(value, digits, language)
    meant = decimal(value, digits, "en", grouped=False)
    found = typed(shown)
    if found is not None and found.is_either and shown != pointed(shown, language):
        with pytest.raises(Either) as either:
            reading(shown, language)
        assert reading(either.value.whole, language)[0] == meant
        shown, meant = either.value.parted, decimal(Decimal(meant) / 1000, 3, "en", grouped=False)
    assert reading(shown, language)[0] == meant


@pytest.mark.parametrize(
    ("text", "language"), [("12.345", "es"), ("123.456 m³", "es"), ("1,234", "en"), ("12,345 kWh", "en")]
)
def test_thousands_or_decimals_is_asked(text: str, language: str) -> None:
    with pytest.raises(Either):
        reading(text, language)


@pytest.mark.parametrize(
    "text", ["", "kWh", "-12", "1.2.3", "1.234,567.8", "1,2345,678", "12,345.678,9", "٣", "1" * 41]
)
def test_no_reading(text: str) -> None:
    with pytest.raises(InputError):
        reading(text, "en")


@pytest.mark.parametrize(
    ("language", "shown", "words"),
    [
        ("es", "12.345", ("¿Miles o decimales?", "Escriba 12345, o 12,345 si son decimales.")),
        ("en", "12,345", ("Thousands or decimals?", "Type 12345, or 12.345 if these are decimals.")),
    ],
)
async def test_the_page_says_how(site: Site, language: str, shown: str, words: tuple[str, ...]) -> None:
    site.hear(1)
    answer, page = await get(site, f"/find/dial?shown={shown}&lang={language}")
    assert answer.status == 422
    for text in words:
        assert text in page
    answer, _ = await get(site, f"/find/dial?shown={words[1].split()[3]}&lang={language}")
    assert answer.status != 422
