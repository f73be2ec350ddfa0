"""Passwords: how they are kept and checked, which are taken, and how many are worked out at once."""

import asyncio

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from appliance.errors import InputError
from appliance.web.frame import passwords
from appliance.web.frame.passwords import (
    IS_NAME,
    TOO_LONG,
    TOO_SHORT,
    TOO_SIMPLE,
    UNREADABLE,
    Overrun,
    Passwords,
    is_right,
    kept,
)

PASSWORD = "four words do not rhyme"
KEPT, KEPT_DIGITS = kept(PASSWORD), "its last digits"


async def test_a_password_is_known_again() -> None:
    some = Passwords()
    known = await some.kept("cuatro palabras más")
    assert known.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert known != await some.kept("cuatro palabras más")
    assert await some.check("cuatro palabras más", known) == (True, False)
    # An accent that is typed apart is the same accent.
    assert await some.check("cuatro palabras ma\u0301s", known) == (True, False)
    for wrong in ("cuatro palabras mas", "", "cuatro palabras más ", "x" * 10_000, "\ud800"):
        assert await some.check(wrong, known) == (False, False)
    some.close()


async def test_nobody_has_no_password() -> None:
    some = Passwords()
    assert await some.check("", None) == (False, False)
    assert await some.check("whatever it is", None) == (False, False)
    some.close()


async def test_one_that_is_kept_with_less_work_is_said_to_be() -> None:
    some = Passwords()
    less = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=8)
    old = less.derive_phc_encoded(b"twelve letters")
    assert await some.check("twelve letters", old) == (True, True)
    assert await some.check("twelve lettres", old) == (False, False)
    some.close()


async def test_a_flood_is_turned_away() -> None:
    some = Passwords()
    known = await some.kept("four words do not rhyme")
    asked = [asyncio.create_task(some.check("x", known)) for _ in range(passwords.STRANGERS + 3)]
    mine = asyncio.create_task(some.check("four words do not rhyme", known, from_known_device=True))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, Overrun) for one in found].count(True) == 3
    assert (await mine).is_right
    assert await some.check("four words do not rhyme", known) == (True, False)
    some.close()


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("elevenchars", TOO_SHORT),
        ("", TOO_SHORT),
        ("x" * 199 + "yz", TOO_LONG),
        ("aaaaaaaabbbb", TOO_SIMPLE),
        ("ana.perez-lopez", IS_NAME),
        ("good but\x00 not text", UNREADABLE),
        ("good but\nnot a line", UNREADABLE),
    ],
)
def test_what_is_no_password(password: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        passwords.check_new(password, "ana.perez")
    assert "words" in refused.value.hint


@pytest.mark.parametrize(
    "password", ["twelve chars", "ana.perez likes to swim", "ñandú, cóndor, huemul", "x" * 196 + "abcd"]
)
def test_what_is_one(password: str) -> None:
    passwords.check_new(password, "ana.perez")


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("m=19456", "m=1048576"),
        ("t=2", "t=1000000"),
        ("p=1", "p=64"),
        ("$v=19", "$v=16"),
        ("$argon2id", "$argon2i"),
        ("$", ""),
        (KEPT_DIGITS, "x"),
    ],
)
def test_what_asks_for_too_much_work_is_nobodys(part: str, other: str) -> None:
    """A backup that somebody made up could hold it."""
    assert is_right(PASSWORD, KEPT)
    changed = KEPT[:-40] if part == KEPT_DIGITS else KEPT.replace(part, other)
    assert not is_right(PASSWORD, changed)
