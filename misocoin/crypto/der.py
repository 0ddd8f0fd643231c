"""The ECDSA signature encodings of Bitcoin's chain.

A signature is DER by rule since BIP66. Before that, anything OpenSSL could read was valid, and
blocks of that time have to stay valid: hence the lax reader.
"""

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order n of the group of secp256k1 (SEC 2)."""


def compact_from_lax_der(signature: bytes) -> bytes | None:
    """Read a signature as the chain always did: r and s, 32 bytes each, big-endian.

    None where no signature can be read. Tolerated as by OpenSSL of 2009 to 2014: a wrong length
    of the sequence, bytes behind it, long-form lengths, padded integers, and integers with the top
    bit set, which count as positive. Integers over 32 bytes give None: they exceed the order.
    """
    size = len(signature)
    if size < 2 or signature[0] != 0x30:
        return None
    position = 2
    if signature[1] & 0x80:
        position += signature[1] & 0x7F
    numbers = []
    for _ in range(2):
        # Tag and first length byte; slicing beyond the end yields fewer bytes, never an error.
        if position + 2 > size or signature[position] != 0x02:
            return None
        length = signature[position + 1]
        position += 2
        if length & 0x80:
            end = position + (length & 0x7F)
            if end > size:
                return None
            length = int.from_bytes(signature[position:end], "big")
            position = end
        if length > size - position:
            return None
        number = signature[position : position + length].lstrip(b"\x00")
        if len(number) > 32:
            return None
        numbers.append(number.rjust(32, b"\x00"))
        position += length
    return numbers[0] + numbers[1]


def _der_integer(number: bytes) -> bytes:
    digits = number.lstrip(b"\x00") or b"\x00"
    if digits[0] & 0x80:
        digits = b"\x00" + digits
    return bytes((0x02, len(digits))) + digits


def der_from_compact(signature: bytes) -> bytes:
    """Encode r and s (32 bytes each, big-endian) as strict DER, at most 72 bytes (X.690)."""
    body = _der_integer(signature[:32]) + _der_integer(signature[32:])
    return bytes((0x30, len(body))) + body
