"""The doctor about clock and network."""

from appliance.doctor.system import check_clock, check_network
from appliance.kernel_clock import KernelTime
from tests.doctor.machines import Pi, told


def test_a_clock_that_is_held(pi: Pi) -> None:
    assert told(check_clock(pi.machine)) == [
        ("clock", "ok", "held by a time service, at most 0.3 s off"),
        ("real-time clock", "ok", "rtc0"),
    ]


def test_a_clock_that_is_set_once_or_never(pi: Pi) -> None:
    pi.time = KernelTime(synchronized=False, rtc_utc_ms=1)
    assert told(check_clock(pi.machine))[0][:2] == ("clock", "look")
    pi.time = KernelTime(synchronized=False)
    pi.remove("sys/class/rtc/rtc0/hctosys")
    (pi.root / "sys/class/rtc/rtc0").rmdir()
    rows = told(check_clock(pi.machine))
    assert rows[0][2] == "nothing says what time it is"
    assert rows[1][1] == "n/a"


def test_a_network(pi: Pi) -> None:
    assert told(check_network(pi.machine)) == [
        ("network", "ok", "192.168.1.20"),
        ("way out", "ok", "by eth0"),
        ("names", "ok", "asked of 192.168.1.1"),
    ]


def test_a_network_of_version_6(pi: Pi) -> None:
    pi.ipv4.clear()
    pi.remove("proc/net/route")
    none, host = "0" * 32, "20010db8000000000000000000000020"
    pi.write(
        "proc/net/if_inet6",
        f"{none[:-1]}1 01 80 10 80       lo\nfe80{host[4:]} 02 40 20 80     eth0\n{host} 02 40 00 80     eth0\n",
    )
    pi.write("proc/net/ipv6_route", f"{none} 00 {none} 00 fe80{none[5:]}1 00000400 00000001 00000000 00000003 eth0\n")
    assert told(check_network(pi.machine))[:2] == [("network", "ok", "2001:db8::20"), ("way out", "ok", "by eth0")]


def test_no_network_is_no_fault(pi: Pi) -> None:
    pi.ipv4.clear()
    assert told(check_network(pi.machine)) == [("network", "look", "no interface has an address")]


def test_no_way_out_and_no_names(pi: Pi) -> None:
    pi.write("proc/net/route", "Iface\tDestination\n")
    pi.remove("etc/resolv.conf")
    assert [row[1] for row in told(check_network(pi.machine))] == ["ok", "look", "look"]
