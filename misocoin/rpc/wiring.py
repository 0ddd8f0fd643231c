"""All of the node's methods, bound to the parts they speak for.

A new group of methods gets its line here: in `own`, under this program's names, or in `core`,
under Bitcoin Core's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from misocoin.chain.clock import NetworkClock
from misocoin.chain.fee_observer import FeeObserver
from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.chain.template import BlockTemplate, TemplateOptions
from misocoin.chain.verify import Verification
from misocoin.mining.miner import Miner
from misocoin.peers.manager import PeerManager
from misocoin.primitives.block import Block
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.core.blocks import CoreBlocks
from misocoin.rpc.core.coins import CoreCoins
from misocoin.rpc.core.control import CoreControl
from misocoin.rpc.core.descriptors import CoreDescriptors
from misocoin.rpc.core.dialect import core_methods
from misocoin.rpc.core.funding import Funding
from misocoin.rpc.core.mempool import CoreMempool
from misocoin.rpc.core.mining import CoreMining
from misocoin.rpc.core.network import CoreNetwork
from misocoin.rpc.core.nodes import CoreNodes
from misocoin.rpc.core.raw import CoreRaw
from misocoin.rpc.core.signing import CoreSigning
from misocoin.rpc.core.steering import CoreSteering
from misocoin.rpc.core.templates import CoreTemplates
from misocoin.rpc.core.util import CoreUtil
from misocoin.rpc.core.wallet import CoreWallet
from misocoin.rpc.core.wallet_bump import CoreWalletBump
from misocoin.rpc.core.wallet_coins import CoreWalletCoins
from misocoin.rpc.core.wallet_descriptors import CoreWalletDescriptors
from misocoin.rpc.core.wallet_drafts import CoreWalletDrafts
from misocoin.rpc.core.wallet_groups import CoreWalletGroups
from misocoin.rpc.core.wallet_history import CoreWalletHistory
from misocoin.rpc.core.wallet_import import CoreWalletImport
from misocoin.rpc.core.wallet_keys import CoreWalletKeys
from misocoin.rpc.core.wallet_paying import CoreWalletPaying
from misocoin.rpc.core.wallet_psbt import CoreWalletPsbt, WalletPsbts
from misocoin.rpc.core.wallet_received import CoreWalletReceived
from misocoin.rpc.core.wallets import CoreWallets, WalletNames
from misocoin.rpc.declare import Method, methods_of
from misocoin.rpc.finder import TransactionFinder
from misocoin.rpc.methods.chain import ChainMethods
from misocoin.rpc.methods.control import ControlMethods
from misocoin.rpc.methods.data import DataMethods
from misocoin.rpc.methods.keys import KeyMethods
from misocoin.rpc.methods.login import CodePort, LoginMethods
from misocoin.rpc.methods.mining import MiningMethods
from misocoin.rpc.methods.network import NetworkMethods
from misocoin.rpc.methods.transactions import TransactionMethods
from misocoin.rpc.methods.wallet import WalletMethods
from misocoin.rpc.server import NodeServer
from misocoin.wallet.wallet import Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodParts:
    """What the methods show and steer."""

    chain: ChainState
    pool: TransactionPool
    wallet: Wallet
    wallet_names: WalletNames
    clock: NetworkClock
    block_forms: BlockForms
    finder: TransactionFinder
    fees: FeeObserver
    template_options: TemplateOptions
    miner: Miner
    peers: PeerManager
    server: NodeServer
    control: ControlMethods
    """Answers from the start on, before there are other parts."""
    codes: CodePort | None
    """Knows codes to log in with; None where there are no pages."""
    log_file: Path | None
    publications: Sequence[tuple[str, str, int]]
    """Topic, address and high-water mark of ZeroMQ's messages."""
    default_port: int
    """Stands where a peer's address has none."""
    verify_chain: Callable[[], Verification]
    """Replays all blocks and compares."""
    verify_recent: Callable[[int, int], bool]
    """Checks the last blocks: level and number, as Core's `verifychain` takes them."""
    generate: Callable[[int, bytes], list[bytes]]
    """Mines so many blocks that pay a script; their hashes."""
    search: Callable[[BlockTemplate, int], Block | None]
    """Finds the nonce of a template with that extra nonce; None at the end of the node."""


def node_methods(parts: MethodParts) -> list[Method]:
    """Every RPC method."""
    chain, pool, wallet = parts.chain, parts.pool, parts.wallet
    mempool, peers, server = pool.mempool, parts.peers, parts.server
    own = (
        ChainMethods(chain, mempool, parts.block_forms, parts.verify_chain),
        TransactionMethods(chain, pool, parts.finder),
        MiningMethods(chain, parts.miner, parts.generate, lambda: wallet.script),
        WalletMethods(chain, pool, wallet),
        KeyMethods(chain, wallet),
        DataMethods(chain, pool, parts.finder, wallet),
        NetworkMethods(peers, parts.default_port, chain.now),
        parts.control,
        LoginMethods(parts.codes, lambda: server.address),
    )
    funding, psbts = Funding(chain, pool, wallet), WalletPsbts(chain, wallet)
    core = (
        CoreBlocks(chain),
        CoreCoins(chain, mempool),
        CoreMempool(chain, mempool),
        CoreSteering(chain, parts.clock, parts.verify_recent),
        CoreRaw(chain, pool, parts.finder),
        CoreSigning(chain, mempool, wallet.ring_for),
        CoreUtil(chain.params),
        CoreDescriptors(chain.params),
        CoreWallet(chain, wallet),
        CoreWalletCoins(chain, mempool, wallet, parts.wallet_names),
        CoreWallets(wallet, parts.wallet_names),
        CoreWalletKeys(chain, wallet),
        CoreWalletHistory(chain, mempool, wallet),
        CoreWalletReceived(chain, wallet),
        CoreWalletPaying(chain, pool, wallet, funding),
        CoreWalletDrafts(chain, pool, wallet, funding, psbts),
        CoreWalletPsbt(psbts, funding),
        CoreWalletDescriptors(chain, wallet, parts.wallet_names),
        CoreWalletImport(chain, wallet),
        CoreWalletGroups(chain, mempool, wallet),
        CoreWalletBump(chain, pool, wallet, funding, psbts),
        CoreNetwork(peers, mempool, chain.now, server.traffic),
        CoreNodes(peers, parts.default_port),
        CoreControl(server.active_calls, parts.log_file, parts.publications),
        CoreTemplates(chain, mempool, parts.template_options),
        CoreMining(chain, pool, parts.fees, parts.template_options, parts.generate, parts.search),
    )
    first = [each for group in own for each in methods_of(group)]
    return [*first, *core_methods(first, core)]
