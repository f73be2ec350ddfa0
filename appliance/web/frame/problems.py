"""What a program is answered in place of what it asked for: a problem document (RFC 9457).

Programs ask below `/api/`. They are never sent to the log-in, which is a page for people. `detail` is for whoever reads
the program's log; nothing of what was asked is repeated in it.
"""

from http import HTTPStatus

from aiohttp import web

API = "/api/"
MEDIA_TYPE = "application/problem+json"
DETAILS = {
    400: "The request cannot be understood. The description at /api/v1/openapi.json says what may be asked.",
    401: "Log in first: send name and password to /login, and the cookie that it sets with each request. "
    "docs/api.md shows how.",
    403: "This request is not for who sends it, or it comes from a page of another site.",
    404: "There is nothing at this address: it is mistyped, or it names a meter that was never heard here.",
    405: "This address is only read: ask with GET.",
    408: "The request did not come to its end in time. Send it again.",
    413: "The request is larger than anything that is taken here.",
    415: "The body is of a kind that is not taken here.",
    421: "This name is not one of this machine's. Ask by its address or its .local name, or list the name under "
    "[web] names in its configuration.",
    429: "Too many requests. Wait as long as Retry-After says.",
    503: "The data cannot be read just now, or there is too much to do. Nothing is lost: ask again in a few seconds.",
}
BROKEN = "Something went wrong here; the log of the machine says more. Readings go on being received and kept."


class BadQuery(web.HTTPBadRequest):
    """An address asks for what is not to be had; `detail` says so, in words that do not come from outside."""

    def __init__(self, detail: str) -> None:
        super().__init__()
        self.detail = detail


class NotLoggedIn(web.HTTPUnauthorized):
    """A program has not logged in; the challenge is one that makes no browser ask for a password by itself.

    Source: draft-broyer-http-cookie-auth.
    """

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Cookie form-action="/login", cookie-name="session"'})


def is_of_api(request: web.Request) -> bool:
    """Whether a program asks."""
    return request.path.startswith(API)


def problem(status: int, detail: str = "") -> web.Response:
    """The answer."""
    phrase = HTTPStatus(status).phrase
    told = {"status": status, "title": phrase, "detail": detail or DETAILS.get(status, BROKEN)}
    return web.json_response(told, status=status, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
