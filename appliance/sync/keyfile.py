"""A private key on the disk: two files, each with its sum, that only their owner reads.

    NAME.key     the private key (PKCS #8, PEM), and below it the SHA-256 of that text
    NAME.copy    the same again: a card forgets a bit now and then

The one that is damaged or gone is written anew from the other.
"""

import contextlib
import hashlib
import logging
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from appliance.durable import write
from appliance.errors import StoreError

log = logging.getLogger(__name__)

KEY, COPY = "key", "copy"
_SUM_LENGTH = 65


def keep_key(folder: Path, name: str, key: Ed25519PrivateKey) -> None:
    """Write a key; it counts once its second file has its name. Raises OSError."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    text = pem + f"{hashlib.sha256(pem).hexdigest()}\n".encode()
    for ending in (COPY, KEY):
        write(folder / f"{name}.{ending}", text)


def found_key(folder: Path, name: str) -> Ed25519PrivateKey | None:
    """The key of that name, as it lies there; None when both of its files are damaged or gone. Raises OSError."""
    return _read(folder / f"{name}.{KEY}") or _read(folder / f"{name}.{COPY}")


def kept_key(folder: Path, name: str, hint: str) -> Ed25519PrivateKey:
    """The key of that name. Raises StoreError with `hint` when both of its files are damaged or gone."""
    paths = [folder / f"{name}.{ending}" for ending in (KEY, COPY)]
    found = [_read(path) for path in paths]
    key = found[0] or found[1]
    if key is None:
        raise StoreError(f"{paths[0]} is damaged, and so is its copy", hint)
    for path, other, good in zip(paths, reversed(paths), found, strict=True):
        if good is None:
            log.warning("key file=%s damaged or gone, written anew", path)
            with contextlib.suppress(OSError):
                write(path, other.read_bytes())
    return key


def _read(path: Path) -> Ed25519PrivateKey | None:
    """The key in a file, None when that is not what was written."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    pem, told = content[:-_SUM_LENGTH], content[-_SUM_LENGTH:]
    if told != f"{hashlib.sha256(pem).hexdigest()}\n".encode():
        return None
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None
