"""Stamp a file with a transaction of a node's wallet: `python opentimestamps_stamp.py URL FILE`.

The digest goes into an output that stores data; `FILE.ots` proves it from the block that has it.
"""

import sys
from pathlib import Path

import bitcoin
from bitcoin.core import b2x, lx
from bitcoin.rpc import Proxy
from opentimestamps.bitcoin import make_timestamp_from_block
from opentimestamps.core.op import OpSHA256
from opentimestamps.core.serialize import BytesSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile

url, name = sys.argv[1:]
bitcoin.SelectParams("regtest")
proxy = Proxy(service_url=url)

with Path(name).open("rb") as file:
    stamp = DetachedTimestampFile.from_fd(OpSHA256(), file)
raw = proxy.call("createrawtransaction", [], [{"data": b2x(stamp.file_digest)}])
funded = proxy.call("fundrawtransaction", raw)["hex"]
signed = proxy.call("signrawtransactionwithwallet", funded)["hex"]
proxy.call("sendrawtransaction", signed)
(block_hash,) = proxy.call("generatetoaddress", 1, proxy.call("getnewaddress"))

block = proxy.getblock(lx(block_hash))
proof = make_timestamp_from_block(stamp.file_digest, block, proxy.getblockcount())
stamp.timestamp.merge(proof)
context = BytesSerializationContext()
stamp.serialize(context)
Path(f"{name}.ots").write_bytes(context.getbytes())
