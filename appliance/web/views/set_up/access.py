"""The set-up of access: who may log in, and which network is joined."""

from aiohttp import web

from appliance.account import account_name
from appliance.errors import InputError, StoreError, UsageError
from appliance.store.accounts import TECHNICIAN
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.passwords import generated
from appliance.web.frame.proof import PASSWORDS, Denied, prove_again
from appliance.web.parts import PARTS
from appliance.web.views.set_up.forms import Limits
from appliance.web.views.set_up.page import BUSY, NOT_KEPT, back
from appliance.web.views.set_up.setting_up import SETTING_UP, Busy
from appliance.web.views.set_up.shown import Trouble, show
from appliance.wireless import PASSWORD, is_name

ACCOUNT = "A name has at most 40 characters and no spaces."
THERE = "There is an account of that name already."
MANY = "There are as many accounts as there can be. Remove one that is not needed."
LAST = "This account cannot be removed."
NETWORK = "The name of a network has at most 32 characters."
WIFI_PASSWORD = "The password of a Wi-Fi has 8 to 63 characters."  # noqa: S105 - words about one
PHRASES = (ACCOUNT, THERE, MANY, LAST, NETWORK, WIFI_PASSWORD)
LONGEST_SHOWN = 100


@only(TECHNICIAN)
async def add(request: web.Request) -> web.Response:
    """An account for somebody, with a password that is made and shown this once."""
    fields = await form(request)
    typed = fields.get("account", "")
    shown = {"account": typed[:LONGEST_SHOWN]}
    try:
        name = account_name(typed)
    except InputError:
        return await show(request, Trouble("account", wrong={"account": (ACCOUNT, {})}, typed=shown), 422)
    password = generated()
    try:
        await prove_again(request, fields)
        await request.app[PARTS].accounts.add(name, await request.app[PASSWORDS].kept(password), request[SESSION].name)
    except Denied as denied:
        return denied.told(await show(request, Trouble("account", typed=shown, denied=denied)))
    except UsageError:
        why = await _why(request, name)
        return await show(request, Trouble("account", wrong={"account": (why, {})}, typed=shown), 422)
    except StoreError as fault:
        return await show(request, Trouble("account", NOT_KEPT, str(fault), typed=shown), 503)
    return await show(request, granted=(name, password))


async def _why(request: web.Request, name: str) -> str:
    """Why an account was not added."""
    is_there = any(one.name == name for one in await request.app[PARTS].accounts.all())
    return THERE if is_there else MANY


@only(TECHNICIAN)
async def remove(request: web.Request) -> web.Response:
    """An account is to let nobody in any more; not one's own."""
    fields, accounts = await form(request), request.app[PARTS].accounts
    name = fields.get("account", "")
    try:
        if name == request[SESSION].name or await accounts.find(name) is None:
            raise UsageError(f"{name} is logged in, or nobody")
        await prove_again(request, fields)
        await accounts.disable(name, request[SESSION].name)
    except Denied as denied:
        return denied.told(await show(request, Trouble("remove", typed={"account": name}, denied=denied)))
    except UsageError:
        return await show(request, Trouble("account", "refused"), 422)
    except StoreError as fault:
        return await show(request, Trouble("account", NOT_KEPT, str(fault)), 503)
    return back("password")


@only(TECHNICIAN)
async def join_wifi(request: web.Request) -> web.Response:
    """Join a Wi-Fi, which goes on by itself."""
    fields = await form(request)
    other, password = fields.get("other", "").strip(), fields.get("password", "")
    name = other or fields.get("network", "")
    wrong: dict[str, tuple[str, Limits]] = {}
    if not is_name(name):
        wrong["other" if other else "network"] = (NETWORK, {})
    if password and not PASSWORD.fullmatch(password):
        wrong["password"] = (WIFI_PASSWORD, {})
    shown = {key: value for key, value in fields.items() if key != "password"}
    if wrong:
        return await show(request, Trouble("link", wrong=wrong, typed=shown), 422)
    parts, who = request.app[PARTS], request[SESSION].name

    def then() -> None:
        parts.store.record("changed", {"who": who, "what": "wifi_joined", "network": name})

    try:
        request.app[SETTING_UP].join(name, password, bool(other), then)
    except Busy:
        return await show(request, Trouble("link", BUSY, typed=shown), 503)
    return back("link")
