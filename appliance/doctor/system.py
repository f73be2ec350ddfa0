"""The clock and the network, from what the kernel tells: nothing is sent anywhere."""

from collections.abc import Iterator

from appliance.doctor.finding import Finding
from appliance.machine import Machine
from appliance.machine.network import addresses, default_route, name_servers


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
    own = dict.fromkeys(address for _, address in addresses(machine))
    if not own:
        hint = "Connect a cable or Wi-Fi if the page is to be reached from elsewhere; receiving goes on without."
        yield Finding("network", "look", "no interface has an address", hint)
        return
    yield Finding("network", "ok", ", ".join(own))
    if way := default_route(machine):
        yield Finding("way out", "ok", f"by {way[0]}")
    else:
        hint = "Set a gateway if the appliance is to deliver to an aggregator or take the time from a network."
        yield Finding("way out", "look", "there is no default route", hint)
    if servers := name_servers(machine):
        yield Finding("names", "ok", f"asked of {', '.join(servers)}")
    else:
        hint = "Set a name server, or give addresses in place of names."
        yield Finding("names", "look", "nobody is set to be asked for names", hint)
