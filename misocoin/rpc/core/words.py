"""Core's words for errors that this program says otherwise."""

from misocoin.errors import MisocoinError, WalletLocked, WrongPassphrase
from misocoin.http.errors import RpcError
from misocoin.rpc.errors import RpcCode


def core_error(error: MisocoinError) -> MisocoinError:
    """The error as Core's dialect has it."""
    if isinstance(error, WalletLocked):
        return RpcError(
            RpcCode.WALLET_UNLOCK_NEEDED,
            "Error: Please enter the wallet passphrase with walletpassphrase first.",
        )
    if isinstance(error, WrongPassphrase):
        return RpcError(
            RpcCode.WALLET_PASSPHRASE_INCORRECT,
            "Error: The wallet passphrase entered was incorrect.",
        )
    return error
