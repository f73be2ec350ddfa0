"""Who the appliance is: a key made at its first start, which never leaves it, and those that came after.

    identity/000001.key        private key of epoch 1, as `keyfile.py` says
    identity/000001.copy       the same again
    identity/000002.rotation   the key of epoch 2, in an envelope signed by that of epoch 1
    identity/introduction      what it says of itself to an aggregator, signed by the key of epoch 1 before that went
    identity/claim             the code by which an operator knows that a person stands beside this appliance

The appliance's name to the aggregator is the beginning of the SHA-256 of its first public key. Each key has its epoch,
and numbers its batches from 1. A new one begins when a person asks for it, with the next epoch; and when a backup was
restored, with one that `store.backup.restore` drew: the machine that the backup was made of may go on signing, and so
may others on which the same backup was restored.
"""

import base64
import contextlib
import hashlib
import json
import logging
import re
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.durable import sync, write
from appliance.errors import StoreError
from appliance.store.backup.names import IDENTITY
from appliance.store.backup.restore import NEW_KEY, waiting
from appliance.sync.envelope import ENROLMENT, ROTATION, Refused, key_id, opened, read, seal
from appliance.sync.keyfile import COPY, KEY, found_key, keep_key, kept_key

log = logging.getLogger(__name__)

NAME_DIGITS = 32
INTRODUCTION, CLAIM = "introduction", "claim"
# With zeros before it as far as six digits.
_EPOCH = "[0-9]{6,16}"
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
    kept_introduction: bytes = b""

    def introduction(self, name: str = "", version: str = "", token: str = "") -> bytes:
        """What it says of itself to an aggregator that does not know it, signed with its first key."""
        if self.kept_introduction:
            return self.kept_introduction
        statement = {
            "appliance": self.appliance,
            "public_key": base64.b64encode(self.key.public_key().public_bytes_raw()).decode(),
            "name": name,
            "version": version,
            "claim": hashlib.sha256((self.claim_code + self.appliance).encode()).hexdigest(),
            "token": token,
        }
        return seal(ENROLMENT, json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode(), self.key)

    @cached_property
    def public_keys(self) -> dict[int, Ed25519PublicKey]:
        """Its keys by epoch: the one of now, and those of before that have their word, unbroken from the first."""
        known: dict[int, Ed25519PublicKey] = {}
        with contextlib.suppress(Refused, ValueError, KeyError, TypeError, RecursionError):
            first = _public(read(self.kept_introduction).payload)
            if name_of(first) == self.appliance:
                known[1] = first
            for rotation in self.rotations:
                statement = opened(read(rotation), ROTATION, {key_id(first): first})
                first = known[epoch_of(rotation)] = _public(statement)
        return known | {self.epoch: self.key.public_key()}

    @property
    def fingerprint(self) -> str:
        """The appliance's name as people compare it.

        >>> Identity("0123456789abcdef0123456789abcdef", 1, Ed25519PrivateKey.generate(), "").fingerprint
        '0123 4567 89ab cdef 0123 4567 89ab cdef'
        """
        return " ".join(re.findall("....", self.appliance))


