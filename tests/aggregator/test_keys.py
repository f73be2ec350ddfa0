"""The aggregator's own key, and how it knows those of appliances."""

import stat
from pathlib import Path

import pytest

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.keys import Keys, make_key, open_key
from appliance.errors import StoreError
from appliance.sync.envelope import key_id
from tests.aggregator.street import NOW, Sender, key


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no key"):
        open_key(tmp_path)
    made = make_key(tmp_path)
    assert made.private_bytes_raw() == make_key(tmp_path).private_bytes_raw() == open_key(tmp_path).private_bytes_raw()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "key").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o700


def test_one_of_two_files_may_be_damaged(tmp_path: Path) -> None:
    made = make_key(tmp_path)
    (tmp_path / "key" / "aggregator.key").write_bytes(b"damaged")
    (tmp_path / "key" / "aggregator.key.part").write_bytes(b"torn")
    assert open_key(tmp_path).private_bytes_raw() == made.private_bytes_raw()
    for path in (tmp_path / "key").iterdir():
        path.write_bytes(b"damaged")
    for opener in (open_key, make_key):
        with pytest.raises(StoreError, match="damaged, and so is its copy") as caught:
            opener(tmp_path)
        assert "backup" in caught.value.hint


async def test_unknown_keys_are_asked_for_once_a_second(database: Database) -> None:
    now_s, asked = 0.0, 0
    keys = Keys(database, lambda: now_s)
    refresh = keys.refresh

    async def counted() -> None:
        nonlocal asked
        asked += 1
        await refresh()

    keys.refresh = counted  # type: ignore[method-assign]
    sender = await Sender().enrol(database)
    first = key_id(sender.keys[1].public_key())
    found = await keys.find(first)
    assert found is not None
    assert (found.appliance_id, found.identity, found.epoch) == (1, sender.identity, 1)
    for number in range(1_000):
        assert await keys.find(key_id(key(number + 50).public_key())) is None
    assert asked == 1
    await Appliances(database).rotate(sender.rotation(2), NOW)
    second = key_id(sender.keys[2].public_key())
    assert await keys.find(second) is None
    now_s = 1.0
    found = await keys.find(second)
    assert found is not None
    assert (found.epoch, asked) == (2, 2)
    assert await keys.find(first) is not None
