"""Templates, what they write numbers and times with, and how long ago something was."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

import jinja2
from aiohttp import web

from appliance import zones
from appliance.web.frame import cldr
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.frame import FRAME, OWN
from appliance.web.frame.language import LANGUAGES, catalogue, language_of
from appliance.web.frame.static import address

_ADDRESS = re.compile("[a-z]+://")


@dataclass(frozen=True, slots=True)
class Around:
    """For layout.html: what stands around every page. `languages` are code, name and the address of the page in it.

    `person` is the name of who has logged in, else ""; `is_open` whether there are pages for who has not.
    """

    site_name: str
    path: str
    person: str
    is_open: bool
    languages: tuple[tuple[str, str, str], ...]


class _Compiled(jinja2.BytecodeCache):
    """Each template compiled once for all languages."""

    def __init__(self) -> None:
        self._of: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self._of:
            bucket.bytecode_from_string(self._of[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._of[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


@cache
def environment(package: str, language: str) -> jinja2.Environment:
    """The templates of a site in one language, and behind them those of the frame."""
    env = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader(OWN)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
        extensions=["jinja2.ext.i18n"],
    )
    texts = catalogue(package, language)
    env.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    env.filters |= {
        # For texts that arrive in a variable: `_()` would take them for markup and for a format with "%".
        "translated": texts.gettext,
        "sentence": sentence,
        "clock": cldr.clock,
    }
    for write in (cldr.count, cldr.decimal, cldr.pointed, cldr.size, cldr.day, cldr.month, cldr.moment):
        env.filters[write.__name__] = partial(write, language=language)
    env.globals |= {"static": partial(address, package), "language": language}
    env.globals |= {"zone": zones.name, "zone_minutes": zones.minutes_ahead}
    return env


def prepare(package: str) -> None:
    """Compile all templates of a site and read its languages, which takes some tenths of a second."""
    for language in LANGUAGES:
        cldr.prepare(language)
        templates = environment(package, language)
        for name in templates.list_templates(extensions=["html"]):
            templates.get_template(name)


def render(package: str, language: str, template: str, page: Any) -> str:
    """The text of a part of a page: a `template`, which sees the dataclass `page` under that name."""
    return environment(package, language).get_template(template).render(page=page)


def html(request: web.Request, template: str, page: Any, status: int = 200) -> web.Response:
    """A whole page in answer to a request.

    It is never kept, since it tells what is now, and is compressed where the browser takes it.
    """
    frame = request.app[FRAME]
    languages = tuple((code, name, _in_language(request, code)) for code, name in LANGUAGES.items())
    person = request[SESSION].name if SESSION in request else ""
    around = Around(frame.site_name, request.path, person, frame.is_open, languages)
    text = environment(frame.package, language_of(request)).get_template(template).render(page=page, around=around)
    response = web.Response(text=text, status=status, content_type="text/html")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept-Language, Cookie"
    response.enable_compression()
    return response


def _in_language(request: web.Request, code: str) -> str:
    """The address of the same page in another language, without its path, which may read like another host's."""
    if request.method not in ("GET", "HEAD"):
        return f"/?lang={code}"
    return f"?{urlencode([*((k, v) for k, v in request.query.items() if k != 'lang'), ('lang', code)])}"


def sentence(text: str) -> str:
    """Words that a program said as a sentence, but for an address that they begin with.

    >>> sentence("the card is full"), sentence("https://a.example: no answer.")
    ('The card is full.', 'https://a.example: no answer.')
    """
    begins = text if _ADDRESS.match(text) else f"{text[:1].upper()}{text[1:]}"
    return f"{begins.rstrip('.')}."


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in units that both languages write alike.

    >>> from datetime import timedelta, UTC
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> [age(now - timedelta(seconds=s), now) for s in (-3, 59, 61, 7300, 200_000)]
    ['0 s', '59 s', '1 min', '2 h', '2 d']
    """
    return span(max(0.0, (now - moment).total_seconds()))


def span(seconds: float, *, up: bool = False) -> str:
    """A length of time in whole units, rounded down, or `up`.

    >>> span(3599), span(61, up=True), span(100_000, up=True), span(200_000, up=True)
    ('59 min', '2 min', '28 h', '3 d')
    """
    whole = math.ceil if up else math.floor
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{whole(seconds / size)} {unit}"
    return f"{whole(seconds / 86_400)} d"
