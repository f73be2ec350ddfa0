"""What the frame is told of the site that it is around."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A site. `package` has its folders `templates`, `static` and `locale`.

    `names` are the host names by which it is reached beside those that every machine has. Only where
    it `has_forms` may a page send one. Where it `is_open` whoever comes may read what is marked so; `https_port` is
    where a log-in by plain HTTP is told to go, 0 for nowhere.
    """

    package: str
    site_name: str
    names: tuple[str, ...] = ()
    has_forms: bool = False
    is_open: bool = False
    https_port: Callable[[], int] = lambda: 0


FRAME = web.AppKey("FRAME", Frame)
# The package that holds what all sites have.
OWN = "appliance.web.frame"
