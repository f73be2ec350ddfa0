"""Whatever a program sends to the API: no 5xx, no traceback, only what is described, and nothing of it comes back.

Requests are made by schemathesis of the description, sound ones and others.
"""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, unsupported_method

from appliance.web.openapi.description import DESCRIPTION, OPERATIONS
from tests.web.filled import METER, Filled, filled

SCHEMA = schemathesis.openapi.from_dict(dict(DESCRIPTION))
EXAMPLES = settings(max_examples=12, suppress_health_check=list(HealthCheck))
# These ask on their own, without the session.
LEFT_OUT = [ignored_auth, unsupported_method]
PROTOCOL, _, NUMBER = METER.partition("/")
MARK = "qzx7"
EVIL = f"{MARK}<script>'\"&{{{{7*7}}}}%s\r\nX-{MARK}: 1"
HEADERS = (
    "User-Agent", "Accept", "Accept-Language", "Referer", "Origin", "X-Forwarded-For", "X-Forwarded-Proto", "Range",
    "If-None-Match", "Authorization", "Cookie", "Content-Type",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled(tmp_path_factory.mktemp("site")) as one:
        yield one


def wrong() -> list[str]:
    """The addresses of which something can be asked wrongly."""
    return [path for path, operation in OPERATIONS.items() if operation["parameters"]]


@pytest.mark.parametrize("path", OPERATIONS)
def test_what_is_asked_as_described_is_answered_as_described(site: Filled, path: str) -> None:
    @EXAMPLES
    @given(case=SCHEMA[path]["GET"].as_strategy(generation_mode=GenerationMode.POSITIVE), is_known=st.booleans())
    def ask(case: schemathesis.Case, is_known: bool) -> None:
        if is_known and "meter" in case.path_parameters:
            case.path_parameters |= {"protocol": PROTOCOL, "meter": NUMBER}
        response = case.call(base_url=site.url, headers={"Cookie": site.cookie})
        case.validate_response(response, excluded_checks=LEFT_OUT)

    ask()


@pytest.mark.parametrize("path", wrong())
def test_what_is_asked_wrongly_is_refused_as_described(site: Filled, path: str) -> None:
    @EXAMPLES
    @given(case=SCHEMA[path]["GET"].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: schemathesis.Case) -> None:
        response = case.call(base_url=site.url, headers={"Cookie": site.cookie})
        case.validate_response(response, excluded_checks=LEFT_OUT)
        assert "Traceback" not in response.text

    ask()


@pytest.mark.parametrize("path", OPERATIONS)
def test_nothing_that_is_sent_comes_back(site: Filled, path: str) -> None:
    here = path.format(protocol=PROTOCOL, meter=NUMBER, kind="json", name="street")
    names = [one["name"] for one in OPERATIONS[path]["parameters"] if one["in"] == "query"]
    addresses = [f"{here}?{name}={quote(EVIL)}" for name in (*names, "nothing", quote(EVIL))]
    addresses += [path.format(protocol=a, meter=b, kind=c, name=a) for a, b, c in _each(quote(EVIL, safe=""))]
    addresses.append(f"{here}/{quote(EVIL)}")
    answers = [site.ask(method, address) for address in addresses for method in ("GET", "POST")]
    value = EVIL.replace("\r\n", " ")
    answers += [
        site.ask("GET", here, **{name: f"{site.cookie}; x={value}" if name == "Cookie" else value}) for name in HEADERS
    ]
    for answer in answers:
        assert answer.status < 500
        assert MARK.encode() not in answer.body.lower()
        assert MARK not in str(answer.headers).lower()


def _each(evil: str) -> Iterator[tuple[str, str, str]]:
    yield evil, NUMBER, "json"
    yield PROTOCOL, evil, "json"
    yield PROTOCOL, NUMBER, evil
