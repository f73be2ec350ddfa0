"""Which language a request is answered in, and the catalogue of each.

English is the language of the source. A catalogue is a gettext `.po` file, read as it is: it holds a page of
text, so compiling it first would save nothing.
"""

import gettext
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

from aiohttp import web
from babel.messages.pofile import read_po

from appliance.web.frame.frame import OWN

LANGUAGES = {"en": "English", "es": "Español"}
COOKIE = "lang"
ONE_YEAR_S = 365 * 86_400


class Catalogue(gettext.NullTranslations):
    """The texts of one language; one that is missing stays in English."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self.texts = texts

    def gettext(self, message: str) -> str:
        """The text in this language."""
        return self.texts.get(message) or message


@cache
def catalogue(package: str, language: str) -> Catalogue:
    """The texts of a site in one of `LANGUAGES`, and those of the frame."""
    texts: dict[str, str] = {}
    for owner in dict.fromkeys((OWN, package)):
        path = resources.files(owner) / "locale" / language / "LC_MESSAGES" / "messages.po"
        if path.is_file():
            with path.open("rb") as file:
                texts |= {str(text.id): str(text.string) for text in read_po(file, language) if text.id}
    return Catalogue(texts)


def language_of(request: web.Request) -> str:
    """The language asked for by the address, else by an earlier choice, else by the browser; else English."""
    for choice in (request.query.get("lang"), request.cookies.get(COOKIE)):
        if choice in LANGUAGES:
            return choice
    return from_header(request.headers.get("Accept-Language", ""))


@web.middleware
async def remember_language(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Keep the language that an address asks for."""
    response = await handler(request)
    if (language := request.query.get("lang")) in LANGUAGES and not response.prepared:
        response.set_cookie(COOKIE, str(language), max_age=ONE_YEAR_S, httponly=True, samesite="Lax")
    return response


def from_header(accept_language: str) -> str:
    """The best of our languages by RFC 9110, 12.5.4.

    >>> from_header("fr, es-CL;q=0.8, en;q=0.5"), from_header("*"), from_header("es;q=0, de;q=x")
    ('es', 'en', 'en')
    """
    best, best_weight = "en", 0.0
    for item in accept_language.split(",")[:20]:
        tag, _, parameter = item.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        primary = tag.strip().lower().split("-")[0]
        if primary in LANGUAGES and weight > best_weight:
            best, best_weight = primary, weight
    return best
