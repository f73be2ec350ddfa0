"""Templates and the way numbers and times are written in them."""

import math
from datetime import datetime
from functools import cache
from typing import Any

import jinja2
from aiohttp import web

from appliance.web.language import LANGUAGES, catalogue
from appliance.web.static import address

# Groups of three digits, as the SI writes them in every language; the space does not break.
GROUP = "\N{NARROW NO-BREAK SPACE}"


@cache
def environment(language: str) -> jinja2.Environment:
    """The templates in one language."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("appliance.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    decimal = "," if language == "es" else "."
    env.filters |= {
        # For texts that arrive in a variable: `_()` would take them for markup and for a format with "%".
        "translated": catalogue(language).gettext,
        "count": count,
        "sentence": lambda text: f"{text[:1].upper()}{text[1:].rstrip('.')}.",
        "decimal": lambda value, digits: f"{value:.{digits}f}".replace(".", decimal).replace("-", "−"),
    }
    env.globals |= {"static": address, "language": language, "languages": LANGUAGES}
    return env


def render(language: str, template: str, page: Any) -> str:
    """The text of `template`, which sees the dataclass `page` under that name."""
    return environment(language).get_template(template).render(page=page)


def html(text: str, status: int = 200) -> web.Response:
    """A page that is never kept, since it tells what is now; compressed where the browser takes it."""
    response = web.Response(text=text, status=status, content_type="text/html")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept-Language, Cookie"
    response.enable_compression()
    return response


def count(value: int) -> str:
    """A number of things, grouped from five digits on.

    >>> count(1234), count(1234567).replace(GROUP, " ")
    ('1234', '1 234 567')
    """
    return f"{value:,}".replace(",", GROUP) if value >= 10_000 else str(value)


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
