"""A certificate that a server signs itself: the aggregator's, for a network without a CA, and an appliance's.

tls/certificate.pem    to be copied to who verifies: appliances pin the aggregator's
tls/key.pem            which only its owner reads
"""

import contextlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.durable import write
from appliance.errors import UsageError

FOLDER, CERTIFICATE, KEY = "tls", "tls/certificate.pem", "tls/key.pem"
# Pinned, not looked up: a new one means a visit to each appliance.
LASTS = timedelta(days=20 * 365)
# The clocks of appliances may be behind.
SINCE = timedelta(days=365)


def make_certificate(directory: Path, *names: str, now: datetime | None = None) -> None:
    """Make the files for the host names or addresses by which the server is reached.

    Raises UsageError for one that is neither, OSError.
    """
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        reached_by = x509.SubjectAlternativeName([_general_name(name) for name in names])
    except ValueError as fault:
        raise UsageError(f"{str(fault)!r:.80} is no host name or address", "Say how it is reached.") from None
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SINCE)
        .not_valid_after(now + LASTS)
        .add_extension(reached_by, critical=False)
        # It is its own CA, as those who verify want it, and of no other.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    (directory / FOLDER).mkdir(mode=0o700, exist_ok=True)
    write(directory / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write(directory / CERTIFICATE, certificate.public_bytes(Encoding.PEM))


def _general_name(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ip_address(name))
    labels = name.split(".")
    if len(name) > 64 or not all(0 < len(label) < 64 and label.replace("-", "a").isalnum() for label in labels):
        raise ValueError(name)
    return x509.DNSName(name)
