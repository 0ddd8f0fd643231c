"""Scripts drawn at random, with what satisfies them: rightly, nearly rightly, or at a limit."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from misocoin.crypto.der import ORDER, compact_from_lax_der, der_from_compact
from misocoin.crypto.keys import PrivateKey, public_key_in_form
from misocoin.script.numbers import bytes_from_number
from misocoin.script.opcodes import OP_SUCCESS
from misocoin.script.script import push_data, push_int, push_minimal
from misocoin.script.sighash import (
    TxDigests,
    annex_hash,
    taproot_sighash,
)
from tests.unit.script.spends import KEYS

Item = bytes | Callable[[TxDigests, int], bytes]
"""What lies on the stack at first: bytes, or a signature to be made when all else is known."""

Signer = Callable[[TxDigests, int, bytes, int], bytes | None]
"""The digest that a signature of an input signs: script as signed, hash type."""


class Puzzle(NamedTuple):
    """A script and what satisfies it."""

    script: bytes
    items: list[Item]


# -- signatures -------------------------------------------------------------------------------


def draw_hash_type(random: Random) -> int:
    return random.choice([1, 1, 1, 2, 3, 0x81, 0x82, 0x83, 3, 0x83, 0, 4, 0x41, 0x84, 0xFF])


def with_bit(data: bytes, number: int) -> bytes:
    """The bytes with one bit changed."""
    at = number // 8
    return data[:at] + bytes((data[at] ^ 1 << number % 8,)) + data[at + 1 :]


def draw_der(random: Random, signature: bytes) -> bytes:
    """The signature in another encoding, or nearly."""
    compact = compact_from_lax_der(signature) or bytes(64)
    r, s = compact[:32], compact[32:]
    match random.randrange(12):
        case 0:
            high = (ORDER - int.from_bytes(s, "big")) % ORDER
            return der_from_compact(r + high.to_bytes(32, "big"))
        case 1:
            r = b"\x00" * random.randint(1, 3) + r
        case 2:
            s = b"\x00" * random.randint(1, 3) + s
        case 3:
            return der_from_compact(random.choice([bytes(32), b"\xff" * 32]) + s)
        case 4:
            return der_from_compact(r + random.choice([bytes(32), ORDER.to_bytes(32, "big")]))
        case 5:
            return signature + random.randbytes(random.randint(1, 3))
        case 6:
            return b"\x30\x81" + signature[1:]  # a length in long form
        case 7:
            return (
                signature[:1] + bytes((signature[1] ^ random.choice([1, 2, 0x80]),)) + signature[2:]
            )
        case 8:
            at = random.randrange(len(signature))
            return (
                signature[:at]
                + bytes((signature[at] ^ 1 << random.randrange(8),))
                + signature[at + 1 :]
            )
        case 9:
            return signature[: random.randrange(len(signature))]
        case _:
            pass
    body = b"\x02" + bytes((len(r),)) + r + b"\x02" + bytes((len(s),)) + s
    return b"\x30" + bytes((len(body),)) + body


def draw_ecdsa(random: Random, key: PrivateKey, script: bytes, signer: Signer) -> Item:
    """A signature, mostly a right one."""
    hash_type, choice, seed = draw_hash_type(random), random.random(), random.random()
    if choice < 0.04:
        return b""

    def make(digests: TxDigests, index: int) -> bytes:
        digest = signer(digests, index, script, hash_type) or bytes(32)
        signature = key.sign_ecdsa(digest)
        if choice < 0.2:
            signature = draw_der(Random(seed), signature)
        return signature + bytes((hash_type,))

    return make


def draw_public_key(random: Random, key: PrivateKey) -> bytes:
    """The key in one of its forms, or a wrong one."""
    compressed = key.public_key
    full = public_key_in_form(compressed, compressed=False)
    match random.randrange(12):
        case 0 | 1:
            return full
        case 2:
            return bytes((6 + full[64] % 2,)) + full[1:]  # hybrid
        case 3:
            return bytes((7 - full[64] % 2,)) + full[1:]
        case 4:
            return random.choice(
                [b"", b"\x02", compressed[:32], b"\x05" + compressed[1:], full[:33]]
            )
        case _:
            return compressed


# -- scripts ----------------------------------------------------------------------------------

TIDY = b"\x74\x63\x75\x68" * 12 + b"\x51"
"""Drop what is left, at most a dozen, and leave true: for what may end with anything."""

SEQUENCES = (0xFFFFFFFF, 0xFFFFFFFE, 0, 1, 5, 6, 1 << 22 | 5, 1 << 31, 0xFFFF)
LOCK_TIMES = (0, 1, 5, 6, 499_999_999, 500_000_000, 2**31, 2**32 - 1)
NUMBERS = (0, 1, 2, 16, 17, -1, 127, 128, 255, 32_767, 2**31 - 1, -(2**31) + 1, 2**31, 2**39)


def draw_data(random: Random) -> bytes:
    match random.randrange(6):
        case 0:
            return random.randbytes(random.choice([0, 1, 2, 5, 20, 32, 33]))
        case 1:
            return random.choice(
                [b"\x80", b"\x00", b"\x00\x80", b"\x01\x00", b"\x81", b"\x00\x00\x80"]
            )
        case 2:
            return random.randbytes(1) * random.choice([75, 76, 255, 256, 520, 521])
        case _:
            return bytes_from_number(random.choice(NUMBERS) + random.choice([0, 0, 1, -1]))


def draw_push(random: Random, data: bytes) -> bytes:
    """A push of the data, at times a longer one than it needs."""
    match random.randrange(10):
        case 0 if len(data) < 256:
            return b"\x4c" + bytes((len(data),)) + data
        case 1:
            return b"\x4d" + len(data).to_bytes(2, "little") + data
        case 2:
            return b"\x4e" + len(data).to_bytes(4, "little") + data
        case 3:
            return push_data(data)
        case _:
            return push_minimal(data)


def draw_operations(random: Random, count: int) -> bytes:
    """Operations that mostly find what they need on the stack."""
    parts = [draw_push(random, draw_data(random)) for _ in range(random.randrange(6))]
    for _ in range(count):
        choice = random.random()
        if choice < 0.3:
            parts.append(draw_push(random, draw_data(random)))
        elif choice < 0.4:
            parts.append(push_int(random.randint(-1, 16)))
        elif choice < 0.9:
            parts.append(bytes((random.randint(0x61, 0xBA),)))
        elif choice < 0.95:
            inner = draw_operations(random, random.randrange(4))
            parts.append(
                random.choice([b"\x51", b"\x00", b"\x52", b""])
                + random.choice([b"\x63", b"\x64"])
                + inner
                + random.choice([b"\x67", b"\x67\x67", b""])
                + random.choice([b"", inner])
                + random.choice([b"\x68"] * 9 + [b""])
            )
        else:
            parts.append(random.randbytes(1))
    return b"".join(parts)


def draw_limits(random: Random, tapscript: bool) -> Puzzle:
    """A script at one of the limits, or one beyond."""
    beyond = random.randrange(2)
    match random.randrange(6):
        case 0:  # operations
            return Puzzle(b"\x51" + b"\x61" * (201 + beyond), [])
        case 1:  # elements on the stack, counting both
            down = b"\x75" if tapscript else b""
            many = 1000 + beyond
            drops = b"\x6d" * ((many - 1) // 2) + b"\x75" * ((many - 1) % 2)
            return Puzzle(b"\x51" * many + (drops if tapscript else down), [])
        case 2:  # the size of a push
            return Puzzle(push_data(bytes(520 + beyond)) + b"\x75\x51", [])
        case 3:  # the size of a script
            size = 10_000 + beyond - 1
            chunk = push_data(bytes(520)) + b"\x75"
            script = chunk * (size // len(chunk))
            return Puzzle(script + b"\x51" + b"\x61" * (size - len(script)), [])
        case 4:  # the size of an element
            return Puzzle(b"\x75\x51", [bytes(520 + beyond)])
        case _:  # keys of a multisig
            keys = push_data(KEYS[0].public_key) * (20 + beyond)
            return Puzzle(b"\x00\x00" + keys + push_int(20 + beyond) + b"\xae", [])


def draw_lock_time(random: Random) -> bytes:
    number = random.choice(
        [*NUMBERS, 499_999_999, 500_000_000, 1 << 22, 1 << 22 | 5, 1 << 31, 5, 6]
    )
    return push_minimal(bytes_from_number(number)) + random.choice([b"\xb1", b"\xb2"]) + b"\x75"


def draw_multisig(random: Random, signer: Signer) -> Puzzle:
    """Some of some, the order of signatures at times wrong, the dummy at times not empty."""
    keys = [random.choice(KEYS) for _ in range(random.randint(0, 5))]
    required = random.randint(0, len(keys))
    pushes = [push_data(draw_public_key(random, key)) for key in keys]
    verify = random.choice([b"\xae", b"\xae", b"\xaf\x51"])
    script = push_int(required) + b"".join(pushes) + push_int(len(keys)) + verify
    chosen = sorted(random.sample(range(len(keys)), required))
    if random.random() < 0.1:
        random.shuffle(chosen)
    dummy = random.choice([b""] * 7 + [b"\x01", b"\x00"])
    signatures = [draw_ecdsa(random, keys[at], script, signer) for at in chosen]
    return Puzzle(script, [dummy, *signatures])


def draw_puzzle(random: Random, signer: Signer) -> Puzzle:
    """A script before taproot, and what satisfies it."""
    key = random.choice(KEYS)
    match random.randrange(10):
        case 0 | 1:
            items: list[Item] = [draw_data(random) for _ in range(random.randrange(4))]
            script = draw_operations(random, random.randrange(25))
            return Puzzle(script + random.choice([TIDY, TIDY, b"\x51", b""]), items)
        case 2:
            return draw_limits(random, tapscript=False)
        case 3:
            return Puzzle(draw_lock_time(random) + b"\x51", [])
        case 4:
            return draw_multisig(random, signer)
        case 5:  # only what follows the last separator is signed
            unused = [random.choice([b"", b"\x00\x63\xab\x68"]) for _ in range(2)]
            signed = push_data(key.public_key) + b"\xac" + unused[0]
            script = b"\x51\xab\x75" + unused[1] + b"\xab" + signed
            return Puzzle(script, [draw_ecdsa(random, key, signed, signer)])
        case 6:  # a branch for each of two
            either = random.randrange(2)
            first, second = (push_data(each.public_key) + b"\xac" for each in KEYS[:2])
            script = b"\x63" + first + b"\x67" + second + b"\x68"
            choice = random.choice([b"\x01", b"\x01", b"\x02", b"\x01\x00"]) if either else b""
            made = draw_ecdsa(random, KEYS[0 if either else 1], script, signer)
            return Puzzle(script, [made, choice])
        case _:
            negate = random.random() < 0.1
            script = push_data(draw_public_key(random, key)) + b"\xac" + b"\x91" * negate
            return Puzzle(script, [draw_ecdsa(random, key, script, signer)])


# -- taproot ----------------------------------------------------------------------------------


def draw_schnorr(
    random: Random,
    key: PrivateKey,
    annex: bytes | None,
    leaf: tuple[bytes, int] | None,
) -> Item:
    """A signature, mostly a right one; `leaf` is its hash and the last CODESEPARATOR."""
    hash_type = random.choice([0, 0, 0, 1, 2, 3, 0x81, 0x82, 0x83, 4, 0x80, 0x84])
    choice, noise = random.random(), random.randbytes(2)
    if choice < 0.05:
        return b""

    def make(digests: TxDigests, index: int) -> bytes:
        hashed = None if annex is None else annex_hash(annex)
        digest = taproot_sighash(digests, index, hash_type, hashed, leaf)
        signature = key.sign_schnorr(digest or bytes(32), bytes(32))
        if choice < 0.08:
            signature = with_bit(signature, noise[0])
        elif choice < 0.12:
            return signature + noise[1:]
        elif choice < 0.14:
            return signature[: noise[0] % 66]
        return signature + bytes((hash_type,)) if hash_type else signature

    return make


def draw_tapscript(
    random: Random, annex: bytes | None, path_size: int
) -> tuple[bytes, Callable[[bytes], list[Item]]]:
    """A tapscript, and given its leaf hash what satisfies it.

    `path_size` is that of its control block in the witness.
    """

    def signed(key: PrivateKey, separator: int = 0xFFFFFFFF) -> Callable[[bytes], Item]:
        return lambda leaf: draw_schnorr(random, key, annex, (leaf, separator))

    key = random.choice(KEYS)
    known = push_data(key.xonly_public_key)
    match random.randrange(11):
        case 0 | 1:
            data: list[Item] = [draw_data(random) for _ in range(random.randrange(4))]
            script = draw_operations(random, random.randrange(25)) + random.choice([TIDY, b"\x51"])
            return script, lambda _leaf: data
        case 2:
            puzzle = draw_limits(random, tapscript=True)
            return puzzle.script, lambda _leaf: puzzle.items
        case 3:
            return draw_lock_time(random) + b"\x51", lambda _leaf: []
        case 4:  # some of some by CHECKSIGADD
            keys = [random.choice(KEYS) for _ in range(random.randint(1, 4))]
            made = [random.random() < 0.7 for _ in keys]
            adds = [push_data(each.xonly_public_key) + b"\xba" for each in keys]
            script = b"\x00" + b"".join(adds) + push_int(sum(made)) + b"\x9c"
            script = (
                b"".join([b"\x00", *[b"\x7c" + add for add in adds]])
                + push_int(sum(made))
                + b"\x9c"
            )

            def by_turn(leaf: bytes) -> list[Item]:
                pairs = list(zip(keys, made, strict=True))[::-1]
                return [signed(each)(leaf) if right else b"" for each, right in pairs]

            return script, by_turn
        case 5:  # a signature commits to the last separator that was run
            ops = random.randrange(4)
            script = b"\x61" * ops + b"\xab" + known + b"\xac"
            return script, lambda leaf: [signed(key, ops)(leaf)]
        case 6:  # keys of types that have no rules yet
            odd = random.choice([b"", b"\x01", key.public_key, random.randbytes(32), b"\x07" * 40])
            return push_data(odd) + b"\xac", lambda leaf: [signed(key)(leaf)]
        case 7:  # a success anywhere, also behind what could never run
            success = bytes((random.choice(sorted(OP_SUCCESS)),))
            before = random.choice(
                [b"", b"\x00", b"\x68", b"\x4c\x05ab", draw_push(random, bytes(600))]
            )
            return before + success + random.choice([b"", b"\xff", b"\x05"]), lambda _leaf: []
        case 8:  # as many signatures as the witness's size allows, or one byte too little
            count = random.randint(11, 20)
            script = (b"\x76" + known + b"\xad") * count + b"\x75\x51"
            others = 1 + 65 + 3 + path_size + (0 if annex is None else 1 + len(annex))
            room = 50 * count - 50 - random.choice([0, 1, 2]) - others - len(script)
            script = b"\x61" * room + script  # nothing is added where there is no room
            return script, lambda leaf: [signed(key)(leaf)]
        case 9:  # the argument of IF must be empty or one
            choice = random.choice([b"", b"\x01", b"\x02", b"\x01\x00", b"\x00"])
            return b"\x63\x51\x67\x51\x68", lambda _leaf: [choice]
        case _:
            return known + b"\xac", lambda leaf: [signed(key)(leaf)]
