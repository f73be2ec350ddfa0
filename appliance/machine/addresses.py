"""The IPv4 addresses of this machine, each with its interface, which no file of the kernel tells together.

Source: netdevice(7), SIOCGIFCONF. `struct ifreq` is 16 bytes of name, then a union, in which the address is a
`sockaddr_in`: family, port, and from its fourth byte on the address.
"""

import ctypes
import fcntl
import socket
import struct

_SIOCGIFCONF = 0x8912
_NAME_BYTES, _ADDRESS_AT = 16, 20
# The largest member of the union is `struct ifmap`, which has two longs.
_IFREQ_BYTES = _NAME_BYTES + (24 if struct.calcsize("l") == 8 else 16)
_MOST = 256


def ipv4_addresses() -> list[tuple[str, str]]:
    """Interface and address of each; none where the kernel does not say."""
    table = ctypes.create_string_buffer(_MOST * _IFREQ_BYTES)
    question = bytearray(struct.pack("iP", len(table), ctypes.addressof(table)))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCGIFCONF, question)
    except OSError:
        return []
    used = struct.unpack("iP", question)[0]
    entries = (table.raw[at : at + _IFREQ_BYTES] for at in range(0, used, _IFREQ_BYTES))
    return [
        (
            one[:_NAME_BYTES].split(b"\0")[0].decode(errors="replace"),
            socket.inet_ntoa(one[_ADDRESS_AT : _ADDRESS_AT + 4]),
        )
        for one in entries
    ]
