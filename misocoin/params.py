"""What differs between the networks: one frozen value each for miso, regtest and bitcoin.

Everything else is the same everywhere and stands as constants beside the rule that uses it.
Hashes are in wire order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from types import MappingProxyType

from misocoin.codec import compact_size
from misocoin.errors import ConfigError
from misocoin.primitives.block import NULL_HASH, Block, BlockHeader
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut
from misocoin.units import COIN


class Retarget(Enum):
    """How the target of the next block follows from its ancestors."""

    EVERY_BLOCK = "every block"
    """miso: a clamped exponential step on the parent's solve time."""
    EVERY_INTERVAL = "every interval"
    """bitcoin: once in `retarget_interval` blocks."""
    NEVER = "never"
    """regtest: always the limit."""


@dataclass(frozen=True, slots=True)
class AddressParams:
    """The prefixes by which a network's addresses and keys are known."""

    hrp: str
    """Human-readable part of segwit addresses (BIP173)."""
    p2pkh: int
    """base58check version of pay-to-public-key-hash addresses."""
    p2sh: int
    """base58check version of pay-to-script-hash addresses."""
    wif: int
    """base58check version of private keys (WIF)."""
    bip32_public: bytes
    """Version bytes of extended public keys (BIP32)."""
    bip32_private: bytes
    """Version bytes of extended private keys (BIP32)."""


@dataclass(frozen=True, slots=True)
class Activation:
    """From which height each buried soft fork holds.

    P2SH, segwit v0 and taproot scripts are checked from genesis on, but for the blocks in
    `Params.script_exceptions` (as Core does).
    """

    bip34: int
    """Height in the coinbase."""
    bip65: int
    """OP_CHECKLOCKTIMEVERIFY."""
    bip66: int
    """Strict DER signatures."""
    csv: int
    """BIP68, BIP112 and BIP113 together."""
    segwit: int
    """Witness commitment and the null dummy (BIP141, BIP147)."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A soft fork that miners decide (BIP9, with BIP341's least height)."""

    name: str
    bit: int
    """Of the block's version, 0 to 28."""
    period: int
    """Blocks whose signals are counted together."""
    threshold: int
    """Signals in a period that lock it in."""
    start_time: int = 0
    """Median time from which on signals count."""
    timeout: int = (1 << 63) - 1
    """Median time after which they count no more."""
    min_activation_height: int = 0
    """It holds from no lower height on."""


