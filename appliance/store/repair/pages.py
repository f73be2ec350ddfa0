"""Reads rows straight from the pages of an SQLite file, when SQLite itself no longer can.

Each page of a b-tree says itself what it is, so rows on sound pages are found though the pages above them are lost.
Source: "Database File Format", sqlite.org/fileformat2.html, sections 1.3, 1.6, 2.1 and 4. Values that continue on an
overflow page are left out.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

Value = int | float | str | bytes | None

INDEX_INTERIOR, INDEX_LEAF, TABLE_LEAF = 0x02, 0x0A, 0x0D
FILE_HEADER_BYTES = 100
LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
# First number of a log: how the checksums in it take the words of the pages.
LOG_BIG_ENDIAN, LOG_LITTLE_ENDIAN = 0x377F0683, 0x377F0682


def read(path: Path, page_bytes: int) -> Iterator[bytes | None]:
    """The pages of a file; None for one that the card does not give back. Raises OSError if it cannot be opened."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for start in range(0, os.fstat(handle).st_size, page_bytes):
            try:
                yield os.pread(handle, page_bytes, start)
            except OSError:
                yield None
    finally:
        os.close(handle)


def logged(log: Path, page_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Number and content of each page in a write-ahead log that is whole, the latest first."""
    content = b""
    with contextlib.suppress(OSError):
        content = log.read_bytes()
    if len(content) < LOG_HEADER_BYTES:
        return
    magic, _, size, _ = struct.unpack_from(">4I", content)
    salts = content[16:24]
    if magic not in (LOG_BIG_ENDIAN, LOG_LITTLE_ENDIAN) or size != page_bytes:
        return
    order = ">" if magic == LOG_BIG_ENDIAN else "<"
    sums = _checksum(content[:24], (0, 0), order)
    found = []
    for start in range(LOG_HEADER_BYTES, len(content) - FRAME_HEADER_BYTES - page_bytes + 1, FRAME_HEADER_BYTES + size):
        page = content[start + FRAME_HEADER_BYTES : start + FRAME_HEADER_BYTES + size]
        sums = _checksum(page, _checksum(content[start : start + 8], sums, order), order)
        if content[start + 8 : start + 16] != salts or content[start + 16 : start + 24] != struct.pack(">2I", *sums):
            break
        found.append((int.from_bytes(content[start : start + 4]), page))
    yield from reversed(found)


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for n in range(0, len(words), 2):
        first = (first + words[n] + second) & 0xFFFFFFFF
        second = (second + words[n + 1] + first) & 0xFFFFFFFF
    return first, second


def rows(page: bytes, number: int) -> Iterator[tuple[int | None, tuple[Value, ...]]]:
    """Row id (None in a table without) and values of each row on page `number`, counted from 1.

    What does not decode is left out; a page that holds no rows gives none.
    """
    start = FILE_HEADER_BYTES if number == 1 else 0
    kind = page[start] if len(page) > start + 12 else 0
    if kind not in (INDEX_INTERIOR, INDEX_LEAF, TABLE_LEAF):
        return
    (cells,) = struct.unpack_from(">H", page, start + 3)
    pointers = start + (12 if kind == INDEX_INTERIOR else 8)
    for n in range(min(cells, (len(page) - pointers) // 2)):
        (place,) = struct.unpack_from(">H", page, pointers + 2 * n)
        try:
            yield _cell(page, place + (4 if kind == INDEX_INTERIOR else 0), kind == TABLE_LEAF)
        except (IndexError, ValueError, struct.error):
            continue


def _cell(page: bytes, place: int, has_id: bool) -> tuple[int | None, tuple[Value, ...]]:
    length, place = _varint(page, place)
    row_id = None
    if has_id:
        row_id, place = _varint(page, place)
    if length < 2 or place + length > len(page):
        raise ValueError("goes beyond the page")
    return row_id, _record(page[place : place + length])


def _record(payload: bytes) -> tuple[Value, ...]:
    header_bytes, place = _varint(payload, 0)
    if not place <= header_bytes <= len(payload):
        raise ValueError("no header")
    content = header_bytes
    values = []
    while place < header_bytes:
        kind, place = _varint(payload, place)
        value, content = _value(payload, content, kind)
        values.append(value)
    if content != len(payload):
        raise ValueError("not as long as its header says")
    return tuple(values)


def _value(payload: bytes, place: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, place
    if kind in (8, 9):
        return kind - 8, place
    if kind in (10, 11):
        raise ValueError("reserved")
    size = (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8)[kind]
    raw = payload[place : place + size]
    if len(raw) < size:
        raise ValueError("cut off")
    if kind == 7:
        return struct.unpack(">d", raw)[0], place + size
    if kind < 7:
        return int.from_bytes(raw, "big", signed=True), place + size
    return (raw if kind % 2 == 0 else raw.decode("utf-8")), place + size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for n in range(9):
        byte = data[place + n]
        if n == 8:
            value = value << 8 | byte
            break
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value - (1 << 64) if value >= 1 << 63 else value, place + n + 1
