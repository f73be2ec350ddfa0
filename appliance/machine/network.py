"""The network as the kernel tells of it: interfaces, addresses, the way out, who is asked for names. Nothing is sent.

Sources: the kernel's sysfs-class-net; proc(5) (net/route, net/if_inet6, net/ipv6_route, net/wireless);
resolv.conf(5).
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.machine import Machine, text

Kind = Literal["cable", "Wi-Fi", "mobile", "other"]

_IPV6_SCOPE_GLOBAL = "00"
_ROUTE_UP = 1
_ETHERNET = "1"
# Where the daemon of this name is, the machine answers to its host name under .local.
_AVAHI = Path("avahi-daemon/socket")


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface that is hardware or has an address.

    `is_up`: a cable is in, or a network is joined. `signal_dbm` is how strong the Wi-Fi comes in, None where there is
    none or nobody tells; `addresses` are those by which others may reach this machine.
    """

    name: str
    kind: Kind
    is_up: bool
    addresses: tuple[str, ...]
    signal_dbm: int | None = None


def interfaces(machine: Machine) -> list[Interface]:
    """All but the loopback, by name."""
    by_name: dict[str, list[str]] = {}
    for name, address in addresses(machine):
        by_name.setdefault(name, []).append(address)
    signals = _signals(machine)
    found = []
    for place in sorted((machine.sys / "class" / "net").glob("*")):
        own = tuple(by_name.get(place.name, ()))
        if place.name == "lo" or not (own or (place / "device").exists()):
            continue
        # A driver that does not know says "unknown".
        is_up = text(place / "operstate") == "up" or (text(place / "operstate") != "down" and bool(own))
        found.append(Interface(place.name, _kind(place), is_up, own, signals.get(place.name)))
    return found


def addresses(machine: Machine) -> list[tuple[str, str]]:
    """Interface and address of each by which others may reach this machine, those of IPv4 first."""
    v4 = [(name, address) for name, address in machine.ipv4_addresses() if not _is_loopback(address)]
    return [*v4, *_ipv6_addresses(machine)]


def default_route(machine: Machine) -> tuple[str, str] | None:
    """The interface by which what is not near is reached, and the gateway there, if it has an address."""
    for line in text(machine.proc / "net" / "route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and int(fields[3], 16) & _ROUTE_UP:
            gateway = str(ipaddress.IPv4Address(bytes.fromhex(fields[2])[::-1]))
            return fields[0], "" if gateway == "0.0.0.0" else gateway  # noqa: S104 - compared
    for line in text(machine.proc / "net" / "ipv6_route").splitlines():
        fields = line.split()
        if len(fields) == 10 and fields[1] == "00" and set(fields[0]) == {"0"} and fields[9] != "lo":
            gateway = str(ipaddress.IPv6Address(bytes.fromhex(fields[4])))
            return fields[9], "" if gateway == "::" else gateway
    return None


def name_servers(machine: Machine) -> list[str]:
    """Who is asked for names."""
    return re.findall(r"^\s*nameserver\s+(\S+)", text(machine.etc / "resolv.conf"), re.MULTILINE)


def is_announced(machine: Machine) -> bool:
    """Whether others find the machine by its name under .local (mDNS)."""
    return (machine.run / _AVAHI).exists()


def _kind(place: Path) -> Kind:
    if (place / "wireless").exists() or (place / "phy80211").exists():
        return "Wi-Fi"
    if place.name.startswith(("ww", "ppp")):
        return "mobile"
    return "cable" if text(place / "type") == _ETHERNET and (place / "device").exists() else "other"


def _ipv6_addresses(machine: Machine) -> Iterator[tuple[str, str]]:
    for line in text(machine.proc / "net" / "if_inet6").splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[3] == _IPV6_SCOPE_GLOBAL:
            yield fields[5], str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))


def _signals(machine: Machine) -> dict[str, int]:
    """How strong each Wi-Fi comes in, in dBm; a driver that tells it in another measure is left out."""
    found = {}
    for line in text(machine.proc / "net" / "wireless").splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        try:
            dbm = round(float(fields[2]))
        except (IndexError, ValueError):
            continue
        if dbm < 0:
            found[name.strip()] = dbm
    return found


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
