"""A file that only its passphrase opens, and that tells when so much as a bit of it was changed, cut off or moved.

    header   magic(8) version(1) log2_n(1) r(1) p(1) salt(16) prefix(7) check(16) sum(8)
    chunk    !I last(1 bit) | length(31 bits), then ciphertext and its tag (16)
    ...      every chunk but the last holds 65,536 bytes of content

The passphrase becomes a key by scrypt (RFC 7914): 64 MiB, which a Pi of 512 MB has beside the appliance, and twice
over that, as OWASP advises for so much memory; Argon2id is not in the OpenSSL of Debian 12. The content goes through
ChaCha20-Poly1305 (RFC 8439): the Pi up to the fourth has no AES instructions, and without them it is 4.5 times as
fast as AES-256-GCM (1171 against 259 MB/s, measured on a PC with its AES instructions switched off).

Chunks follow the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015): nonce = prefix | number of the chunk | whether it is the last, with the whole
header as associated data. So no chunk can be changed, moved, repeated, left out or taken from another file. `check`
comes out of scrypt beside the key and tells a wrong passphrase from a changed file; `sum` is the start of the SHA-256
of what is before it and finds a damaged header, whose salt would make any passphrase look wrong.
"""

import hashlib
import hmac
import os
import struct
import unicodedata
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from appliance.archive.tar import Readable, Writable
from appliance.archive.unusable import Unusable

MAGIC = b"METERBK\n"
VERSION = 1
CHUNK_BYTES = 65_536
TAG_BYTES = 16
FULL_BYTES = CHUNK_BYTES + TAG_BYTES
_HEADER = struct.Struct("!8s4B16s7s16s")
_SUM_BYTES = 8
HEADER_BYTES = _HEADER.size + _SUM_BYTES
_FRAME = struct.Struct("!I")
_LAST = 1 << 31
_KEY_BYTES = 32
# What a file may ask for, whoever wrote it.
_MOST_MEMORY_BYTES = 128 << 20
_MOST_PASSES = 4
_PREFIX = slice(28, 35)

_DAMAGED = "Use another copy of the backup."


class Cost(NamedTuple):
    """What one guess at the passphrase costs: 128·r·2^log2_n bytes, p times."""

    log2_n: int = 16
    r: int = 8
    p: int = 2

    @property
    def bearable(self) -> bool:
        """It is no attack on whoever opens the file."""
        return (
            1 <= self.log2_n <= 20
            and 1 <= self.r <= 32
            and 1 <= self.p <= _MOST_PASSES
            and 128 * self.r << self.log2_n <= _MOST_MEMORY_BYTES
        )


USUAL = Cost()


class Sealer:
    """Encrypts what is written to it into `target`; without `close` the file stays unfinished and is refused."""

    def __init__(self, target: Writable, passphrase: str, cost: Cost = USUAL) -> None:
        salt, prefix = os.urandom(16), os.urandom(7)
        key, check = _keys(passphrase, salt, cost)
        head = _HEADER.pack(MAGIC, VERSION, *cost, salt, prefix, check)
        self._stream = _Stream(key, head + _sum(head))
        self._target = target
        self._waiting = bytearray()
        target.write(self._stream.header)

    def write(self, content: bytes) -> int:
        """Take `content`; returns its length."""
        self._waiting += content
        # The last chunk is marked, so a full one waits until there is more.
        while len(self._waiting) > CHUNK_BYTES:
            self._emit(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(content)

    def close(self) -> None:
        """Write the last chunk; `target` stays open."""
        self._emit(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _emit(self, content: bytes, *, last: bool) -> None:
        sealed = self._stream.seal(content, last)
        self._target.write(_FRAME.pack(len(sealed) | (_LAST if last else 0)) + sealed)


class Opener:
    """Decrypts `source`; nothing is returned that was not authenticated. `name` is what faults call the file.

    Raises Unusable when it is no backup, of a later version, altered, cut off, or the passphrase is another.
    """

    def __init__(self, source: Readable, passphrase: str, name: str) -> None:
        self._source = source
        self._name = name
        header = source.read(HEADER_BYTES)
        magic, version = header[: len(MAGIC)], header[len(MAGIC) : len(MAGIC) + 1]
        if magic != MAGIC[: len(magic)] or not magic:
            raise Unusable("no backup", f"{name} is not a backup")
        if version > bytes([VERSION]):
            hint = "Restore it with the version of the program that wrote it, or a later one."
            words = f"{name} has the format {version[0]} of a later version; this one knows {VERSION}"
            raise Unusable("later version", words, hint)
        if len(header) < HEADER_BYTES:
            raise self._cut_off()
        _, _, log2_n, r, p, salt, _, check = _HEADER.unpack_from(header)
        cost = Cost(log2_n, r, p)
        if version < bytes([VERSION]) or header[_HEADER.size :] != _sum(header[: _HEADER.size]) or not cost.bearable:
            raise self._altered()
        key, expected = _keys(passphrase, salt, cost)
        if not hmac.compare_digest(check, expected):
            hint = "Type the passphrase that the backup was made with; there is no way around it."
            raise Unusable("passphrase", f"{name}: the passphrase is wrong", hint)
        self._stream = _Stream(key, header)
        self._ready = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end, which is known to be the true one."""
        while not self._ready and not self._ended:
            self._ready = self._chunk()
        content, self._ready = self._ready[:size], self._ready[size:]
        return content

    def _chunk(self) -> bytes:
        frame = self._exactly(_FRAME.size)
        (word,) = _FRAME.unpack(frame)
        length, last = word & ~_LAST, bool(word & _LAST)
        if not TAG_BYTES <= length <= FULL_BYTES or not (last or length == FULL_BYTES):
            raise self._altered()
        sealed = self._exactly(length)
        try:
            content = self._stream.open(sealed, last)
        except InvalidTag:
            raise self._altered() from None
        if last:
            self._ended = True
            if self._source.read(1):
                raise self._altered()
        return content

    def _exactly(self, length: int) -> bytes:
        found = self._source.read(length)
        if len(found) < length:
            raise self._cut_off()
        return found

    def _altered(self) -> Unusable:
        return Unusable("altered", f"{self._name} was damaged or altered", _DAMAGED)

    def _cut_off(self) -> Unusable:
        return Unusable("cut off", f"{self._name} is cut off: its end is missing", _DAMAGED)


class _Stream:
    """The cipher and the number of the next chunk."""

    def __init__(self, key: bytes, header: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self.header = header
        self._number = 0

    def seal(self, content: bytes, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last), content, self.header)

    def open(self, sealed: bytes, last: bool) -> bytes:
        return self._cipher.decrypt(self._nonce(last), sealed, self.header)

    def _nonce(self, last: bool) -> bytes:
        number, self._number = self._number, self._number + 1
        return self.header[_PREFIX] + struct.pack("!I?", number, last)


def _keys(passphrase: str, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    # One letter with its accent has several spellings, and keyboards differ in them.
    text = unicodedata.normalize("NFC", passphrase).encode()
    derived = Scrypt(salt, _KEY_BYTES + 16, 1 << cost.log2_n, cost.r, cost.p).derive(text)
    return derived[:_KEY_BYTES], derived[_KEY_BYTES:]


def _sum(head: bytes) -> bytes:
    return hashlib.sha256(head).digest()[:_SUM_BYTES]
