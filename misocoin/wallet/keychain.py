"""The wallet's keys, the file they are kept in, and the output scripts they can spend."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.script.signing import KeyRing
from misocoin.script.templates import p2pk_script, p2pkh_script, p2sh_script, p2wpkh_script
from misocoin.wallet.keyfile import append_key, read_keys, write_keys

# Weight of the inputs, signature included: 41 bytes of outpoint, script length and sequence, which
# weigh 4 each like all that is not witness; a signature of at most 72 bytes (low s, hash type) and
# a public key of 33 or 65, each behind its length; one more for the count of witness elements,
# which inputs without witness carry, too, beside others that have one.
_BARE_INPUT = 4 * 41
_WITNESS = 1 + (1 + 72) + (1 + 33)

P2WPKH_INPUT_WEIGHT = _BARE_INPUT + _WITNESS
"""Weight units of an input that spends the wallet's own form of output, 68 virtual bytes."""

_NESTED_INPUT_WEIGHT = _BARE_INPUT + 4 * 23 + _WITNESS
_P2PK_INPUT_WEIGHT = _BARE_INPUT + 4 * (1 + 72) + 1
_P2PKH_INPUT_WEIGHT = _BARE_INPUT + 4 * (1 + 72 + 1 + 33) + 1
_P2PKH_LONG_INPUT_WEIGHT = _BARE_INPUT + 4 * (1 + 72 + 1 + 65) + 1


class OwnScript(NamedTuple):
    """An output script that a key of the wallet can spend."""

    key_index: int
    """Place of the key among the wallet's."""
    input_weight: int
    """Weight units of an input that spends such an output, signature included."""


class Keychain:
    """The keys in the file at `path`; in memory alone for None.

    The scripts of a key are those of Core's `combo()` descriptor: P2PK, P2PKH, P2WPKH and
    P2SH-P2WPKH, and the first two with the uncompressed public key as well.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._in_file = 0
        self._keys: list[PrivateKey] = []
        self._forms: list[PrivateKey] = []  # each key with its compressed and uncompressed point
        self._scripts: dict[bytes, OwnScript] = {}
        self._ring = KeyRing.build(())
        self._digest = b""

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def ring(self) -> KeyRing:
        """The keys, to sign with."""
        return self._ring

    @property
    def scripts(self) -> Mapping[bytes, OwnScript]:
        """All scripts the keys can spend; a view that grows with them."""
        return MappingProxyType(self._scripts)

    def script(self, index: int) -> bytes:
        """The P2WPKH script of a key."""
        return p2wpkh_script(hash160(self._keys[index].public_key))

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for the set of keys, whatever their order; tells no secret."""
        return self._digest

    def load(self, imported: PrivateKey | None) -> None:
        """Read the file; `imported` becomes the first key.

        Without any key one is generated and written before it is used. Raises KeyFormatError or
        WalletError.
        """
        keys = [] if self._path is None else read_keys(self._path)
        if imported is not None:
            first = PrivateKey(imported.secret)
            others = [key for key in keys if key.secret != first.secret]
            if keys[:1] != [first]:
                keys = [first, *others]
                self._write(keys)
        elif not keys:
            keys = [PrivateKey.generate()]
            self._write(keys)
        self._in_file = len(keys)
        self._hold({key.secret: key for key in keys}.values())

    def add_new(self) -> bytes:
        """Generate a key, write it to the file, and return its P2WPKH script.

        Raises WalletError; then there is no new key.
        """
        key = PrivateKey.generate()
        if self._path is not None:
            append_key(self._path, key, self._in_file)
        self._in_file += 1
        self._hold([key])
        return self.script(-1)

    def _write(self, keys: Sequence[PrivateKey]) -> None:
        if self._path is not None:
            write_keys(self._path, keys)

    def _hold(self, keys: Iterable[PrivateKey]) -> None:
        for key in keys:
            index = len(self._keys)
            long_form = PrivateKey(key.secret, compressed=False)
            key_hash, long_hash = hash160(key.public_key), hash160(long_form.public_key)
            segwit = p2wpkh_script(key_hash)
            for script, weight in (
                (segwit, P2WPKH_INPUT_WEIGHT),
                (p2sh_script(hash160(segwit)), _NESTED_INPUT_WEIGHT),
                (p2pkh_script(key_hash), _P2PKH_INPUT_WEIGHT),
                (p2pkh_script(long_hash), _P2PKH_LONG_INPUT_WEIGHT),
                (p2pk_script(key.public_key), _P2PK_INPUT_WEIGHT),
                (p2pk_script(long_form.public_key), _P2PK_INPUT_WEIGHT),
            ):
                self._scripts[script] = OwnScript(index, weight)
            self._keys.append(key)
            self._forms += (key, long_form)
        self._ring = KeyRing.build(self._forms)
        self._digest = sha256(b"".join(sorted(key.public_key for key in self._keys)))
