"""The texts that participants sign, and how a signature is checked.

A text is `key=value` pairs joined by `&`, each value without its spaces and form-encoded. The
order is fixed for each kind. What a client of BitWrk signs verifies here, its odd length prefix
included (see `misocoin.script.messages.skewed_size`).
"""

from collections.abc import Mapping
from urllib.parse import quote_plus

from misocoin.codec import compact_size
from misocoin.crypto import base58, bech32
from misocoin.errors import AddressError, ParseError
from misocoin.market.errors import Malformed, NotAllowed
from misocoin.script.messages import is_signed_by, skewed_size

MAX_DOCUMENT = 10_000
"""Characters of a signed text."""

_BITWRK_VERSION = 0
"""base58check version of BitWrk's participants: Bitcoin's own P2PKH addresses."""


def escape(value: str) -> str:
    """A value as it stands in a signed text."""
    return quote_plus(value.replace(" ", ""), safe="")


def _joined(pairs: Mapping[str, str]) -> str:
    return "&".join(f"{name}={escape(value)}" for name, value in pairs.items())


def bid_document(fields: Mapping[str, str]) -> str:
    """The text of a bid: BitWrk's five fields, and behind them those of version 2 that are given.

    Raises KeyError where one of the five is missing.
    """
    five = {name: fields[name] for name in ("article", "type", "price", "address", "nonce")}
    more = {name: fields[name] for name in BID_EXTRAS if name in fields}
    return _joined(five | more)


BID_EXTRAS = ("version", "bond", "transitkey", "group", "agree")
"""The fields that only bids of version 2 have, in their order."""


def cancel_document(bid: str) -> str:
    """The text by which its owner takes a bid back."""
    return _joined({"bid": bid, "cancel": "on"})


def message_document(arguments: Mapping[str, str], transaction: str) -> str:
    """The text of a message to a trade: all arguments and its key, sorted; empty ones bare."""
    pairs = sorted({**arguments, "txid": transaction}.items())
    return "&".join(f"{name}={escape(value)}" if value else name for name, value in pairs)


def deposit_document(
    account: str, amount: str, nonce: str, reference: str, kind: str, uid: str
) -> str:
    """The text by which the trusted account books a deposit."""
    return _joined(
        {
            "account": account,
            "amount": amount,
            "nonce": nonce,
            "ref": reference,
            "type": kind,
            "uid": uid,
        }
    )


def relation_document(enabled: str, nonce: str, source: str, target: str, kind: str) -> str:
    """The text by which a participant declares a relation to another."""
    return _joined(
        {"enabled": enabled, "nonce": nonce, "source": source, "target": target, "type": kind}
    )


def address_request_document(nonce: str, participant: str, signer: str) -> str:
    """The text by which a deposit address is asked for."""
    return _joined({"nonce": nonce, "participant": participant, "signer": signer})


def deposit_info_document(
    address: str, nonce: str, participant: str, reference: str, signer: str
) -> str:
    """The text by which the trusted account tells a participant's deposit address.

    Here a space is `%20` and stays.
    """
    pairs = {
        "depositaddress": address,
        "nonce": nonce,
        "participant": participant,
        "reference": reference,
        "signer": signer,
    }
    return "&".join(
        f"{name}={quote_plus(value, safe='').replace('+', '%20')}" for name, value in pairs.items()
    )


def withdrawal_document(address: str, amount: str, nonce: str, participant: str) -> str:
    """The text by which a participant asks for coins to be paid to an address of the chain."""
    return _joined(
        {"address": address, "amount": amount, "nonce": nonce, "participant": participant}
    )


def upload_document(digest: str, slot: str, transaction: str) -> str:
    """The text that says whose bytes an upload to a trade are; `digest` is their SHA-256 in hex."""
    return _joined({"hash": digest, "slot": slot, "txid": transaction})


# -- who signs ---------------------------------------------------------------------------------


def check_participant(address: str, prefixes: frozenset[str]) -> None:
    """Check that text is a participant's address, in the one form that names its account.

    That is a P2PKH address of version 0 as BitWrk's, or a P2WPKH address in lower case whose
    human-readable part is among `prefixes`. Raises Malformed.
    """
    try:
        if any(address.startswith(f"{prefix}1") for prefix in prefixes):
            prefix = address.partition("1")[0]
            version, program = bech32.program_from_segwit_address(prefix, address)
            if version == 0 and len(program) == 20:
                return
        else:
            payload = base58.bytes_from_checked_text(address)
            if len(payload) == 21 and payload[0] == _BITWRK_VERSION:
                return
    except AddressError:
        pass
    raise Malformed(f"{address[:60]!r} is not the address of a participant")


def check_signed(address: str, signature: str, document: str) -> None:
    """Check a participant's signature of a text, with either length prefix.

    Raises Malformed for what is no signature, NotAllowed for a wrong one.
    """
    if len(document) > MAX_DOCUMENT:
        raise Malformed("what was signed is too long")
    try:
        for length in (compact_size, skewed_size):
            if is_signed_by(address, signature, document, length):
                return
    except ParseError as error:
        raise Malformed(f"Could not validate signature: {error}") from None
    raise NotAllowed(f"Could not validate signature: it is not {address[:60]}'s of {document}")
