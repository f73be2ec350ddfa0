"""Both languages are complete: every text that a page can show has a translation, and none is left over."""

import re
import string

import pytest

from appliance.web.language import DYNAMIC, LANGUAGES, LOCALE, catalogue, from_header
from appliance.web.rendering import environment


def shown() -> set[str]:
    """Every text in the templates and every one that reaches them by way of a variable."""
    env = environment("en")
    texts = set(DYNAMIC)
    for name in env.list_templates(extensions=["html"]):
        source, _, _ = env.loader.get_source(env, name)
        for _, _, message in env.extract_translations(source):
            texts |= {message} if isinstance(message, str) else {part for part in message or () if part}
    return texts


def test_the_templates_have_texts() -> None:
    assert {"Meters heard", "Register", "the card is full"} <= shown()


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_catalogue_is_complete(language: str) -> None:
    texts = catalogue(language).texts
    assert set(texts) == shown(), f"{LOCALE}/{language}: translate what is missing, remove what is left over"
    assert all(texts.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive(language: str) -> None:
    for english in shown():
        translated = catalogue(language).gettext(english)
        assert translated.count("%(") == english.count("%(")
        assert translated.rstrip(string.punctuation)


def test_no_text_stands_outside_the_catalogue() -> None:
    """Whatever a template shows in letters goes through `_()`."""
    env = environment("en")
    for name in env.list_templates(extensions=["html"]):
        source = env.loader.get_source(env, name)[0]
        bare = re.sub(r"\{[{%#].*?[%}#]\}", " ", source, flags=re.S)
        words = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", " ", bare)))
        assert words <= {"MHz", "MS", "dBFS", "dB"}, name


@pytest.mark.parametrize(
    ("header", "language"),
    [("es-CL,es;q=0.9,en;q=0.8", "es"), ("en-US,es;q=0.9", "en"), ("de", "en"), ("", "en"), (",;,;=", "en")],
)
def test_language_of_a_header(header: str, language: str) -> None:
    assert from_header(header) == language
