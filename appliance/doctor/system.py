"""The clock and the network, from what the kernel tells: nothing is sent anywhere.

Sources: adjtimex(2); proc(5) (net/route, net/fib_trie, net/if_inet6, net/ipv6_route); resolv.conf(5).
"""

import ipaddress
import re
from collections.abc import Iterator

from appliance.doctor.finding import Finding, Machine, text

_LOCAL = re.compile(r"\|-- (\S+)\s+/32 host LOCAL")
_IPV6_SCOPE_GLOBAL = "00"
_ROUTE_UP = 1


def check_clock(machine: Machine) -> Iterator[Finding]:
    """Whether the time is held by a time service, or by a clock of the machine's own."""
    known = machine.kernel_time()
    clocks = sorted(path.name for path in (machine.sys / "class" / "rtc").glob("rtc*"))
    if known.synchronized:
        yield Finding("clock", "ok", f"held by a time service, at most {known.uncertainty_ms / 1000:g} s off")
    elif known.rtc_utc_ms is not None:
        hint = "Nothing has to be done; with a network a time service (systemd-timesyncd) makes it better."
        yield Finding("clock", "look", "set from the real-time clock; no time service holds it", hint)
    else:
        hint = (
            "Connect a network and run a time service (timedatectl set-ntp true), or add a real-time clock; until "
            "then times are estimates."
        )
        yield Finding("clock", "look", "nothing says what time it is", hint)
    if clocks:
        yield Finding("real-time clock", "ok", ", ".join(clocks))
    else:
        yield Finding("real-time clock", "n/a", "none; times depend on the network")


def check_network(machine: Machine) -> Iterator[Finding]:
    """Whether there is an address, a way out, and somebody to ask for names. None of them is needed to receive."""
    addresses = _addresses(machine)
    if not addresses:
        hint = "Connect a cable or Wi-Fi if the page is to be reached from elsewhere; receiving goes on without."
        yield Finding("network", "look", "no interface has an address", hint)
        return
    yield Finding("network", "ok", ", ".join(addresses))
    if way := _default_route(machine):
        yield Finding("way out", "ok", f"by {way}")
    else:
        hint = "Set a gateway if the appliance is to deliver to an aggregator or take the time from a network."
        yield Finding("way out", "look", "there is no default route", hint)
    servers = re.findall(r"^\s*nameserver\s+(\S+)", text(machine.etc / "resolv.conf"), re.MULTILINE)
    if servers:
        yield Finding("names", "ok", f"asked of {', '.join(servers)}")
    else:
        hint = "Set a name server, or give addresses in place of names."
        yield Finding("names", "look", "nobody is set to be asked for names", hint)


def _addresses(machine: Machine) -> list[str]:
    """Addresses by which others may reach this machine, of interfaces that are up."""
    found = dict.fromkeys(_LOCAL.findall(text(machine.proc / "net" / "fib_trie")))
    for line in text(machine.proc / "net" / "if_inet6").splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[3] == _IPV6_SCOPE_GLOBAL:
            found[str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))] = None
    return [address for address in found if not ipaddress.ip_address(address).is_loopback]


def _default_route(machine: Machine) -> str:
    """The interface by which what is not near is reached, empty if there is none."""
    for line in text(machine.proc / "net" / "route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and int(fields[3], 16) & _ROUTE_UP:
            return fields[0]
    for line in text(machine.proc / "net" / "ipv6_route").splitlines():
        fields = line.split()
        if len(fields) == 10 and fields[1] == "00" and set(fields[0]) == {"0"} and fields[9] != "lo":
            return fields[9]
    return ""
