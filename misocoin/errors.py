"""The exceptions that every part of this package knows, all of them raised on purpose.

    MisocoinError
    |- ParseError            bytes or text from outside that do not have their form
    |  |- AmountError          not a decimal amount
    |  |- AddressError         not an address of this network
    |  |- KeyFormatError       not a key (WIF, PEM, hex, public key bytes)
    |- ValidationError       a block or transaction that breaks a rule
    |  |- InvalidAncestorError a block under it breaks the rule
    |  |- MissingInputsError   it spends outputs that are unknown or spent
    |- NotFoundError         a block, transaction or height nobody here knows
    |  |- NoDataError          a block is known, but not its body, or not what it spent
    |- WalletError           the wallet cannot do that
    |  |- InsufficientFunds    the money is not there
    |  |- WalletLocked         a passphrase is needed first
    |  |- WrongPassphrase      it was not that one
    |- ConfigError           an option that cannot be used
    |- StoreError            the disk or the data on it is not usable
    |- ...                   a part's own stand beside it: http/errors.py, script/result.py, peers/

A broken rule is a value (`RejectCode`, Core's reject string, a detail); a bug or a broken disk is
another exception. What reaches a person is `str(error)`: one line, no traceback.
"""

from enum import IntEnum


class MisocoinError(Exception):
    """Base of all errors below."""


class ParseError(MisocoinError):
    """Bytes or text that do not have the form they claim."""


class AmountError(ParseError):
    """Text that is not an amount of coins."""


class AddressError(ParseError):
    """Text that is not an address of the network in use."""


class KeyFormatError(ParseError):
    """Bytes or text that are not a key."""


class RejectCode(IntEnum):
    """Why something was refused: the codes of BIP61."""

    MALFORMED = 0x01
    INVALID = 0x10
    OBSOLETE = 0x11
    DUPLICATE = 0x12
    NONSTANDARD = 0x40
    INSUFFICIENT_FEE = 0x42


class ValidationError(MisocoinError):
    """A block or transaction breaks a rule.

    `reason` is Bitcoin Core's stable reject string (`bad-txns-inputs-missingorspent`), `detail`
    says what was seen. `mutated` marks a block whose header may be fine while the body that came
    with it is not, so that the header must not be condemned (merkle malleation, witness).
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        code: RejectCode = RejectCode.INVALID,
        *,
        mutated: bool = False,
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.code = code
        self.mutated = mutated

    def __str__(self) -> str:
        return f"{self.reason}, {self.detail}" if self.detail else self.reason


class InvalidAncestorError(ValidationError):
    """A block rests on one that breaks a rule, for the reason that is told."""


class MissingInputsError(ValidationError):
    """A transaction spends outputs that are unknown or already spent."""


class UnderpaidError(ValidationError):
    """A transaction pays too little by itself; a child may yet pay for both."""


class NotFoundError(MisocoinError):
    """Nothing is known under that hash, height or name."""


class NoDataError(NotFoundError):
    """A block's header is known, but what is asked for of it is not here."""


class WalletError(MisocoinError):
    """The wallet cannot do what was asked."""


class InsufficientFunds(WalletError):  # noqa: N818 - the field's own term
    """The spendable money does not cover the payment and its fee."""


class WalletLocked(WalletError):  # noqa: N818 - the field's own term
    """The wallet is encrypted and has not been unlocked."""


class WrongPassphrase(WalletError):  # noqa: N818 - the field's own term
    """The passphrase is not the one that the keys were encrypted with."""


class ConfigError(MisocoinError):
    """An option that is unknown or whose value cannot be used."""


class StoreError(MisocoinError):
    """The data folder cannot be used, or what lies in it is damaged."""