def _public(statement: bytes) -> Ed25519PublicKey:
    """The key that a statement is about. Raises ValueError, KeyError, TypeError."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(json.loads(statement)["public_key"]))


def epoch_of(rotation: bytes) -> int:
    """The epoch of the key that a statement announces, 0 for one that is damaged."""
    with contextlib.suppress(Refused, ValueError, KeyError, TypeError, RecursionError):
        return int(json.loads(read(rotation).payload)["epoch"])
    return 0


def name_of(key: Ed25519PublicKey) -> str:
    """The name of the appliance whose first key this is."""
    return key_id(key)[:NAME_DIGITS]


def open_identity(directory: Path) -> Identity:
    """The identity in a data directory, made at the first start, with a new key where one was asked for.

    Raises StoreError, also while a restore waits, whose identity this one would stand in the way of; OSError.
    """
    if waiting(directory):
        raise StoreError("a restored backup is not in its place yet", "It is tried again by itself every few seconds.")
    folder = directory / IDENTITY
    identity = _opened(folder)
    if is_new_key_due(directory):
        identity = rotate(directory, identity, _ahead(folder))
        (folder / NEW_KEY).unlink()
    return identity


def is_new_key_due(directory: Path) -> bool:
    """Whether a new key was asked for: by a restore, or by a person."""
    return (directory / IDENTITY / NEW_KEY).exists()


def ask_new_key(directory: Path) -> None:
    """Have a new key begin; the appliance sees to it before it seals again. Raises OSError."""
    write(directory / IDENTITY / NEW_KEY, b"")


def seen_identity(directory: Path) -> Identity:
    """The identity in a data directory that another program may be using: nothing is made or mended.

    Raises StoreError when there is none, or it is damaged; OSError.
    """
    folder = directory / IDENTITY
    with contextlib.suppress(FileNotFoundError):
        if epochs := _epochs(folder):
            if key := found_key(folder, _stem(epochs[-1])):
                return _identity(folder, epochs[-1], key, (folder / CLAIM).read_text(errors="replace"))
            raise StoreError(f"the key in {folder} is damaged, and so is its copy", _HINT)
    raise StoreError(f"{folder} holds no key yet", "Start the appliance once: it makes its key then.")


def is_sound(directory: Path) -> bool:
    """Whether what lies in a data directory can be opened as an identity; where there is no key one is made."""
    try:
        return (
            not (directory / IDENTITY).exists() or not _epochs(directory / IDENTITY) or bool(seen_identity(directory))
        )
    except (StoreError, OSError):
        return False


def _opened(folder: Path) -> Identity:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.glob("*.part"):
        path.unlink()
    epochs = _epochs(folder)
    if not epochs:
        keep_key(folder, _stem(1), Ed25519PrivateKey.generate())
        epochs = [1]
    key = kept_key(folder, _stem(epochs[-1]), _HINT)
    return _identity(folder, epochs[-1], key, _claim_code(folder))


def _epochs(folder: Path) -> list[int]:
    return sorted({int(path.stem) for path in folder.iterdir() if re.fullmatch(_EPOCH + r"\.(key|copy)", path.name)})


def _ahead(folder: Path) -> int:
    """How many epochs ahead the new key is that is due: as a restore drew, or one. Raises OSError."""
    said = (folder / NEW_KEY).read_bytes()
    return int(said) if re.fullmatch(b"[1-9][0-9]{0,6}", said) else 1


def _identity(folder: Path, epoch: int, key: Ed25519PrivateKey, claim_code: str) -> Identity:
    found = (path for path in folder.iterdir() if re.fullmatch(_EPOCH + r"\.rotation", path.name))
    begun = sorted((path for path in found if int(path.stem) <= epoch), key=lambda path: int(path.stem))
    rotations = tuple(path.read_bytes() for path in begun)
    introduction = (folder / INTRODUCTION).read_bytes() if epoch > 1 and (folder / INTRODUCTION).exists() else b""
    return Identity(_name(folder, rotations, key), epoch, key, claim_code, rotations, introduction)


def rotate(directory: Path, identity: Identity, ahead: int = 1) -> Identity:
    """Begin a new epoch, so many ahead: a new key, and the old one's word for it. Raises OSError.

    Cut short before the new key has its name, nothing has changed, and the next attempt has the same number.
    """
    folder, epoch, key = directory / IDENTITY, identity.epoch + ahead, Ed25519PrivateKey.generate()
    statement = {
        "appliance": identity.appliance,
        "epoch": epoch,
        "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode(),
    }
    content = json.dumps(statement, separators=(",", ":")).encode()
    if identity.epoch == 1:
        write(folder / INTRODUCTION, identity.introduction())
    write(folder / f"{_stem(epoch)}.rotation", seal(ROTATION, content, identity.key))
    keep_key(folder, _stem(epoch), key)
    # What was signed stays signed; that no more can be signed with it is worth more than the old key.
    for name in (f"{_stem(identity.epoch)}.{COPY}", f"{_stem(identity.epoch)}.{KEY}"):
        (folder / name).unlink(missing_ok=True)
    sync(folder)
    log.info("identity appliance=%s epoch=%d", identity.appliance, epoch)
    return _opened(folder)


def _stem(epoch: int) -> str:
    return f"{epoch:06}"


def _name(folder: Path, rotations: tuple[bytes, ...], key: Ed25519PrivateKey) -> str:
    if not rotations:
        return name_of(key.public_key())
    try:
        payload = base64.b64decode(json.loads(rotations[-1])["payload"])
        name = str(json.loads(payload)["appliance"])
        if not re.fullmatch(f"[0-9a-f]{{{NAME_DIGITS}}}", name):
            raise ValueError(name)
        return name
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreError(f"{folder} holds a damaged statement about its key", _HINT) from None


_HINT = "Restore a backup; without one delete the folder, and the operator approves the appliance as a new one."


def _claim_code(folder: Path) -> str:
    path = folder / CLAIM
    with contextlib.suppress(FileNotFoundError):
        code = path.read_text(encoding="ascii", errors="replace")
        if re.fullmatch(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}", code):
            return code
    code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    write(path, code.encode())
    return code
