"""Settings: every wrong entry is refused by name, and the document says what the code does.

`python tests/test_config.py` rewrites the tables of docs/configuration.md.
"""

import re
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from appliance import config
from appliance.config import REPEATED, TABLES, Config, Receiver, load, parse
from appliance.errors import ConfigError
from appliance.settings import allowed

DOCUMENT = Path(__file__).parent.parent / "docs" / "configuration.md"
START, END = "<!-- made by tests/test_config.py -->\n", "<!-- end -->\n"


def reference() -> str:
    """The tables of all settings, as Markdown."""
    parts = []
    for table, kind in TABLES.items():
        head = f"[[{table}]]" if table == REPEATED else f"[{table}]"
        parts.append(f"## `{head}`\n{kind.__doc__}\n\n")
        parts.append("| key | unit | default | allowed | what it does |\n|---|---|---|---|---|\n")
        hints = get_type_hints(kind)
        for f in fields(kind):
            unit, text = f.metadata["unit"] or "–", f.metadata["help"]
            parts.append(f"| `{f.name}` | {unit} | `{_toml(f)}` | {allowed(hints[f.name], f.metadata)} | {text} |\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def _toml(f: Field[Any]) -> str:
    value = f.default
    if value is None:
        return f'"{f.metadata["none"]}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{v}"' for v in value) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else f"{value:_}"


def tables_in(text: str) -> str:
    return text.split(START)[1].split(END)[0]


def test_the_document_is_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert tables_in(text) == reference(), "remake it with: python tests/test_config.py"


def test_every_setting_is_documented_and_none_else() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", text, flags=re.M)
    assert documented == [f.name for kind in TABLES.values() for f in fields(kind)]


def test_the_example_in_the_document_is_valid() -> None:
    import tomllib

    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.S)
    settings = parse(tomllib.loads(example))
    assert len(settings.receivers) == 2
    assert not settings.demonstration


def test_without_a_file_the_neighbourhood_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SEARCHED", (tmp_path / "appliance.toml",))
    assert load() == Config()
    assert load().demonstration
    assert [r.source for r in load().receivers] == ["simulated"]
    (tmp_path / "appliance.toml").write_text("[web]\nport = 81\n")
    assert load().web.port == 81


def test_everything_can_be_set() -> None:
    settings = parse(
        {
            "site": {"name": "Calle Álvarez 12"},
            "web": {"host": "::1", "port": 0, "names": ["meters.example"]},
            "store": {"directory": "/srv/x", "commit_interval_s": 1},
            "receiver": [
                {"source": "rtlsdr:0001", "gain_db": 40, "center_hz": 915_000_000, "ppm": -3, "bias_tee": True},
                {"command": ["rtlamr", "-format=json"], "silence_timeout_s": 7},
                {"name": "roof", "source": "rtl_tcp://127.0.0.1:1234", "gain_db": "auto", "protocols": ["scm"]},
            ],
        }
    )
    assert settings.store.directory == Path("/srv/x")
    assert [r.name for r in settings.receivers] == ["radio", "radio2", "roof"]
    assert settings.receivers[0].gain_db == 40.0
    assert settings.receivers[2].gain_db is None
    assert [r.silence_s for r in settings.receivers] == [30, 7, 30]
    assert Receiver(command=("rtlamr",)).silence_s == 600


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"webb": {}}, r"\[webb\] is not a table \(did you mean web\?\)"),
        ({"nothing": 1}, r"there are site, web, store, sync, receiver"),
        ({"web": {"prot": 1}}, r"web\.prot is not a setting \(did you mean port\?\)"),
        ({"web": {"port": "8080"}}, r"web\.port = '8080' must be a whole number from 0 to 65_535"),
        ({"web": {"port": True}}, r"web\.port = True"),
        ({"web": {"port": 8080.0}}, r"web\.port = 8080\.0"),
        ({"web": {"port": 70000}}, r"web\.port = 70000"),
        ({"web": {"names": ["a b"]}}, r"web\.names = \['a b'\] must be a list of host names"),
        ({"web": {"names": "a"}}, r"web\.names"),
        ({"web": 1}, r"web must be a table, written \[web\]"),
        ({"site": {"name": ""}}, r"site\.name = '' must be a text of at most 80"),
        ({"store": {"commit_interval_s": 61}}, r"store\.commit_interval_s = 61 must be a number from 0\.1 to 60 s"),
        ({"store": {"commit_interval_s": float("nan")}}, r"commit_interval_s = nan"),
        ({"store": {"directory": 7}}, r"store\.directory = 7 must be a path"),
        ({"receiver": {}}, r"receiver must be a list of tables, each written \[\[receiver\]\]"),
        ({"receiver": [{"gain_db": "max"}]}, r'gain_db = \'max\' must be "auto" or a number from -10 to 60 dB'),
        ({"receiver": [{"bias_tee": 1}]}, r"receiver\.bias_tee = 1 must be true or false"),
        ({"receiver": [{"source": "-"}]}, r"receiver\.source = '-'"),
        ({"receiver": [{"sorce": "rtlsdr"}]}, r"did you mean source\?"),
        ({"receiver": [{"name": "a"}, {"name": "a"}]}, r"receiver\.name = 'a' is used twice"),
        ({"receiver": [{"source": "rtlsdr", "command": ["x"]}]}, r"both source and command"),
        ({"receiver": [{"source": "a\0b"}]}, r"receiver\.source = 'a.x00b' must be rtlsdr"),
        ({"site": {"name": "\x1b[31m"}}, r"site\.name"),
        ({"receiver": [{"command": [1]}]}, r"receiver\.command = \[1\] must be a list of texts"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(document)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"^web\.port .*; site\.nam .*name"):
        parse({"web": {"port": -1}, "site": {"nam": "x"}})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[web\n", "is not TOML: .*line 1"),
        (b"[web]\nport = " + b"9" * 5000, "is not TOML: "),
        (b"a = " + b"[" * 5000, "is not TOML: "),
        (b"\xff", "is not UTF-8"),
        (None, "cannot be read: No such"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "appliance.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}: {words}"):
        load(path)


def test_what_is_kept_is_reached_though_a_receiver_is_set_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "appliance.toml"
    wrong = '[web]\nport = "no"\n[[receiver]]\nsorce = "simulated"\n'
    path.write_text(f'{wrong}[store]\ndirectory = "/somewhere"\n')
    assert load(path).store.directory == Path("/somewhere")
    path.write_text(f"{wrong}[store]\ndirectory = 5\n")
    with pytest.raises(ConfigError, match=f"^{path}: store.directory = 5 must be a path$"):
        load(path)


def test_a_file_from_an_editor_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "appliance.toml"
    path.write_bytes('\ufeff[site]\r\nname = "Calle Álvarez"\r\n'.encode())
    assert load(path).site.name == "Calle Álvarez"


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(text.replace(tables_in(text), reference()), encoding="utf-8")
