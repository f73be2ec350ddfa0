"""Settings in TOML: how a field says what it takes, and how a table is read into a dataclass of such fields.

Each setting is a field with its default, unit, limits and help beside it. What is wrong is told by name, with what is
allowed; the field then has its default.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from appliance.errors import ConfigError


def setting(
    default: Any,
    help_text: str,
    *,
    unit: str = "",
    low: float = -math.inf,
    high: float = math.inf,
    pattern: str = ".+",
    words: str = "a text",
    none: str = "",
    secret: bool = False,
    lines: bool = False,
    doubt: Callable[[str], str | None] = lambda _text: None,
) -> Any:
    """A dataclass field with what the parser and the documentation need to know.

    `none` is the word that stands in the file for None; `pattern` is what each text must match whole, and
    `words` says the same to a person. What is `secret` is not repeated when it is wrong. A text is one line, unless it
    may have `lines`. Of one that matches, `doubt` says at the end of a sentence why it is not taken all the same, or
    None.
    """
    about = {"help": help_text, "unit": unit, "low": low, "high": high, "none": none, "secret": secret}
    more = {"pattern": pattern, "words": words, "lines": lines, "doubt": doubt}
    return field(default=default, metadata=about | more)


def toml_document(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises ConfigError."""
    try:
        # Editors of Windows begin a file with a byte order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}", "Check the path given with --config.") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path}: is not UTF-8 text: {fault.reason} at byte {fault.start}") from fault
    except (ValueError, RecursionError) as fault:
        raise ConfigError(f"{path}: is not TOML: {fault}") from fault


def settings_of(kind: type, content: Mapping[str, Any], table: str) -> tuple[Any, list[str]]:
    """A table's settings, those that are wrong left at their defaults, and what is wrong with them."""
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    values = {}
    wrong = []
    for key, value in content.items():
        if key not in known:
            wrong.append(f"{table}.{key} is not a setting{nearest(key, known)}")
            continue
        try:
            values[key] = _value(hints[key], value, known[key].metadata)
        except ValueError as fault:
            given = "" if known[key].metadata["secret"] else f" = {value!r:.60}"
            wrong.append(f"{table}.{key}{given} must be {fault}")
    return kind(**values), wrong


def nearest(word: str, known: Mapping[str, Any]) -> str:
    """What was perhaps meant by a word that is not known, for the end of a sentence."""
    meant = near(word, known)
    return f" (did you mean {meant}?)" if meant else f"; there are {', '.join(known)}"


def near(word: str, known: Mapping[str, Any]) -> str:
    """The known name that a word was probably meant to be; empty if there is none."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.5)), "")


def _value(kind: Any, value: Any, about: Mapping[str, Any]) -> Any:
    """`value` as `kind`; raises ValueError saying what is allowed."""
    if about["none"] and value == about["none"]:
        return None
    if kind is bool:
        if isinstance(value, bool):
            return value
    elif (number := _number(kind)) is not None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and (isinstance(value, int) or number is float) and about["low"] <= value <= about["high"]:
            return number(value)
    elif kind is str or kind is Path:
        line = value.replace("\n", "") if about["lines"] and isinstance(value, str) else value
        if isinstance(line, str) and line.isprintable() and re.fullmatch(about["pattern"], value):
            if (doubt := about["doubt"](value)) is None:
                return kind(value)
            raise ValueError(f"{allowed(kind, about)}{doubt}")
    elif isinstance(value, list) and all(isinstance(v, str) and re.fullmatch(about["pattern"], v) for v in value):
        return tuple(value)
    raise ValueError(allowed(kind, about))


def _number(kind: Any) -> type[int] | type[float] | None:
    """Which kind of number a setting takes, also where None is one of its values; None for what is no number."""
    return next((number for number in (int, float) if kind is number or number in get_args(kind)), None)


def allowed(kind: Any, about: Mapping[str, Any]) -> str:
    """What a setting takes, in words.

    >>> allowed(int, {"low": 0, "high": 9, "none": "", "unit": "dB"})
    'a whole number from 0 to 9 dB'
    """
    if kind is bool:
        return "true or false"
    if (kind_of_number := _number(kind)) is not None:
        number = "a whole number" if kind_of_number is int else "a number"
        unit = f" {about['unit']}" if about["unit"] else ""
        words = f"{number} from {about['low']:_} to {about['high']:_}{unit}"
        return f'"{about["none"]}" or {words}' if about["none"] else words
    return str(about["words"])
