"""Ed25519 signatures (RFC 8032) of adapter releases: keys, and who is trusted.

A public key is a PEM file; its id is the beginning of the sha256 of its 32 bytes, so files may have any name. The
private key is read from ``DOYEN_SIGNING_KEY`` alone and never written, printed or logged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VARIABLE: Final = "DOYEN_SIGNING_KEY"
# Signed before the content, so that a signature made for anything else never counts as one of a release.
_CONTEXT: Final = b"doyen adapter release 1\n"


def generate() -> tuple[bytes, bytes]:
    """A new key pair as PEM: private (PKCS 8, not encrypted) and public."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, public_pem(key)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half as PEM."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_id(public: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the sha256 of the key's 32 bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def pem_id(pem: bytes) -> str:
    """The id of a public key in PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(pem)
    assert isinstance(key, Ed25519PublicKey), "made by generate"
    return key_id(key)


def private_key() -> Ed25519PrivateKey:
    """The key in ``DOYEN_SIGNING_KEY``: PEM, or the 32-byte seed in base64. Raises RUN-043."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        raise DoyenError(
            "RUN-043",
            f"{VARIABLE} is not set, and a release is signed with the private key in it",
            "Put the PEM or the base64 seed there; doyen release key makes a pair.",
        )
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, binascii.Error):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        # The library's own words are left out, and so is the cause: neither may carry a part of the key.
        raise DoyenError(
            "RUN-043",
            f"{VARIABLE} holds no unencrypted Ed25519 private key (PEM, or 32 bytes in base64)",
            "Make one with doyen release key.",
        ) from None
    return key


def sign(content: bytes, key: Ed25519PrivateKey) -> str:
    """The signature of a release's canonical content, hex."""
    return key.sign(_CONTEXT + content).hex()


def check(content: bytes, signer: str, signature: str) -> None:
    """DoyenError RUN-041 unless ``signer`` is trusted, RUN-042 unless ``signature`` is its own of ``content``."""
    from cryptography.exceptions import InvalidSignature

    public = trusted().get(signer)
    if public is None:
        raise DoyenError(
            "RUN-041",
            f"the release is signed with the key {signer}, which is not trusted here",
            "If you know whose key it is, put its public PEM into the folder that DOYEN_TRUSTED_KEYS names.",
        )
    try:
        public.verify(bytes.fromhex(signature), _CONTEXT + content)
    except (InvalidSignature, ValueError):
        raise DoyenError(
            "RUN-042",
            f"the signature of the key {signer} does not fit the release's content",
            "The release was changed after it was signed: get it again.",
        ) from None


def trusted() -> dict[str, Ed25519PublicKey]:
    """The trusted public keys by id: those shipped, and those of the folder ``DOYEN_TRUSTED_KEYS``. Raises RUN-044."""
    from doyen_runtime.settings import get_settings

    shipped = Path(str(files("doyen_runtime"))) / "trusted_keys"
    own = get_settings().trusted_keys
    if own is not None and not own.is_dir():
        raise DoyenError(
            "RUN-044",
            f"DOYEN_TRUSTED_KEYS names {own}, which is not a folder",
            "Name a folder of public PEM files.",
        )
    paths = [path for folder in (shipped, own) if folder is not None for path in sorted(folder.glob("*.pem"))]
    return {key_id(key): key for key in map(_public, paths)}


def _public(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise DoyenError(
            "RUN-044",
            f"{path} is not an Ed25519 public key in PEM",
            "Replace it or take it out of the folder of trusted keys.",
        )
    return key
