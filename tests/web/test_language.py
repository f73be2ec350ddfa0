"""Both languages are complete: every text that a page can show has a translation, and none is left over."""

import io
import re
import string
from importlib import resources

import jinja2
import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from appliance.aggregator.pages import words as of_operators
from appliance.aggregator.pages.parts import PACKAGE as OPERATORS
from appliance.web.frame.frame import OWN
from appliance.web.frame.language import LANGUAGES, catalogue, from_header
from appliance.web.frame.password_page import DIFFER, NOT_KEPT, SAME
from appliance.web.frame.passwords import ADVICE, IS_NAME, TOO_LONG, TOO_SHORT, TOO_SIMPLE, UNREADABLE
from appliance.web.frame.rendering import environment
from appliance.web.language import DYNAMIC
from appliance.web.parts import PACKAGE

of_passwords = (DIFFER, SAME, NOT_KEPT, TOO_SHORT, TOO_LONG, TOO_SIMPLE, IS_NAME, UNREADABLE, ADVICE)
# What reaches the pages of each package by way of a variable.
PACKAGES: dict[str, tuple[str, ...]] = {OWN: of_passwords, PACKAGE: DYNAMIC, OPERATORS: of_operators.DYNAMIC}
OTHERS = sorted(set(LANGUAGES) - {"en"})


def templates(package: str) -> dict[str, str]:
    """The sources of a package's own templates."""
    loader = jinja2.PackageLoader(package)
    env = environment(package, "en")
    return {name: loader.get_source(env, name)[0] for name in loader.list_templates() if name.endswith(".html")}


def shown(package: str) -> set[str]:
    """Every text in the templates and every one that reaches them by way of a variable."""
    texts = set(PACKAGES[package])
    for source in templates(package).values():
        for _, message, _, _ in extract("jinja2.ext:babel_extract", io.BytesIO(source.encode())):
            texts |= {message} if isinstance(message, str) else set(message)
    return texts


def test_the_templates_have_texts() -> None:
    assert {"Meters heard", "Register", "the card is full"} <= shown(PACKAGE)
    assert "To the content" in shown(OWN)


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("package", PACKAGES)
def test_catalogue_is_complete(package: str, language: str) -> None:
    """A site has the texts of the frame, too, and says them in no other way."""
    texts = catalogue(package, language).texts
    assert set(texts) == shown(package) | shown(OWN), f"{package}: translate what is missing, remove what is left over"
    assert all(texts.values())


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("package", PACKAGES)
def test_no_translation_is_a_guess(package: str, language: str) -> None:
    """Neither fuzzy, nor of a text that was given up, nor there twice."""
    path = resources.files(package) / "locale" / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        read = read_po(file, language, abort_invalid=True)
    assert [text.id for text in read if text.id and text.fuzzy] == []
    assert not read.obsolete
    begun = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("msgid ")]
    assert len(begun) == len(read) + 1, "a text is there twice"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("package", PACKAGES)
def test_placeholders_survive(package: str, language: str) -> None:
    for english in shown(package):
        translated = catalogue(package, language).gettext(english)
        assert translated.count("%(") == english.count("%(")
        assert translated.rstrip(string.punctuation)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_text_stands_outside_the_catalogue(package: str) -> None:
    """Whatever a template shows in letters goes through `_()`."""
    for name, source in templates(package).items():
        bare = re.sub(r"<code>.*?</code>|\{[{%#].*?[%}#]\}", " ", source, flags=re.S)
        words = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", " ", bare)))
        assert words <= {"MHz", "MS", "dBFS", "dB", "dBm", "min", "Python", "UTC"}, name


@pytest.mark.parametrize(
    ("header", "language"),
    [("es-CL,es;q=0.9,en;q=0.8", "es"), ("en-US,es;q=0.9", "en"), ("de", "en"), ("", "en"), (",;,;=", "en")],
)
def test_language_of_a_header(header: str, language: str) -> None:
    assert from_header(header) == language
