"""Keep freed memory in the process instead of handing it back to the kernel at every turn.

The receiver allocates and frees the same few hundred kilobytes some thousand times a second. The C library of most
Linux systems returns each such piece to the kernel and asks for fresh, zeroed pages the next time: measured, that
costs as much as the FFTs themselves. Memory in use is the same, for the pieces are used again.
"""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 256 << 20


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed; where there is no glibc, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
