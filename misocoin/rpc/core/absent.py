"""What Bitcoin Core has and this node has not, and why."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PRUNING = "blocks are kept whole"
_ASSUMEUTXO = "a chain here is small enough to be checked from genesis"
_PSBT = (
    "the wallet's own files take part in PSBT (`misocoin wallet`); the node has no methods for it"
)
_SIGNERS = "keys are kept here, not by devices beside the node"
_ONE_WALLET = "there is one wallet"
_DESCRIPTORS = "the wallet is made of accounts (BIP44 and its kin), not of descriptors"
_TESTS = "serves Core's own tests"
_CLUSTERS = "the mempool counts ancestors and descendants, not clusters"

ABSENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "addconnection": _TESTS,
        "addpeeraddress": _TESTS,
        "analyzepsbt": _PSBT,
        "combinepsbt": _PSBT,
        "converttopsbt": _PSBT,
        "createpsbt": _PSBT,
        "createwalletdescriptor": _DESCRIPTORS,
        "decodepsbt": _PSBT,
        "descriptorprocesspsbt": _PSBT,
        "dumptxoutset": _ASSUMEUTXO,
        "enumeratesigners": _SIGNERS,
        "finalizepsbt": _PSBT,
        "getblockfrompeer": _PRUNING,
        "getchainstates": _ASSUMEUTXO,
        "getdescriptoractivity": "scantxoutset finds what is unspent",
        "getmempoolcluster": _CLUSTERS,
        "getmempoolfeeratediagram": _CLUSTERS,
        "getorphantxs": "links ask for parents before they pass a child on",
        "getprivatebroadcastinfo": "links are HTTP; there is no private broadcast",
        "getrawaddrman": _TESTS,
        "importmempool": "the mempool is on disk at any time",
        "importprunedfunds": _PRUNING,
        "joinpsbts": _PSBT,
        "loadtxoutset": _ASSUMEUTXO,
        "migratewallet": "there are no old wallets to migrate",
        "mockscheduler": _TESTS,
        "pruneblockchain": _PRUNING,
        "removeprunedfunds": _PRUNING,
        "restorewallet": _ONE_WALLET,
        "savemempool": "the mempool is on disk at any time",
        "scanblocks": "getblockfilter serves who looks for payments",
        "syncwithvalidationinterfacequeue": _TESTS,
        "setwalletflag": "the wallet has no such flags",
        "unloadwallet": _ONE_WALLET,
        "utxoupdatepsbt": _PSBT,
        "walletdisplayaddress": _SIGNERS,
    }
)
"""Core's name -> why it is not here, or what is here instead."""


DIFFERENCES: Final[tuple[str, ...]] = (
    "`getmempoolinfo` and mempool entries have no fields on clusters (`limitclustercount`, "
    "`chunkweight`, `fees.chunk`).",
    "`gettxoutsetinfo` tells of the tip alone, without an index; `muhash` takes 0.4 ms a coin.",
    "The body of a block that breaks a rule is not kept, so `getblock` has nothing to show of it.",
    "`-txindex` knows the active chain alone; `verifytxoutproof` refuses bytes behind a proof.",
    "REST's `getutxos` reads a posted body as BIP64 has it; Core's takes the length of the body "
    "for its first byte.",
    "Descriptors have no miniscript and no `musig`.",
    "What Core infers of a script it knows keys to, `desc` leaves as `addr(...)`.",
    "`logging` takes all of Core's categories; some share their messages, and some have none. "
    "`getmemoryinfo` tells of no locked memory, for keys are not kept in such.",
    "The mempool judges as Core 29.0's: 1 sat/vB at least, 83 bytes of data, 25 ancestors and "
    "descendants. Core 30 takes less and more; Core 31 counts clusters, and compares diagrams of "
    "fee rates in a replacement.",
    "`estimatesmartfee` knows what this node has seen since it started.",
    "`generatetoaddress` and its kin work on regtest alone.",
    "There is one wallet. It is loaded from the start, and `createwallet` or `loadwallet` only "
    "call it by a name for this run.",
    "Payments take fee rates from the mempool or from `fee_rate`; confirmation targets change "
    "nothing, and `-fallbackfee` is not needed.",
    "`fundrawtransaction` and its kin take inputs of the wallet's alone.",
    "`importdescriptors` takes descriptors of one private key each: a WIF, or an extended key with "
    "`/0/*` and `/1/*` behind it. What only watches is the light wallet's (`misocoin wallet`).",
    "`walletprocesspsbt` signs for `ALL` (taproot: `DEFAULT`) alone.",
    "Too little money is an error with Core's code and first words, and says how much there is.",
    "`getpeerinfo` counts messages, not HTTP's own lines, and cannot ping a node with REST alone.",
    "`addnode` with `onetry` keeps the link.",
    "`verifymessage` takes segwit addresses of one key, too (BIP137).",
    "`signrawtransactionwithkey` signs P2SH-P2WPKH and (by BIP86) taproot outputs with no more "
    "than the key, taproot outputs also by the scripts of a descriptor that `prevtxs` names, and "
    "needs no amount of a coin that is known.",
)
"""Where a method that is here answers otherwise than Core's."""
