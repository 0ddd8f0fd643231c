"""The node: builds the parts, hands each what it needs, starts and stops them.

The one place of wiring; no part looks another one up.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from misocoin.chain.clock import NetworkClock
from misocoin.chain.events import EventBus
from misocoin.chain.fee_observer import FeeObserver
from misocoin.chain.importer import ImportProgress, import_blocks, log_import
from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.chain.pool import TransactionPool
from misocoin.chain.script_cache import ScriptCache
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainOptions, ChainState
from misocoin.chain.template import BlockTemplate, TemplateOptions
from misocoin.chain.verify import Verification, verify_chain, verify_recent
from misocoin.config import Config
from misocoin.crypto.batch import SignatureCache
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import ConfigError, ValidationError
from misocoin.http.server import is_loopback, numeric_host
from misocoin.mining.miner import Miner, generate_blocks, search_block
from misocoin.narrator import Narrator
from misocoin.notify.commands import CommandNotifier, CommandRunner, Templates, run_command
from misocoin.notify.feed import EventFeed
from misocoin.notify.publisher import Publication, ZmqPublisher
from misocoin.notify.zmq_messages import Topic
from misocoin.option_table import DEFAULT_PORT
from misocoin.params import Params, params_by_name
from misocoin.peers.limits import PeerLimits
from misocoin.peers.manager import PeerManager, PeerSettings
from misocoin.peers.messages import address_from_text
from misocoin.peers.ports import ProgressPort
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import MempoolLimits
from misocoin.pow.engine import StopFlag
from misocoin.pow.engines import select_engine
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction
from misocoin.rpc.auth import whitelists_of
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.core.wallets import WalletNames
from misocoin.rpc.declare import methods_of
from misocoin.rpc.finder import TransactionFinder
from misocoin.rpc.methods.control import ControlMethods
from misocoin.rpc.registry import Registry
from misocoin.rpc.server import AccessRules, NodeServer
from misocoin.rpc.toll import toll_for
from misocoin.rpc.wiring import MethodParts, node_methods
from misocoin.store.folder import DataFolder
from misocoin.store.store import Store
from misocoin.version import VERSION
from misocoin.wallet.resending import Resender
from misocoin.wallet.store import WalletStore
from misocoin.wallet.wallet import Wallet
from misocoin.web.machine import MachineRoom
from misocoin.web.sessions import Sessions

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

CHAIN_FILE = "chain.sqlite"
WALLET_FILE = "wallet.sqlite"
KEY_FILE = "wallet.json"
OLD_KEY_FILE = "wallet.pem"
PEERS_FILE = "peers.json"

GC_THRESHOLD = 50_000
"""Objects made before Python looks for cycles; its own default is 700."""


WARM_UP_AFTER = 1.0
"""Seconds from the first answers until the pages are made ready."""


class Node:
    """A full node as `config` describes it. `start` returns once it serves."""

    def __init__(self, config: Config, progress: Callable[[str, str], ProgressPort]) -> None:
        """`progress(label, unit)` makes what shows a long job."""
        self.config = config
        self.params = _params(config)
        self.started_at = time.monotonic()
        self.wallet_names = WalletNames(config.wallet_name)
        self.clock = NetworkClock()
        self.clock.set_mock(config.mocktime or None)
        self.sessions = Sessions(time.monotonic)
        self._progress = progress
        self._stopping = threading.Event()
        self._stop_search = StopFlag()
        self._open = ExitStack()

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Build and start everything; raises MisocoinError where something cannot be used."""
        tune_garbage_collector()
        try:
            self._listen()
            self._build()
            self._load()
            self._open_machine_room()
            self._join_network()
            registry = self.registry(check_results=self.config.check_results)
            self.server.open(registry, self._add_routes, self.wallet_names.is_loaded)
            self._warm_up_pages()
        except BaseException:
            self._open.close()
            raise

    def request_stop(self) -> None:
        """Have `wait` return; may be called from any thread, but not inside a signal handler."""
        self._stop_search.set()
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stopping.is_set()

    def wait(self) -> None:
        """Block until a stop is asked for."""
        self._stopping.wait()

    def stop(self) -> None:
        """Stop serving, then everything else, last started first; memory goes to disk."""
        self.request_stop()
        if self.config.shutdownnotify:
            run_command(self.config.shutdownnotify)
        # Where blocks cost nothing it holds the chain's lock most of the time; others wait for it.
        self.miner.close()
        # Next, since other nodes' long-polls and streams wait in the server's threads.
        self.feed.close()
        self.peers.stop()
        self.chain.stop_waiting()
        self.server.stop()
        self._open.close()

    # -- parts --------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take the data folder and the port; from now on callers hear that the node starts."""
        config = self.config
        for path in config.loadblock:
            if not path.is_file():
                raise ConfigError(f"-loadblock={path}: no such file")
        if config.data_folder is not None:
            self._open.callback(DataFolder(config.data_folder).close)
        else:
            # Only the cookie lay there; its folder goes with it, if it was made for that.
            self._open.callback(_remove_if_empty, config.cookie_file.parent)
        self._control = ControlMethods(self.request_stop, self.started_at)
        for copy in config.cookie_copies:
            self._open.callback(_remove_if_empty, copy.parent)
        credentials = None
        if config.rpcuser is not None and config.rpcpassword is not None:
            credentials = (config.rpcuser, config.rpcpassword)
        places = ((config.host, config.port), *config.more_places)
        self.server = NodeServer(
            places,
            (config.cookie_file, *config.cookie_copies),
            methods_of(self._control),
            AccessRules(
                credentials,
                config.rpcauth,
                config.allowed,
                toll_for(config.hashcash, config.hashcash_rate, config.chain, places),
                config.webhosts,
                config.hashcash is None,
                whitelists_of(config.whitelists, config.whitelist_default),
                config.cookie_mode,
            ),
        )
        self.server.start()
        self._open.callback(self.server.stop)

    def _build(self) -> None:
        config, params = self.config, self.params
        folder = config.data_folder
        store = Store(_inside(folder, CHAIN_FILE), params.genesis.hash)
        self._open.callback(store.close)
        signatures, passed = SignatureCache(), ScriptCache()
        self.events = EventBus()
        self.scripts = ScriptChecks(config.signature_threads or None, signatures, passed)
        self._open.callback(self.scripts.close)
        self.chain = ChainState(
            params,
            store,
            self.scripts,
            self.events,
            now=self.clock,
            options=ChainOptions(
                config.coin_cache_bytes,
                txindex=config.txindex,
                txospenderindex=config.txospenderindex,
                blockfilterindex=config.blockfilterindex,
                addressindex=config.addressindex,
            ),
        )
        policy = config.policy
        limits = MempoolLimits(
            config.max_mempool_bytes,
            config.mempool_expiry_seconds,
            *config.ancestor_limits,
            *config.descendant_limits,
        )
        rules = MempoolRules(params, policy, limits, signatures, passed)
        self.pool = TransactionPool(self.chain, Mempool(self.chain, rules, store))
        self.block_forms = BlockForms(self.chain)
        wallet_store = WalletStore(_inside(folder, WALLET_FILE))
        self.wallet = Wallet(
            self.chain,
            wallet_store,
            _inside(folder, KEY_FILE),
            _inside(folder, OLD_KEY_FILE),
            lambda: [entry.tx for entry in self.pool.mempool.entries()],
        )
        least = policy.min_relay_feerate
        if config.block_min_fee is not None:
            least = FeeRate(config.block_min_fee)
        self.template_options = TemplateOptions(config.block_max_weight, least)
        self.engine = select_engine(config.engine)
        self.miner = Miner(
            self.chain,
            self.pool.mempool,
            self.engine,
            lambda: self.wallet.script,
            self.template_options,
            config.threads,
        )
        self.feed = EventFeed()
        self.publisher: ZmqPublisher | None = None
        if config.zmq:
            wanted = [Publication(Topic(name), address, hwm) for name, address, hwm in config.zmq]
            self.publisher = ZmqPublisher(wanted, self.chain.get_block_bytes)
            self._open.callback(self.publisher.close)
        self.commands = CommandRunner()
        self.finder = TransactionFinder(self.chain, self.pool.mempool, self._find_own)
        self.narrator = Narrator(self.wallet.is_mine, params, self.wallet.role_of)
        self.resender = Resender(lambda: self.wallet.resend(self.pool.submit))

    def _load(self) -> None:
        shown = self._progress("loading", "blocks")
        self.chain.load(lambda height, of: shown.update(height, height, of))
        self._open.callback(self.chain.flush)
        self.events.subscribe(self.pool.handle)
        self.wallet.load(self._imported_key(), lambda height, of: shown.update(height, height, of))
        shown.close()
        self._open.callback(self.wallet.close)
        self.events.subscribe(self.wallet.handle)
        self.pool.load()
        self.fees = FeeObserver(self.chain.height)
        self.events.subscribe(self.fees.handle)
        self.events.subscribe(self.resender.handle)
        self.resender.start()
        self._open.callback(self.resender.stop)
        self.events.subscribe(self.narrator.handle)
        self.events.subscribe(self.miner.handle)
        self.events.subscribe(self.feed.handle)
        if self.publisher is not None:
            self.events.subscribe(self.publisher.handle)
        self._open.callback(self.miner.close)
        if self.chain.filters is not None:
            self._open.callback(self.chain.filters.catch_up_beside(self.chain))

    def _open_machine_room(self) -> None:
        config = self.config
        self.room = MachineRoom(
            lambda: self.miner.info().hashes_per_second, config.workstatus, config.marketclient
        )
        if config.web:
            self.room.start()
            self._open.callback(self.room.stop)

    def _join_network(self) -> None:
        config = self.config
        port = self.server.address[1]
        settings = PeerSettings(
            port=port,
            listens_locally=is_loopback(numeric_host(config.host)),
            nodes=tuple([address_from_text(node, DEFAULT_PORT) for node in config.nodes]),
            external_host=config.externalip or "",
            dials=config.gossip,
            file=_inside(config.data_folder, PEERS_FILE),
            agent=f"/misocoin:{VERSION}/",
            limits=replace(PeerLimits(), inbound=config.maxpeers),
            is_active=config.network_active,
            discovers=config.discover,
        )
        self.peers = PeerManager(
            self.chain, self.pool, settings, self._progress, self.narrator.silence
        )
        self.peers.start()
        self._open.callback(self.peers.stop)

    def _warm_up_pages(self) -> None:
        """Make the pages ready soon, but not at the cost of the first calls."""

        def warm_up() -> None:
            if not self._stopping.wait(WARM_UP_AFTER):
                self.server.warm_up()

        if self.config.web:
            thread = threading.Thread(target=warm_up, name="warm-up", daemon=True)
            thread.start()
            self._open.callback(thread.join)

    def _add_routes(self, app: "Flask") -> None:
        from misocoin.rpc.event_routes import EventRoutes
        from misocoin.rpc.peer_routes import PeerRoutes
        from misocoin.rpc.rest import RestRoutes

        EventRoutes(self.feed, lambda: self.chain.tip).add_to(app)
        RestRoutes(self.chain, self.pool.mempool, self.block_forms, self.finder).add_to(app)
        PeerRoutes(self.peers).add_to(app)
        if self.config.web:
            from misocoin.web.machine_pages import Machines
            from misocoin.web.wiring import PageParts, add_pages

            chain, peers = self.chain, self.peers
            parts = PageParts(
                chain,
                self.pool,
                self.wallet,
                self.fees.estimate,
                self.sessions,
                self.server.guard,
                self.server.is_password,
                Machines(self.miner, peers, self.room, chain.now, DEFAULT_PORT),
            )
            add_pages(app, parts)

    def registry(self, *, check_results: bool = False) -> Registry:
        """Every RPC method; `check_results` holds each result to its declared form."""
        parts = MethodParts(
            chain=self.chain,
            pool=self.pool,
            wallet=self.wallet,
            wallet_names=self.wallet_names,
            clock=self.clock,
            block_forms=self.block_forms,
            finder=self.finder,
            fees=self.fees,
            template_options=self.template_options,
            miner=self.miner,
            peers=self.peers,
            server=self.server,
            control=self._control,
            codes=self.sessions if self.config.web else None,
            log_file=self.config.log_file,
            publications=self.config.zmq,
            default_port=DEFAULT_PORT,
            verify_chain=self._verify_chain,
            verify_recent=self._verify_recent,
            generate=self._generate,
            search=self._search,
        )
        return Registry(node_methods(parts), check_results=check_results)

    def _verify_chain(self) -> Verification:
        with closing(ScriptChecks(self.config.signature_threads or None)) as scripts:
            return verify_chain(self.chain, scripts)

    def _verify_recent(self, level: int, count: int) -> bool:
        with closing(ScriptChecks(self.config.signature_threads or None)) as scripts:
            verify_recent(self.chain, scripts, level, count)
        return True

    def _find_own(self, txid: bytes) -> tuple[Transaction, bytes | None] | None:
        entry = self.wallet.find(txid)
        # What was dropped is nobody's business but the owner's, and anybody may ask.
        return None if entry is None or entry.block_hash is None else (entry.tx, entry.block_hash)

    def _search(self, template: BlockTemplate, extra_nonce: int) -> Block | None:
        return search_block(template, self.engine, extra_nonce, self._stop_search)

    def _generate(self, count: int, script: bytes) -> list[bytes]:
        options = self.template_options
        mempool = self.pool.mempool
        return generate_blocks(
            self.chain, mempool, self.engine, script, count, options, self._stop_search
        )

    def _imported_key(self) -> PrivateKey | None:
        text = self.config.priv_key
        if text is None:
            return None
        if len(text) == 64:
            return PrivateKey.from_hex(text)
        return key_from_wif(text, self.params.address.wif)

    def run_imports(self) -> None:
        """Import the block files of `-loadblock`, one after the other, until a stop is asked.

        From then on the owner's commands are run for what happens.
        """
        for path in self.config.loadblock:
            self._import(path)
        config = self.config
        templates = Templates(config.blocknotify, config.walletnotify)
        if any(templates):
            notifier = CommandNotifier(
                templates,
                self.commands.run,
                lambda: self.chain.best_header,
                lambda txid: self.wallet.find(txid) is not None,
                lambda: self.wallet_names.name,
            )
            self.events.subscribe(notifier.handle)
        if config.startupnotify:
            self.commands.run(config.startupnotify)

    def _import(self, path: Path) -> None:
        shown = self._progress(f"importing {path.name}", "blocks")

        def progress(so_far: ImportProgress) -> None:
            shown.update(so_far.blocks, so_far.position, so_far.size)

        def rejected(block_hash: str, error: ValidationError) -> None:
            log.warning("block %s was refused: %s", block_hash, error)

        with self.narrator.silence():
            began = time.monotonic()
            result = import_blocks(
                path,
                self.chain,
                self.params,
                progress=progress,
                rejected=rejected,
                should_stop=self._stopping.is_set,
            )
            with self.chain.lock:
                self.chain.flush()
        shown.close()
        log_import(path, result, time.monotonic() - began, self.params, self.chain.tip)

    def start_mining(self) -> None:
        """Switch the background miner on if the configuration says so."""
        if self.config.mine and not self.is_stopping:
            self.miner.set_mining(True)


def _params(config: Config) -> Params:
    """The network that a node is told to follow."""
    params = params_by_name(config.chain)
    work = config.minimum_chain_work
    return params if work is None else replace(params, minimum_chain_work=work)


def tune_garbage_collector() -> None:
    """Have Python look for cycles less often: blocks are many objects and hold none."""
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _inside(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / name
