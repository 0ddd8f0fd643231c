"""Scripts, transactions and addresses drawn at random: right, nearly right and damaged ones."""

from random import Random

from misocoin.codec import compact_size
from misocoin.crypto import base58
from misocoin.crypto.bech32 import ALPHABET, Encoding, segwit_address, text_from_digits
from misocoin.crypto.keys import PrivateKey
from misocoin.script.opcodes import (
    OP_CHECKMULTISIG,
    OP_CHECKSIG,
    OP_PUSHDATA1,
    OP_PUSHDATA2,
    OP_PUSHDATA4,
    OP_RETURN,
)
from misocoin.script.script import push_int
from misocoin.script.templates import p2pkh_script, p2sh_script, witness_script

_KEYS = [PrivateKey(bytes([number]) * 32) for number in range(1, 9)]


class OddScripts:
    """What a generator of random numbers leads to."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - tests

    def data(self, *sizes: int) -> bytes:
        """Bytes, of one of these sizes."""
        return self.random.randbytes(self.random.choice(sizes))

    def is_so(self, chance: float) -> bool:
        """Whether something happens."""
        return self.random.random() < chance

    # -- scripts --------------------------------------------------------------------------------

    def public_key(self) -> bytes:
        """Compressed, uncompressed, hybrid, off the curve, or of a wrong size."""
        key = self.random.choice(_KEYS)
        whole = PrivateKey(key.secret, compressed=False).public_key
        return self.random.choice(
            (
                key.public_key,
                key.public_key,
                key.public_key,
                whole,
                bytes([6 + (whole[-1] & 1)]) + whole[1:],
                b"\x02" + self.data(32),
                b"\x05" + self.data(32),
                self.data(20, 32, 33, 64, 65, 66),
            )
        )

    def push(self, data: bytes) -> bytes:
        """A push, seldom a longer one than it takes."""
        size = len(data)
        forms = [
            bytes([OP_PUSHDATA4]) + size.to_bytes(4, "little"),
            bytes([OP_PUSHDATA2]) + size.to_bytes(2, "little"),
        ]
        if size < 256:
            forms.append(bytes([OP_PUSHDATA1, size]))
        if size < OP_PUSHDATA1:
            forms.append(bytes([size]))
        return (forms[-1] if self.is_so(0.9) else self.random.choice(forms)) + data

    def multisig(self) -> bytes:
        """Of up to 21 keys, seldom with counts that do not fit."""
        count = self.random.randrange(5) if self.is_so(0.9) else self.random.randrange(16, 22)
        keys = b"".join(self.push(self.public_key()) for _ in range(count))
        required = self.random.randrange(count + 2)
        return push_int(required) + keys + push_int(count) + bytes([OP_CHECKMULTISIG])

    def script(self) -> bytes:
        """Of any kind."""
        draw = self.random.randrange(13)
        if draw == 0:
            return p2pkh_script(self.data(20))
        if draw == 1:
            return p2sh_script(self.data(20))
        if draw == 2:
            return self.push(self.public_key()) + bytes([OP_CHECKSIG])
        if draw in (3, 4):
            return self.multisig()
        if draw == 5:
            return push_int(self.random.randrange(17)) + self.push(self.data(1, 2, 3, 20, 32, 41))
        if draw == 6:
            pushes = range(self.random.randrange(4))
            return bytes([OP_RETURN]) + b"".join(self.push(self.data(*range(90))) for _ in pushes)
        if draw == 7:
            return bytes([OP_RETURN]) + self.data(*range(90))
        if draw == 8:
            return self.data(*range(60))
        if draw == 9:
            return witness_script(1, b"\x4e\x73")
        if draw == 10:
            return bytes(self.random.choices(range(0x4F, 0x100), k=self.random.randrange(1, 12)))
        if draw == 11:
            return witness_script(1, self.random.choice(_KEYS).xonly_public_key)
        return self.damaged(self.script())

    def damaged(self, data: bytes) -> bytes:
        """With a byte of another value, or cut short."""
        if not data:
            return data
        place = self.random.randrange(len(data))
        changed = bytearray(data)
        changed[place] = self.random.randrange(256)
        return bytes(changed) if self.is_so(0.7) else data[:place]

    # -- transactions ---------------------------------------------------------------------------

    def _signature(self) -> bytes:
        signature = self.random.choice(_KEYS).sign_ecdsa(self.data(32))
        return signature + bytes([self.random.choice((0, 1, 2, 3, 5, 0x41, 0x81, 0x82, 0x83))])

    def _script_sig(self) -> bytes:
        return self.random.choice(
            (
                b"",
                self.push(self._signature()) + self.push(self.public_key()),
                b"\0" + self.push(self._signature()) + self.push(self.multisig()),
                self.script(),
            )
        )

    def _input(self) -> bytes:
        script = self._script_sig()
        place = self.data(32) + self.data(4)
        if self.is_so(0.1):
            place = bytes(32) + b"\xff" * 4
        sequence = self.random.choice((0xFFFFFFFF, 0xFFFFFFFD, 0, self.random.getrandbits(32)))
        return place + compact_size(len(script)) + script + sequence.to_bytes(4, "little")

    def _output(self) -> bytes:
        value = self.random.choice((0, 1, 50 * 10**8, 21 * 10**14 + 1, -1, 2**62))
        script = self.script()
        return value.to_bytes(8, "little", signed=True) + compact_size(len(script)) + script

    def _witness(self) -> bytes:
        elements = [self.script() for _ in range(self.random.randrange(4))]
        return compact_size(len(elements)) + b"".join(
            compact_size(len(each)) + each for each in elements
        )

    def transaction(self) -> bytes:
        """With inputs or without, with witnesses or without; one in five damaged."""
        inputs = self.random.randrange(4)
        outputs = self.random.randrange(4)
        version = self.random.choice((1, 2, 3, 0, -1, 2**31 - 1))
        data = version.to_bytes(4, "little", signed=True)
        has_witness = self.is_so(0.5)
        if has_witness:
            data += b"\0" + bytes([self.random.choice((1, 1, 1, 0, 2))])
        data += compact_size(inputs) + b"".join(self._input() for _ in range(inputs))
        data += compact_size(outputs) + b"".join(self._output() for _ in range(outputs))
        if has_witness:
            data += b"".join(self._witness() for _ in range(inputs))
        data += self.random.choice((0, self.random.getrandbits(32))).to_bytes(4, "little")
        return self.damaged(data) if self.is_so(0.2) else data

    # -- addresses ------------------------------------------------------------------------------

    def address(self) -> str:
        """Of regtest or not, with up to four characters changed."""
        text = self._address()
        for _ in range(self.random.choice((0, 1, 1, 2, 2, 3, 4))):
            place = self.random.randrange(len(text) + 1)
            kept = place + self.random.choice((0, 1, 1, 1))
            letter = self.random.choice(ALPHABET if self.is_so(0.9) else "bio1QZ ~\u00e9")
            text = text[:place] + letter + text[kept:]
        return text.upper() if self.is_so(0.1) else text

    def _address(self) -> str:
        draw = self.random.randrange(5)
        if draw < 2:
            version = self.random.choice((0, 0, 1, 2, 16))
            program = self.data(20, 32) if version == 0 else self.data(2, 20, 32, 40)
            return segwit_address("bcrt", version, program)
        if draw == 2:
            digits = self.random.choices(range(32), k=self.random.randrange(70))
            prefix = self.random.choice(("bcrt", "bcrt", "bc", "tb"))
            return text_from_digits(prefix, digits, self.random.choice(list(Encoding)))
        if draw == 3:
            prefix_byte = bytes([self.random.choice((111, 196, 0, 5, 239))])
            return base58.checked_text_from_bytes(prefix_byte + self.data(20, 20, 19, 21, 0, 32))
        return "".join(self.random.choices(ALPHABET + "1bioABZ ", k=self.random.randrange(60)))
