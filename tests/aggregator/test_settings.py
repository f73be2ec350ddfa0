"""aggregator.toml: what `init` writes says what is, and what is wrong in it is named."""

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from appliance.aggregator.settings import FILE, TABLES, Settings, Tls, Web, parse, read, written
from appliance.errors import ConfigError


def test_what_is_written_is_the_defaults_and_names_each_setting() -> None:
    text = written()
    assert parse(tomllib.loads(text)) == Settings()
    lines = [line.removeprefix("# ") for line in text.splitlines() if line[-1:] not in (".", ")")]
    shown = tomllib.loads("\n".join(lines))
    assert {table: list(content) for table, content in shown.items()} == {
        table: list(kind.__dataclass_fields__) for table, kind in TABLES.items()
    }
    assert parse(shown) == Settings()
    changed = written(web={"host": "*"}, tls={"certificate": "a.pem", "key": "b.pem"})
    assert parse(tomllib.loads(changed)) == Settings(web=Web(host="*"), tls=Tls(certificate="a.pem", key="b.pem"))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"wob": {}}, "[wob] is not a table (did you mean web?)"),
        ({"web": 3}, "web must be a table, written [web]"),
        ({"web": {"prot": 1}}, "web.prot is not a setting (did you mean port?)"),
        ({"web": {"port": "http"}}, "web.port = 'http' must be a whole number from 0 to 65_535"),
        ({"web": {"plain": "yes"}}, "web.plain = 'yes' must be true or false"),
        ({"tls": {"key": "k.pem"}}, "[tls] needs both certificate and key"),
        ({"web": {"host": "*"}}, "set [tls] certificate and key, or leave TLS to a proxy"),
        ({"web": {"host": "192.0.2.1"}}, "web.host = '192.0.2.1' without [tls] would be open"),
        ({"web": {"port": -1, "host": ""}, "x": 1}, "web.port = -1 must be"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(document)
    assert said in str(fault.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert parse({"web": {"host": host}}).web.host == host


def test_plain_http_for_others_must_be_said() -> None:
    assert parse({"web": {"host": "*", "plain": True}}).web.plain
    assert parse({"web": {"host": "*"}, "tls": {"certificate": "a", "key": "b"}}).web.host == "*"


@pytest.mark.parametrize(
    ("content", "said"), [(b"[web", "is not TOML"), (b"\xff", "is not UTF-8"), (b"a = 1", "[a] is")]
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=FILE) as fault:
        read(tmp_path)
    assert said in str(fault.value)
    assert "--config" not in fault.value.hint


def test_a_directory_without_one_is_none_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no aggregator's directory"):
        read(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)
    assert stat.S_ISDIR((tmp_path / FILE).stat().st_mode)
