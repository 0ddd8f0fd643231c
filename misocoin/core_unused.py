"""Options of Bitcoin Core's that do nothing here, and those that cannot be had.

The first change nothing that a user would count on, so a script goes on, and the daemon says that
they do nothing. The others would: who asks for a proxy must not be told at the end of a log that
there is none. They are refused with a reason, and taken where they only say no (`-noproxy`).
"""

from misocoin.options import Kind, Option, flag_from_text

IDLE_GROUP = "As bitcoind, and without effect here"
"""Heading of options that are taken for the sake of scripts."""

REFUSED_GROUP = "As bitcoind, and not to be had here"
"""Heading of options that are refused unless they only say no."""

_OWN_LIMITS = "Links have limits of their own."
_OWN_TIMES = "Links have time limits of their own."
_NO_SUCH_NETWORK = "There is no such network here."
_AS_IT_IS_READ = "What is on disk is checked as it is read."
_NO_ROUTERS = "Routers are left alone."
_NO_RIGHTS = "There are no such rights."
_NO_TOR = "Tor is left alone."
_NOBODY_ASKED = "Nobody is asked for nodes."
_MENDS = "What is on disk mends itself."
_COIN_CHOICE = "The wallet chooses coins in its own way."
_FEES = "The wallet finds a fee rate by the mempool, or takes the one of the call."
_NO_CLUSTERS = "The mempool counts ancestors and descendants, not clusters."

IDLE = (
    ("acceptstalefeeestimates", "Estimates are of this run."),
    ("alertnotify", "Nothing raises an alert."),
    ("allowignoredconf", "One file is read; others are left alone."),
    ("asmap", "No such map is used."),
    ("assumevalid", "Every script is checked."),
    ("avoidpartialspends", _COIN_CHOICE),
    ("bantime", "A ban without a time is for a day."),
    ("bind", "There is one port for all: -host, or -rpcbind, says where."),
    ("blockreconstructionextratxn", "Blocks are put together from the mempool."),
    ("blockreservedweight", "8,000 are reserved."),
    ("blocksonly", "Transactions are taken from other nodes all the same."),
    ("blocksxor", "Blocks are stored in another way."),
    ("changetype", "Change goes to addresses of the wallet's own kind."),
    ("checkaddrman", "Nothing is checked twice."),
    ("checkblockindex", "Nothing is checked twice."),
    ("checkblocks", _AS_IT_IS_READ),
    ("checklevel", _AS_IT_IS_READ),
    ("checkmempool", "Nothing is checked twice."),
    ("checkpoints", "There are none."),
    ("cjdnsreachable", "CJDNS is a network like any other."),
    ("coinstatsindex", "gettxoutsetinfo reads all coins."),
    ("consolidatefeerate", _COIN_CHOICE),
    ("dbbatchsize", "Coins are written all at once."),
    ("debugexclude", "Take the category from -debug."),
    ("deprecatedrpc", "No method is deprecated."),
    ("disablewallet", "The wallet is always there."),
    ("discardfee", _COIN_CHOICE),
    ("dns", "Names of nodes are looked up."),
    ("dnsseed", _NOBODY_ASKED),
    ("fallbackfee", "The wallet always finds a fee rate by the mempool."),
    ("fastprune", "Every block is kept."),
    ("feefilter", "Links tell nothing of fees."),
    ("fixedseeds", "No nodes are built in."),
    ("forcednsseed", _NOBODY_ASKED),
    ("i2pacceptincoming", "I2P is left alone."),
    ("keypool", "Keys are made when they are needed."),
    ("limitclustercount", _NO_CLUSTERS),
    ("limitclustersize", _NO_CLUSTERS),
    ("listenonion", _NO_TOR),
    ("logips", "Addresses are always shown."),
    ("loglevelalways", "The level is always shown."),
    ("logratelimit", "Every message is written."),
    ("logsourcelocations", "Places in the source are not shown."),
    ("logthreadnames", "Threads are not shown."),
    ("logtimemicros", "Times are in seconds."),
    ("logtimestamps", "The time is always shown."),
    ("maxapsfee", _COIN_CHOICE),
    ("maxorphantx", "Links ask for parents before they pass a child on."),
    ("maxreceivebuffer", _OWN_LIMITS),
    ("maxsendbuffer", _OWN_LIMITS),
    ("maxsigcachesize", "The caches have sizes of their own."),
    ("maxtipage", "Whether a node catches up is told by its headers."),
    ("maxuploadtarget", _OWN_LIMITS),
    ("mempoolfullrbf", "Every transaction can be replaced."),
    ("mintxfee", _FEES),
    ("natpmp", _NO_ROUTERS),
    ("paytxfee", _FEES),
    ("peerblockfilters", "Filters are served to everybody, with -blockfilterindex."),
    ("peerbloomfilters", "Not spoken between nodes here."),
    ("peertimeout", _OWN_TIMES),
    ("persistmempool", "Waiting transactions are always kept."),
    ("persistmempoolv1", "Waiting transactions are stored in another way."),
    ("printpriority", "Choices of transactions are not told."),
    ("proxyrandomize", "There is no proxy."),
    ("reindex", _MENDS),
    ("reindex-chainstate", _MENDS),
    ("rest", "REST is always there."),
    ("rpcservertimeout", "Connections have a time limit of their own."),
    ("rpcthreads", "Threads come as they are needed."),
    ("rpcworkqueue", "The queue has a size of its own."),
    ("server", "Calls are always answered."),
    ("settings", "What is set at run time is not kept in a file."),
    ("shrinkdebugfile", "The file is left as it is."),
    ("signetblocktime", _NO_SUCH_NETWORK),
    ("signetchallenge", _NO_SUCH_NETWORK),
    ("signetseednode", _NO_SUCH_NETWORK),
    ("spendzeroconfchange", "Change of the wallet's own payments can be spent at once."),
    ("timeout", _OWN_TIMES),
    ("torcontrol", _NO_TOR),
    ("torpassword", _NO_TOR),
    ("txconfirmtarget", _FEES),
    ("txreconciliation", "Not spoken between nodes here."),
    ("uacomment", "Nothing is added to this program's name."),
    ("unsafesqlitesync", "What was acknowledged is always on disk."),
    ("upnp", _NO_ROUTERS),
    ("v2transport", "Links are HTTP."),
    ("walletcrosschain", "A wallet is of one chain."),
    ("walletrbf", "Every transaction can be replaced."),
    ("walletrejectlongchains", "The mempool's limits hold for the wallet, too."),
    ("whitebind", _NO_RIGHTS),
    ("whitelist", _NO_RIGHTS),
    ("whitelistforcerelay", _NO_RIGHTS),
    ("whitelistrelay", _NO_RIGHTS),
)
"""Options that are taken and change nothing, and why."""

