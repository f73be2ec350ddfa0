"""`/`: the fleet at one glance, and the list of its appliances."""

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from appliance.aggregator import overview
from appliance.aggregator.operators import OPERATOR
from appliance.aggregator.overview import PER_PAGE, SILENT_MS, Member, Summary
from appliance.aggregator.pages.fleet_words import FILTERS, ORDERS
from appliance.aggregator.pages.parts import CENTRE, When, grouped, when
from appliance.naming import MOST_NAME
from appliance.web.frame.guard import only
from appliance.web.frame.rendering import html, span

LONGEST_SEARCH = MOST_NAME


@dataclass(frozen=True, slots=True)
class Row:
    """For fleet.html: an appliance. `lag` is how old the last batch is that is stored; `is_late` beyond silence."""

    identity: str
    grouped: str
    name: str
    state: str
    heard: When | None
    lag: str
    is_late: bool
    waiting: int
    missing: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class FleetPage:
    """For fleet.html. `filters` and `orders` are name, words, address and, of a filter, how many."""

    summary: Summary
    silent_after: str
    which: str
    order: str
    words: str
    filters: list[tuple[str, str, str, int]]
    orders: list[tuple[str, str, str]]
    rows: list[Row]
    count: int
    first: int
    before: str
    after: str


@only(OPERATOR)
async def view(request: web.Request) -> web.Response:
    """The page."""
    centre = request.app[CENTRE]
    now_utc_ms = centre.now_utc_ms()
    which = request.query.get("show", "all")
    which = which if which in FILTERS else "all"
    order = request.query.get("order", "need")
    order = order if order in ORDERS else "need"
    words = request.query.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]
    number = request.query.get("page", "1")
    page = int(number) if number.isascii() and number.isdigit() and 0 < len(number) < 7 and int(number) else 1
    counts = await overview.summary(centre.database, now_utc_ms)
    members, count = await overview.members(centre.database, now_utc_ms, which, order, words, page)
    last = max(1, -(-count // PER_PAGE))
    if page > last:
        members, count = await overview.members(centre.database, now_utc_ms, which, order, words, page := last)

    def address(**changed: str | int) -> str:
        """The page with something else chosen, without what would be chosen anyway."""
        chosen = {"show": which, "order": order, "q": words, "page": 1} | changed
        usual = {"show": "all", "order": "need", "q": "", "page": 1}
        query = urlencode({name: value for name, value in chosen.items() if value != usual[name]})
        return f"/?{query}" if query else "/"

    shown = FleetPage(
        summary=counts,
        silent_after=span(SILENT_MS / 1000),
        which=which,
        order=order,
        words=words,
        filters=[(name, text, address(show=name), getattr(counts, name)) for name, text in FILTERS.items()],
        orders=[(name, text, address(order=name)) for name, text in ORDERS.items()],
        rows=[row(member, now_utc_ms) for member in members],
        count=count,
        first=(page - 1) * PER_PAGE + 1,
        before=address(page=page - 1) if page > 1 else "",
        after=address(page=page + 1) if page < last else "",
    )
    return html(request, "fleet.html", shown)


def row(member: Member, now_utc_ms: int) -> Row:
    """An appliance as the list shows it."""
    lag_ms = None if member.sealed_utc_ms is None else max(0, now_utc_ms - member.sealed_utc_ms)
    return Row(
        identity=member.identity,
        grouped=grouped(member.identity),
        name=member.name,
        state=member.state,
        heard=when(member.heard_utc_ms, now_utc_ms),
        lag="" if lag_ms is None else span(lag_ms / 1000),
        is_late=lag_ms is not None and lag_ms > SILENT_MS,
        waiting=member.waiting,
        missing=member.missing,
        simulated=bool(member.simulated),
    )
