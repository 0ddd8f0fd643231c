"""Pay and look with python-bitcoinrpc: `python python_bitcoinrpc.py URL`.

Its `batch_` says jsonrpc 2.0 and reads the answers as 1.x: no bitcoind since 28 serves that.
"""

import json
import sys
from decimal import Decimal

from bitcoinrpc.authproxy import AuthServiceProxy, JSONRPCException

node = AuthServiceProxy(sys.argv[1])
node.generatetoaddress(101, node.getnewaddress())
address = node.getnewaddress("theirs", "legacy")
txid = node.sendtoaddress(address, Decimal("1.23456789"))
node.generatetoaddress(1, node.getnewaddress())
best = node.getblock(node.getbestblockhash(), 2)
if txid not in [tx["txid"] for tx in best["tx"]]:
    raise SystemExit("the payment is not in the block")
if node.getreceivedbyaddress(address) != Decimal("1.23456789"):
    raise SystemExit("it is another amount")
refused = []
for method, *params in (
    ("getblock", "11" * 32),
    ("getblockhash", 10_000_000),
    ("sendrawtransaction", "00"),
    ("nosuchmethod",),
):
    try:
        getattr(node, method)(*params)
    except JSONRPCException as error:
        refused.append(error.code)
json.dump({"txid": txid, "refused": refused}, sys.stdout)