_NO_PROXY = "links are made directly: run the node where the proxy is the only way out"
_RULES = "the rules of regtest all hold from block 1, and cannot be chosen"
_ONE_FOLDER = "everything is in the data folder: -datadir says where"

REFUSED = (
    ("blocksdir", _ONE_FOLDER),
    ("blockversion", "blocks have version 0x20000000"),
    ("capturemessages", "messages between nodes are not recorded"),
    ("i2psam", _NO_PROXY),
    ("onion", _NO_PROXY),
    ("onlynet", "nodes are linked with by any network"),
    ("privatebroadcast", "transactions go to all linked nodes"),
    ("proxy", _NO_PROXY),
    ("signer", "signing devices take part by PSBT: see misocoin wallet"),
    ("stopafterblockimport", "the node goes on until it is told to stop"),
    ("stopatheight", "the node goes on until it is told to stop"),
    ("test", _RULES),
    ("testactivationheight", _RULES),
    ("vbparams", _RULES),
    ("walletdir", _ONE_FOLDER),
)
"""Options that are refused unless they say no, and why."""


def idle_names() -> frozenset[str]:
    """The names of the options that change nothing."""
    return frozenset(name for name, _ in IDLE)


def unused_options() -> tuple[Option, ...]:
    """All of these as options of the daemon."""
    idle = (Option(name, IDLE_GROUP, why, str, None, Kind.FLAG) for name, why in IDLE)
    refused = (
        Option(
            name,
            REFUSED_GROUP,
            f"{why[0].upper()}{why[1:]}.",
            lambda text, why=why: _refuse(text, why),  # type: ignore[misc]
            None,
            Kind.FLAG,
        )
        for name, why in REFUSED
    )
    return (*idle, *refused)


def _refuse(text: str, why: str) -> bool:
    try:
        is_wanted = flag_from_text(text)
    except ValueError:
        is_wanted = True
    if is_wanted:
        raise ValueError(why)
    return False
