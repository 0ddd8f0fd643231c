"""Spend coins of every kind with bitcoin-utils: `python bitcoin_utils.py USER PASSWORD PORT`.

Prints the ids of the spends as JSON, by kind.
"""

import json
import sys

from bitcoinutils.keys import P2shAddress, PrivateKey
from bitcoinutils.proxy import NodeProxy, RPCException
from bitcoinutils.script import Script
from bitcoinutils.setup import setup
from bitcoinutils.transactions import Transaction, TxInput, TxOutput, TxWitnessInput

setup("regtest")
user, password, port = sys.argv[1:]
node = NodeProxy(user, password, host="127.0.0.1", port=int(port))

FEE = 10_000
REWARD = 50_0000_0000
keys = [PrivateKey(secret_exponent=number) for number in (11, 12, 13)]
key = keys[0]
public = key.get_public_key()
own = public.get_address()
multisig = Script([2, *(one.get_public_key().to_hex() for one in keys), 3, "OP_CHECKMULTISIG"])
multisig_witness = Script([1, public.to_hex(), 1, "OP_CHECKMULTISIG"])
leaf = Script([keys[1].get_public_key().to_x_only_hex(), "OP_CHECKSIG"])
tree = [[leaf]]
target = keys[2].get_public_key().get_segwit_address().to_script_pub_key()


def sign_legacy(spend):
    signature = key.sign_input(spend, 0, own.to_script_pub_key())
    spend.inputs[0].script_sig = Script([signature, public.to_hex()])


def sign_multisig(spend):
    signatures = [one.sign_input(spend, 0, multisig) for one in keys[:2]]
    spend.inputs[0].script_sig = Script(["OP_0", *signatures, multisig.to_hex()])


def sign_segwit(spend):
    signature = key.sign_segwit_input(spend, 0, own.to_script_pub_key(), REWARD)
    spend.witnesses.append(TxWitnessInput([signature, public.to_hex()]))


def sign_nested(spend):
    program = public.get_segwit_address().to_script_pub_key()
    spend.inputs[0].script_sig = Script([program.to_hex()])
    sign_segwit(spend)


def sign_witness_script(spend):
    signature = key.sign_segwit_input(spend, 0, multisig_witness, REWARD)
    spend.witnesses.append(TxWitnessInput(["", signature, multisig_witness.to_hex()]))


def sign_taproot(spend):
    signature = key.sign_taproot_input(spend, 0, [taproot.to_script_pub_key()], [REWARD])
    spend.witnesses.append(TxWitnessInput([signature]))


def sign_taproot_leaf(spend):
    from bitcoinutils.utils import ControlBlock

    signature = keys[1].sign_taproot_input(
        spend, 0, [hidden.to_script_pub_key()], [REWARD],
        script_path=True, tapleaf_script=leaf, tweak=False,
    )  # fmt: skip
    control = ControlBlock(public, scripts=tree, index=0, is_odd=hidden.is_odd())
    spend.witnesses.append(TxWitnessInput([signature, leaf.to_hex(), control.to_hex()]))


taproot = public.get_taproot_address()
hidden = public.get_taproot_address(tree)
nested = P2shAddress.from_script(public.get_segwit_address().to_script_pub_key())
KINDS = {
    "p2pkh": (own.to_string(), sign_legacy, False),
    "p2sh multisig": (P2shAddress.from_script(multisig).to_string(), sign_multisig, False),
    "p2wpkh": (public.get_segwit_address().to_string(), sign_segwit, True),
    "p2sh-p2wpkh": (nested.to_string(), sign_nested, True),
    "p2wsh": ("", sign_witness_script, True),
    "p2tr key": (taproot.to_string(), sign_taproot, True),
    "p2tr script": (hidden.to_string(), sign_taproot_leaf, True),
}

coins = {}
for kind, (address, _, _) in KINDS.items():
    if not address:
        script = multisig_witness.to_p2wsh_script_pub_key()
        address = node.decodescript(script.to_hex())["address"]
    (block,) = node.generatetoaddress(1, address)
    coins[kind] = node.getblock(block, 2)["tx"][0]["txid"]
node.generatetoaddress(100, own.to_string())

sent = {}
for kind, (_, sign, has_segwit) in KINDS.items():
    spend = Transaction(
        [TxInput(coins[kind], 0)], [TxOutput(REWARD - FEE, target)], has_segwit=has_segwit
    )
    sign(spend)
    raw = spend.serialize()
    (verdict,) = node.testmempoolaccept([raw])
    if not verdict["allowed"]:
        raise SystemExit(f"{kind}: {verdict}")
    sent[kind] = node.sendrawtransaction(raw)
    if sent[kind] != spend.get_txid():
        raise SystemExit(f"{kind}: another id")

spoilt = Transaction([TxInput("11" * 32, 0)], [TxOutput(1000, target)])
try:
    node.sendrawtransaction(spoilt.serialize())
except RPCException as error:
    if error.code != -25:
        raise
else:
    raise SystemExit("a coin that is not there was spent")
(block,) = node.generatetoaddress(1, own.to_string())
if set(node.getblock(block)["tx"][1:]) != set(sent.values()):
    raise SystemExit("the block does not have them")
json.dump(sent, sys.stdout)
