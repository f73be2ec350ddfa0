"""Whose request it is: the address that a share of the service is counted by, and whether it came encrypted.

One address is one IPv4 address or the /64 of an IPv6 address, which is what one subscriber has. What a proxy on this
machine hands on comes from the address that it names last in X-Forwarded-For, by the scheme that it names last in
X-Forwarded-Proto; nobody else is believed these headers.
"""

from ipaddress import IPv6Address, ip_address

from aiohttp import web


def address_of(request: web.Request) -> str | None:
    """Who sent a request, as its share is counted; None for a program on this machine."""
    peer = request.remote or ""
    if not is_here(peer):
        return known_as(peer)
    forwarded = _handed_on(request, "X-Forwarded-For")
    return known_as(forwarded) if forwarded is not None else None


def is_encrypted(request: web.Request) -> bool:
    """Whether a request came by HTTPS, to us or to a proxy on this machine."""
    return request.secure or (is_here(request.remote or "") and _handed_on(request, "X-Forwarded-Proto") == "https")


def _handed_on(request: web.Request, header: str) -> str | None:
    values = request.headers.getall(header, [])
    return values[-1].rpartition(",")[2].strip() if values else None


def known_as(peer: str) -> str:
    """An address as its share is counted; "" for what is none.

    >>> known_as("192.0.2.7"), known_as("2001:db8:1:2:3::4"), known_as("::ffff:192.0.2.7"), known_as("unknown")
    ('192.0.2.7', '2001:db8:1:2::', '192.0.2.7', '')
    """
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)


def is_here(peer: str) -> bool:
    """Whether it is a program on this machine."""
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
