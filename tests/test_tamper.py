"""What tamper counters count is said with what it is said of; how often, where they are known to wrap."""

import pytest

from appliance import tamper
from appliance.model import COMMODITIES, Commodity
from appliance.tamper import TEXTS, happened, meaning


@pytest.mark.parametrize("commodity", COMMODITIES)
@pytest.mark.parametrize("protocol", ["scm", "idm", "r900", "tomorrow's"])
def test_each_counter_has_words(commodity: Commodity, protocol: str) -> None:
    for counter in ("phy", "enc"):
        assert meaning(protocol, commodity, counter).words in TEXTS  # type: ignore[arg-type]


def test_the_two_of_an_electric_meter_differ() -> None:
    assert meaning("scm", "electric", "phy").words == tamper.INVERSION
    assert meaning("scm", "electric", "enc").words == tamper.REMOVAL
    assert meaning("scm", "gas", "phy") == meaning("scm", "gas", "enc")


@pytest.mark.parametrize(
    ("before", "after", "times"), [(0, 1, 1), (3, 0, 1), (1, 0, 3), (None, 1, None), (2, None, None)]
)
def test_how_often_at_least(before: int | None, after: int | None, times: int | None) -> None:
    assert happened("scm", before, after) == times
