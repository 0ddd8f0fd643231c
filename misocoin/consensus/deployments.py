"""Which script rules hold in which block (buried deployments, BIP90)."""

from misocoin.params import Params
from misocoin.script import flags as verify


def script_flags_at(height: int, block_hash: bytes, params: Params) -> int:
    """The verify flags for the inputs of the block `block_hash` (wire order) at `height`.

    P2SH, segwit and taproot hold from genesis on, but for the blocks that the network lists:
    their spends were valid when they were made.
    """
    names = params.script_exceptions.get(block_hash)
    if names is None:
        flags = verify.P2SH | verify.WITNESS | verify.TAPROOT
    else:
        flags = 0
        for name, flag in (
            ("P2SH", verify.P2SH),
            ("WITNESS", verify.WITNESS),
            ("TAPROOT", verify.TAPROOT),
        ):
            flags |= flag if name in names else 0
    active = params.activation
    if height >= active.bip66:
        flags |= verify.DERSIG
    if height >= active.bip65:
        flags |= verify.CHECKLOCKTIMEVERIFY
    if height >= active.csv:
        flags |= verify.CHECKSEQUENCEVERIFY
    if height >= active.segwit:
        flags |= verify.NULLDUMMY
    return flags
