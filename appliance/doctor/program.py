"""The program's own affairs: its settings, its rights, its port, and the instance that runs."""

import os
import pwd
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.config import Draft, Web
from appliance.doctor.finding import Finding, Verdict


def check_settings(draft: Draft) -> Iterator[Finding]:
    """Whether each entry of the configuration is right."""
    for wrong in draft.wrong:
        yield Finding("settings", "bad", f"{draft.path}: {wrong}", "Correct it; the appliance takes it up by itself.")
    if not draft.wrong:
        yield Finding("settings", "ok", str(draft.path or "no file, hence the defaults"))


def check_running(health: Mapping[str, Any] | None, why_not: str, hint: str) -> Iterator[Finding]:
    """How the running instance says it is."""
    if health is None:
        yield Finding("appliance", "look", why_not, hint)
        return
    yield Finding("appliance", "ok", f"runs, {health['state']}")
    verdicts: dict[str, Verdict] = {"healthy": "ok", "degraded": "look", "failed": "bad"}
    for name, part in health["parts"].items():
        if part["state"] != "healthy":
            hint = part["hint"] or "It goes on trying by itself; what is found below may be the cause."
            yield Finding(name, verdicts.get(part["state"], "bad"), f"{part['state']}: {part['reason']}", hint)


def check_port(web: Web, running: bool) -> Iterator[Finding]:
    """Whether the page can listen where it is set to."""
    if running:
        yield Finding("port", "ok", f"{web.port} is that of the appliance")
        return
    host = "" if web.host == "*" else web.host
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, web.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except socket.gaierror:
        yield Finding("port", "n/a", f"[web] host is a name, {web.host}: not looked up")
    except OSError as fault:
        hint = "Stop the program that uses it, or set [web] host and port to what is free and this machine's own."
        yield Finding("port", "bad", f"{web.host} port {web.port}: {fault.strerror}", hint)
    else:
        yield Finding("port", "ok", f"{web.port} is free")


def check_rights(draft: Draft) -> Iterator[Finding]:
    """Whether what the appliance needs belongs to the user that runs this."""
    directory = draft.config.store.directory
    user = _user(os.geteuid())
    if directory.exists() and (owner := directory.stat().st_uid) != os.geteuid():
        hint = f"Run this as the user of the appliance (sudo -u {_user(owner)} ...), or give {user} the directory."
        yield Finding("rights", "look", f"{directory} belongs to {_user(owner)}, this runs as {user}", hint)
    elif unreadable := _unreadable(draft.path):
        yield Finding("rights", "bad", f"{unreadable} may not be read by {user}", f"chown {user} {unreadable}")
    else:
        yield Finding("rights", "ok", f"what {user} needs may be used")


def _unreadable(path: Path | None) -> Path | None:
    return path if path is not None and not os.access(path, os.R_OK) else None


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
