"""How many files and connections the process may have open: each takes a handle, and 1,024 are the usual allowance."""

import contextlib
import resource

WANTED = 8_192


def allow_file_handles() -> None:
    """Ask the kernel for more, as far as this user may have them; what is allowed beyond stays."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if most == resource.RLIM_INFINITY else min(WANTED, most)
    if resource.RLIM_INFINITY != now < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