@dataclass(frozen=True, slots=True)
class Params:
    """One network."""

    name: str
    magic: bytes
    """Four bytes before each block in blk*.dat files."""
    genesis: Block
    address: AddressParams
    activation: Activation
    retarget: Retarget
    pow_limit: int
    """The easiest target, as a 256-bit number."""
    target_spacing: int
    """Seconds between blocks that the difficulty aims at."""
    retarget_interval: int
    """Blocks between two retargets (`Retarget.EVERY_INTERVAL` only)."""
    half_life: int
    """Seconds of solve time that halve or double the target (`Retarget.EVERY_BLOCK` only)."""
    max_future: int
    """Seconds that a block's time may be ahead of network time."""
    initial_subsidy: int
    """Base units a block creates before the first halving."""
    halving_interval: int
    """Blocks between two halvings."""
    max_money: int
    """No amount and no sum of amounts may exceed this, in base units."""
    bip44_coin: int = 1
    """The coin's number in the paths of HD wallets (BIP44, SLIP-44); 1 is every test network's."""
    coinbase_maturity: int = 100
    """Blocks before a coinbase's outputs may be spent."""
    default_port: int = 4000
    script_exceptions: Mapping[bytes, frozenset[str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Block hash -> names of the script rules that hold in it (of P2SH, WITNESS, TAPROOT)."""
    bip30_exceptions: frozenset[tuple[int, bytes]] = frozenset()
    """(height, hash) of the blocks that repeat an unspent coinbase's id."""
    max_step_back: int | None = None
    """Seconds that a block's time may be before its parent's; None: any, above the median.

    On miso it must be under `half_life`: a fall of more would be clamped, so that a miner of most
    blocks could climb in small steps and fall in one, and make the difficulty vanish (time warp).
    """
    minimum_chain_work: int = 0
    """Work that a chain must have before a fresh node takes it from others.

    Not a rule of validity: it spares the node a made-up chain of low difficulty. A network that
    anybody may start anew at home has none.
    """
    deployments: tuple[Deployment, ...] = ()
    """What miners decide."""
    bip34_hash: bytes | None = None
    """The block at `activation.bip34`, below which no repeated ids can come any more (BIP30)."""


def _genesis(
    text_script: bytes, script_pubkey: bytes, subsidy: int, time: int, bits: int, nonce: int
) -> Block:
    coinbase = Transaction.build(
        1, [TxIn(NULL_OUTPOINT, text_script)], [TxOut(subsidy, script_pubkey)]
    )
    header = BlockHeader.build(1, NULL_HASH, coinbase.txid, time, bits, nonce)
    return Block(header, (coinbase,))


def _hash(display_hex: str) -> bytes:
    return bytes.fromhex(display_hex)[::-1]


def _push(data: bytes) -> bytes:
    return compact_size(len(data)) + data


# Bitcoin's first coinbase: the bits, the number 4 and a headline, paid to Satoshi's key.
_TIMES = b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"
_TIMES_SCRIPT = bytes.fromhex("04ffff001d0104") + _push(_TIMES)
_SATOSHI_SCRIPT = (
    _push(
        bytes.fromhex(
            "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6"
            "49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
        )
    )
    + b"\xac"
)


@cache
def miso() -> Params:
    """The coin of this project, and private ledgers."""
    return Params(
        name="miso",
        magic=bytes.fromhex("d14d6973"),
        genesis=_genesis(
            _push(b"Miso is a good boy"), b"\x6a", 15 * COIN, 1512254915, 0x1E0FFFFF, 1050933
        ),
        address=AddressParams(
            hrp="miso",
            p2pkh=50,
            p2sh=110,
            wif=178,
            bip32_public=bytes.fromhex("0488b21e"),
            bip32_private=bytes.fromhex("0488ade4"),
        ),
        activation=Activation(bip34=1, bip65=1, bip66=1, csv=1, segwit=1),
        retarget=Retarget.EVERY_BLOCK,
        pow_limit=0x0FFFFF << 8 * (0x1E - 3),
        target_spacing=30,
        retarget_interval=1,
        half_life=1800,
        max_future=600,
        initial_subsidy=15 * COIN,
        halving_interval=4_200_000,
        max_money=126_000_000 * COIN,
        bip44_coin=int.from_bytes(b"miso", "big"),  # unregistered; no coin has its name's number
        max_step_back=600,
    )


@cache
def regtest() -> Params:
    """Bitcoin's regression test network: blocks at no cost, for developers' tests."""
    return Params(
        name="regtest",
        magic=bytes.fromhex("fabfb5da"),
        genesis=_genesis(_TIMES_SCRIPT, _SATOSHI_SCRIPT, 50 * COIN, 1296688602, 0x207FFFFF, 2),
        address=AddressParams(
            hrp="bcrt",
            p2pkh=111,
            p2sh=196,
            wif=239,
            bip32_public=bytes.fromhex("043587cf"),
            bip32_private=bytes.fromhex("04358394"),
        ),
        activation=Activation(bip34=1, bip65=1, bip66=1, csv=1, segwit=0),
        retarget=Retarget.NEVER,
        pow_limit=(1 << 255) - 1,
        target_spacing=600,
        retarget_interval=2016,
        half_life=0,
        max_future=7200,
        initial_subsidy=50 * COIN,
        halving_interval=150,
        max_money=21_000_000 * COIN,
        # It changes no rule: Core has it there to test the signalling itself.
        deployments=(Deployment("testdummy", bit=28, period=144, threshold=108),),
    )


@cache
def bitcoin() -> Params:
    """Bitcoin's main network, to check real blocks."""
    return Params(
        name="bitcoin",
        magic=bytes.fromhex("f9beb4d9"),
        genesis=_genesis(
            _TIMES_SCRIPT, _SATOSHI_SCRIPT, 50 * COIN, 1231006505, 0x1D00FFFF, 2083236893
        ),
        address=AddressParams(
            hrp="bc",
            p2pkh=0,
            p2sh=5,
            wif=128,
            bip32_public=bytes.fromhex("0488b21e"),
            bip32_private=bytes.fromhex("0488ade4"),
        ),
        activation=Activation(bip34=227931, bip65=388381, bip66=363725, csv=419328, segwit=481824),
        retarget=Retarget.EVERY_INTERVAL,
        pow_limit=(1 << 224) - 1,
        target_spacing=600,
        retarget_interval=2016,
        half_life=0,
        max_future=7200,
        initial_subsidy=50 * COIN,
        halving_interval=210_000,
        max_money=21_000_000 * COIN,
        bip44_coin=0,
        script_exceptions=MappingProxyType(
            {
                # Spends a P2SH-shaped output before BIP16 was in force.
                _hash(
                    "00000000000002dc756eebf4f49723ed8d30cc28a5f108eb94b1ba88ac4f9c22"
                ): frozenset(),
                # Spends taproot-shaped outputs before BIP341 was in force.
                _hash(
                    "0000000000000000000f14c35b2d841e986ab5441de8c585d5ffe55ea1e395ad"
                ): frozenset({"P2SH", "WITNESS"}),
            }
        ),
        bip30_exceptions=frozenset(
            {
                (91842, _hash("00000000000a4d0a398161ffc163c503763b1f4360639393e0e4c8e300e0caec")),
                (91880, _hash("00000000000743f190a18c5577a3c2d2a1f610ae9601ac046a38084ccb7cd721")),
            }
        ),
        # Of block 824,000, as published with Bitcoin Core 27.0.
        minimum_chain_work=0x63C4EBD298DB40AF57541800,
        bip34_hash=_hash("000000000000024b89b42a942fe0d9fea3bb44ab7bd1b19115dd6a759c0808b8"),
    )


_NETWORKS = MappingProxyType({"miso": miso, "regtest": regtest, "bitcoin": bitcoin})

NETWORK_NAMES = tuple(_NETWORKS)
"""The names `params_by_name` knows."""


def params_by_name(name: str) -> Params:
    """The network of that name; raises ConfigError for any other."""
    try:
        return _NETWORKS[name]()
    except KeyError:
        raise ConfigError(f"no chain {name!r}: choose {', '.join(NETWORK_NAMES)}") from None
