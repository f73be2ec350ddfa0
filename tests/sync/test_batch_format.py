"""What `docs/batch-format.md` says is so: its verifier reads the vectors, and so do we.

`python -m tests.sync.test_batch_format` makes the vectors anew.
"""

import gzip
import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.sync.columns import read
from appliance.sync.envelope import BATCH, RECEIPT, key_id, opened, seal
from appliance.sync.envelope import read as read_line
from appliance.sync.pack import pack
from appliance.sync.receipt import Receipt, pack_receipt, unpack_receipt
from appliance.sync.unpack import unpack
from tests.sync.made_batch import APPLIANCE, UTC_MS, batch

PAGE = Path(__file__).parents[2] / "docs" / "batch-format.md"
VECTORS = Path(__file__).parent / "vectors"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
RECEIPT_MADE = Receipt(APPLIANCE, 1, 1, "ab" * 32, UTC_MS)


def verifier() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return code


def test_it_has_thirty_lines() -> None:
    assert len([line for line in verifier().splitlines() if line]) <= 30


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_verifier_reads_the_vector() -> None:
    public = KEY.public_key().public_bytes_raw().hex()
    arguments = [sys.executable, "-c", verifier(), public, str(VECTORS / "batch.json")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [
        "boot 3 1000 ms: meter 17000001 shows 31160",
        "boot 3 301000 ms: meter 17000001 shows 31163",
        "boot 3 2500 ms: meter 70000002 shows 7",
    ]


def test_the_verifier_refuses_a_flipped_bit(tmp_path: Path) -> None:
    line = json.loads((VECTORS / "batch.json").read_bytes())
    line["payload"] = line["payload"].replace("A", "B", 1)
    (tmp_path / "batch").write_text(json.dumps(line))
    public = KEY.public_key().public_bytes_raw().hex()
    arguments = [sys.executable, "-c", verifier(), public, str(tmp_path / "batch")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert "InvalidSignature" in done.stderr


def test_we_read_the_vectors() -> None:
    found = unpack(opened(read_line((VECTORS / "batch.json").read_bytes()), BATCH, KEYS))
    assert found == batch()
    assert json.loads(json.dumps(asdict(found))) == json.loads((VECTORS / "content.json").read_bytes())
    receipt = unpack_receipt(opened(read_line((VECTORS / "receipt.json").read_bytes()), RECEIPT, KEYS))
    assert receipt == RECEIPT_MADE
    # Without gzip in it, it is the same to the byte.
    assert seal(RECEIPT, pack_receipt(RECEIPT_MADE), KEY) == (VECTORS / "receipt.json").read_bytes()


def test_the_example_of_a_column() -> None:
    assert '[300, 2, "AAABAz9A"]' in PAGE.read_text(encoding="utf-8")
    assert read([300, 2, "AAABAz9A"], 4, 0, 1000) == [300, 351, 361, 364]


def test_each_name_is_told_of() -> None:
    page = PAGE.read_text(encoding="utf-8")
    payload = json.loads(gzip.decompress(read_line((VECTORS / "batch.json").read_bytes()).payload))
    (part,) = payload["parts"]
    for name in (*payload, *payload["meters"], *part, *part["readings"], *part["receptions"]):
        assert f"`{name}`" in page, name


if __name__ == "__main__":
    VECTORS.mkdir(exist_ok=True)
    (VECTORS / "batch.json").write_bytes(seal(BATCH, pack(batch()), KEY))
    (VECTORS / "content.json").write_text(json.dumps(asdict(batch()), indent=1) + "\n")
    (VECTORS / "receipt.json").write_bytes(seal(RECEIPT, pack_receipt(RECEIPT_MADE), KEY))
