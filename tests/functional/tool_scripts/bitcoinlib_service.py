"""Look, pay and sign with bitcoinlib's client of bitcoind: `python bitcoinlib_service.py URL`.

Prints the ids of its payments as JSON, by kind.
"""

import json
import sys

from bitcoinlib.keys import HDKey
from bitcoinlib.services.bitcoind import BitcoindClient
from bitcoinlib.transactions import Transaction

client = BitcoindClient(network="regtest", base_url=sys.argv[1])
COIN, FEE = 100_000_000, 10_000


def check(is_true, what):
    if not is_true:
        raise SystemExit(what)


def mine(count=1):
    return client.proxy.generatetoaddress(count, client.proxy.getnewaddress())


mine(101)
sent = {}
# Of regtest it knows the bech32 prefix alone; the others are testnet's.
for kind, network in (("legacy", "testnet"), ("p2sh-segwit", "testnet"), ("segwit", "regtest")):
    key = HDKey(network=network, witness_type=kind)
    coin = client.proxy.sendtoaddress(key.address(), 1)
    check(client.mempool(coin) == [coin], "the coin waits")
    mine()
    found = client.gettransaction(coin)
    check(found.status == "confirmed" and found.input_total > 0, "the coin is confirmed")
    output = next(each for each in found.outputs if each.value == COIN)
    check(not client.isspent(coin, output.output_n), "the coin is there")
    spend = Transaction(network=network, witness_type="legacy" if kind == "legacy" else "segwit")
    spend.add_input(coin, output.output_n, keys=key, value=COIN, witness_type=kind)
    target = client.proxy.getnewaddress()
    script = client.proxy.validateaddress(target)["scriptPubKey"]
    spend.add_output(COIN - FEE, lock_script=script)
    spend.sign(key)
    check(spend.verify(), "it is signed")
    sent[kind] = client.sendrawtransaction(spend.raw_hex())["txid"]
    block = client.getblock(mine()[0])
    check(sent[kind] in [tx.txid for tx in block["txs"]], "it is in the block")
    check(client.isspent(coin, output.output_n), "the coin is spent")
    check(client.getbalance([target]) == COIN - FEE, "the node has it")
check(client.blockcount() == 107, "so many blocks")
check(client.getinfo()["chain"] == "regtest", "the chain's name")
json.dump(sent, sys.stdout)
