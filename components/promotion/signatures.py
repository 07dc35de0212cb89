"""Optional Ed25519 signatures of journal rows: they prove the actor, where the chain alone proves only order.

A row names who signs it inside its digest, and the signature is of that digest. Private keys lie in files
outside the database (DETENT_SIGNING_KEY), public keys in params.yaml under people.named.NAME.public_key.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from components.core.errors import ConfigError, StateError
from components.core.files import atomic_path
from components.core.settings import Settings


class KeySigner:
    """Signs with one actor's private key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = name
        self._key = key

    def sign(self, digest: str) -> str:
        """The signature of a digest, 128 hex digits."""
        return self._key.sign(digest.encode()).hex()

    @property
    def public_key(self) -> str:
        """The public key in hex, for params.yaml."""
        return self._key.public_key().public_bytes_raw().hex()


def create_key(path: Path, name: str) -> KeySigner:
    """Make a new private key at `path`, readable by its owner alone; an existing file is never replaced."""
    if path.exists():
        raise StateError(f"{path} exists; a key is never replaced: choose another path, or remove it yourself")
    key = Ed25519PrivateKey.generate()
    with atomic_path(path) as partial:
        partial.touch(mode=0o600)
        partial.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return KeySigner(name, key)


def load_signer(path: Path, name: str) -> KeySigner:
    """Read a private key; ConfigError when the file is missing or holds no Ed25519 key in PEM."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"signing key {path}: {error}; set DETENT_SIGNING_KEY to a PEM file") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"signing key {path} is not an Ed25519 key; make one with create_key")
    return KeySigner(name, key)


def signer_from_environment(name: str) -> KeySigner | None:
    """The signer whose key DETENT_SIGNING_KEY names, None when it is not set."""
    path = Settings().signing_key
    return load_signer(path, name) if path is not None else None


def is_signed(digest: str, signature: str, public_key: str) -> bool:
    """Whether `signature` is of `digest` under `public_key`, all in hex."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), digest.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
