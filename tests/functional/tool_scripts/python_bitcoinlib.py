"""Spend coins of every kind that python-bitcoinlib can sign: `python python_bitcoinlib.py URL`.

It knows no taproot signatures. Prints the ids of the spends as JSON, by kind.
"""

import hashlib
import json
import sys

import bitcoin
from bitcoin.core import (
    CMutableTransaction,
    CMutableTxIn,
    CMutableTxOut,
    COutPoint,
    CTransaction,
    CTxInWitness,
    CTxWitness,
    b2lx,
)
from bitcoin.core.script import (
    OP_0,
    OP_2,
    OP_3,
    OP_CHECKMULTISIG,
    SIGHASH_ALL,
    SIGVERSION_WITNESS_V0,
    CScript,
    CScriptWitness,
    SignatureHash,
)
from bitcoin.core.scripteval import SCRIPT_VERIFY_P2SH, VerifyScript
from bitcoin.rpc import InvalidAddressOrKeyError, JSONRPCError, Proxy, VerifyRejectedError
from bitcoin.wallet import CBitcoinAddress, CBitcoinSecret, P2PKHBitcoinAddress

bitcoin.SelectParams("regtest")
proxy = Proxy(service_url=sys.argv[1])

FEE = 10_000
REWARD = 50_0000_0000
keys = [
    CBitcoinSecret.from_secret_bytes(hashlib.sha256(bytes([number])).digest())
    for number in range(3)
]
key = keys[0]
own = P2PKHBitcoinAddress.from_pubkey(key.pub)
multisig = CScript([OP_2, *(one.pub for one in keys), OP_3, OP_CHECKMULTISIG])
program = CScript([OP_0, bitcoin.core.Hash160(key.pub)])
witness_program = CScript([OP_0, hashlib.sha256(multisig).digest()])
target = P2PKHBitcoinAddress.from_pubkey(keys[2].pub).to_scriptPubKey()


def signature(secret, script, spend, amount=None):
    version = {} if amount is None else {"sigversion": SIGVERSION_WITNESS_V0, "amount": amount}
    return secret.sign(SignatureHash(script, spend, 0, SIGHASH_ALL, **version)) + b"\x01"


def sign_legacy(spend):
    own_signature = signature(key, own.to_scriptPubKey(), spend)
    spend.vin[0].scriptSig = CScript([own_signature, key.pub])


def sign_multisig(spend):
    signatures = [signature(one, multisig, spend) for one in keys[1:]]
    spend.vin[0].scriptSig = CScript([OP_0, *signatures, multisig])


def put_witness(spend, *stack):
    spend.wit = CTxWitness([CTxInWitness(CScriptWitness(stack))])


def sign_segwit(spend):
    own_signature = signature(key, own.to_scriptPubKey(), spend, REWARD)
    put_witness(spend, own_signature, key.pub)


def sign_nested(spend):
    sign_segwit(spend)
    spend.vin[0].scriptSig = CScript([program])


def sign_witness_multisig(spend):
    signatures = [signature(one, multisig, spend, REWARD) for one in keys[:2]]
    put_witness(spend, b"", *signatures, multisig)


KINDS = {
    "p2pkh": (own.to_scriptPubKey(), sign_legacy),
    "p2sh multisig": (multisig.to_p2sh_scriptPubKey(), sign_multisig),
    "p2wpkh": (program, sign_segwit),
    "p2sh-p2wpkh": (program.to_p2sh_scriptPubKey(), sign_nested),
    "p2wsh multisig": (witness_program, sign_witness_multisig),
}

coins = {}
for kind, (script, _) in KINDS.items():
    address = str(CBitcoinAddress.from_scriptPubKey(script))
    (block_hash,) = proxy.call("generatetoaddress", 1, address)
    block = proxy.getblock(bitcoin.core.lx(block_hash))
    if proxy.getblockheader(block.GetHash()) != block.get_header():
        raise SystemExit("the header is not the block's")
    coins[kind] = COutPoint(block.vtx[0].GetTxid(), 0)
    if proxy.gettxout(coins[kind])["txout"].scriptPubKey != script:
        raise SystemExit(f"{kind}: the coin has another script")
proxy.call("generatetoaddress", 100, str(own))

sent = {}
for kind, (script, sign) in KINDS.items():
    spend = CMutableTransaction([CMutableTxIn(coins[kind])], [CMutableTxOut(REWARD - FEE, target)])
    sign(spend)
    if kind in ("p2pkh", "p2sh multisig"):
        VerifyScript(spend.vin[0].scriptSig, script, spend, 0, (SCRIPT_VERIFY_P2SH,))
    txid = proxy.sendrawtransaction(CTransaction.from_tx(spend))
    if txid not in proxy.getrawmempool():
        raise SystemExit(f"{kind}: it is not in the mempool")
    if proxy.getrawtransaction(txid).GetTxid() != txid:
        raise SystemExit(f"{kind}: another transaction came back")
    sent[kind] = b2lx(txid)

try:
    proxy.getrawtransaction(b"\x11" * 32)
except IndexError:
    pass
else:
    raise SystemExit("a transaction that is not there was shown")
wrong = CMutableTransaction([CMutableTxIn(coins["p2pkh"])], [CMutableTxOut(2 * REWARD, target)])
try:
    proxy.sendrawtransaction(CTransaction.from_tx(wrong))
except VerifyRejectedError:
    pass
else:
    raise SystemExit("more was spent than there is")
try:
    proxy.call("getblockheader", "11" * 32)
except InvalidAddressOrKeyError:
    pass
else:
    raise SystemExit("a block that is not there was shown")
try:
    proxy.call("nosuchmethod")
except JSONRPCError as error:
    if error.error["code"] != -32601:
        raise
else:
    raise SystemExit("a method that is not there was run")
proxy.call("generatetoaddress", 1, str(own))
block = proxy.getblock(proxy.getblockhash(proxy.getblockcount()))
if {b2lx(tx.GetTxid()) for tx in block.vtx[1:]} != set(sent.values()):
    raise SystemExit("the block does not have them")
json.dump(sent, sys.stdout)
