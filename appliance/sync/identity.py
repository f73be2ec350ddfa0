"""Who the appliance is: a key made at its first start, which never leaves it, and those that came after.

    identity/000001.key        private key of epoch 1 (PKCS #8, PEM), and below it the SHA-256 of that text
    identity/000001.copy       the same again: a card forgets a bit now and then
    identity/000002.rotation   the key of epoch 2, in an envelope signed by that of epoch 1
    identity/claim             the code by which an operator knows that a person stands beside this appliance

The appliance's name to the aggregator is the beginning of the SHA-256 of its first public key. Each key has its epoch,
and numbers its batches from 1. A new one begins when a person asks for it, and when a backup was restored, because the
machine that the backup was made of may go on signing.
"""

import base64
import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from appliance.errors import StoreError
from appliance.sync.envelope import ROTATION, key_id, seal

log = logging.getLogger(__name__)

FOLDER = "identity"
NAME_DIGITS = 32
_SUM_LENGTH = 65
# Letters and digits that are not taken for each other.
CODE_ALPHABET, CODE_LENGTH = "23456789ABCDEFGHJKMNPQRSTVWXYZ", 8


@dataclass(frozen=True)
class Identity:
    """The appliance's name and its key of now, with the statements that lead from the first key to it."""

    appliance: str
    epoch: int
    key: Ed25519PrivateKey
    claim_code: str
    rotations: tuple[bytes, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The appliance's name as people compare it.

        >>> Identity("0123456789abcdef0123456789abcdef", 1, Ed25519PrivateKey.generate(), "").fingerprint
        '0123 4567 89ab cdef 0123 4567 89ab cdef'
        """
        return " ".join(re.findall("....", self.appliance))


def name_of(key: Ed25519PublicKey) -> str:
    """The name of the appliance whose first key this is."""
    return key_id(key)[:NAME_DIGITS]


def open_identity(directory: Path) -> Identity:
    """The identity in a data directory, made at the first start. Raises StoreError, OSError."""
    folder = directory / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.glob("*.part"):
        path.unlink()
    epochs = sorted({int(path.stem) for path in folder.iterdir() if re.fullmatch(r"\d{6}\.(key|copy)", path.name)})
    if not epochs:
        _keep_key(folder, 1, Ed25519PrivateKey.generate())
        epochs = [1]
    key = _kept_key(folder, epochs[-1])
    rotations = tuple(path.read_bytes() for path in sorted(folder.glob("*.rotation")) if int(path.stem) <= epochs[-1])
    return Identity(_name(folder, rotations, key), epochs[-1], key, _claim_code(folder), rotations)


def rotate(directory: Path, identity: Identity) -> Identity:
    """Begin a new epoch: a new key, and the old one's word for it. Raises OSError.

    Cut short before the new key has its name, nothing has changed.
    """
    folder, epoch, key = directory / FOLDER, identity.epoch + 1, Ed25519PrivateKey.generate()
    statement = {
        "appliance": identity.appliance,
        "epoch": epoch,
        "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode(),
    }
    content = json.dumps(statement, separators=(",", ":")).encode()
    _write(folder / f"{epoch:06}.rotation", seal(ROTATION, content, identity.key))
    _keep_key(folder, epoch, key)
    # What was signed stays signed; that no more can be signed with it is worth more than the old key.
    for name in (f"{identity.epoch:06}.copy", f"{identity.epoch:06}.key"):
        (folder / name).unlink(missing_ok=True)
    _sync(folder)
    log.info("identity appliance=%s epoch=%d", identity.appliance, epoch)
    return open_identity(directory)


def _name(folder: Path, rotations: tuple[bytes, ...], key: Ed25519PrivateKey) -> str:
    if not rotations:
        return name_of(key.public_key())
    try:
        payload = base64.b64decode(json.loads(rotations[-1])["payload"])
        return str(json.loads(payload)["appliance"])
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{folder} holds a damaged statement about its key", _HINT) from None


_HINT = "Restore a backup; without one delete the folder, and the operator approves the appliance as a new one."


def _keep_key(folder: Path, epoch: int, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    text = pem + f"{hashlib.sha256(pem).hexdigest()}\n".encode()
    for ending in ("copy", "key"):
        _write(folder / f"{epoch:06}.{ending}", text)


def _kept_key(folder: Path, epoch: int) -> Ed25519PrivateKey:
    """The key of an epoch; where one of its two files is damaged, it is written anew from the other."""
    paths = [folder / f"{epoch:06}.{ending}" for ending in ("key", "copy")]
    found = [_read_key(path) for path in paths]
    key = found[0] or found[1]
    if key is None:
        raise StoreError(f"{paths[0]} is damaged, and so is its copy", _HINT)
    for path, good in zip(paths, found, strict=True):
        if good is None:
            other = paths[1] if path == paths[0] else paths[0]
            log.warning("identity file=%s damaged or gone, written anew", path)
            with contextlib.suppress(OSError):
                _write(path, other.read_bytes())
    return key


def _read_key(path: Path) -> Ed25519PrivateKey | None:
    """The key in a file, None when that is not what was written."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    pem, told = content[:-_SUM_LENGTH], content[-_SUM_LENGTH:]
    if told != f"{hashlib.sha256(pem).hexdigest()}\n".encode():
        return None
    key = load_pem_private_key(pem, None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def _claim_code(folder: Path) -> str:
    path = folder / "claim"
    with contextlib.suppress(FileNotFoundError):
        code = path.read_text(encoding="ascii", errors="replace")
        if re.fullmatch(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}", code):
            return code
    code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    _write(path, code.encode())
    return code


def _write(path: Path, content: bytes) -> None:
    """A file that only its owner reads, whole and on the card before it has its name."""
    part = path.with_name(f"{path.name}.part")
    with _created(part) as handle:
        os.write(handle, content)
        os.fsync(handle)
    part.rename(path)
    _sync(path.parent)


@contextlib.contextmanager
def _created(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
