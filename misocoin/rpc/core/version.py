"""Which Bitcoin Core this node answers as."""

CLAIMED_VERSION = 310_000
"""`getnetworkinfo.version`, as Core counts it (31.0.0): the newest whose promises are kept.

Clients choose by it what to ask for; `docs/rpc.md` lists what that version has and we do not.
"""
