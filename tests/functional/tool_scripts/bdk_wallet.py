"""A wallet of the Bitcoin Dev Kit on ElectrumX: `python bdk_wallet.py ELECTRUM-URL NODE-URL`.

It finds coins by descriptors with ranges, pays, and sees the payment confirmed. Prints what it
saw as JSON, by kind of wallet.
"""

import json
import sys
import time
import urllib.request
from base64 import b64encode
from urllib.parse import urlsplit

import bdkpython as bdk

electrum_url, node_url = sys.argv[1:3]
node = urlsplit(node_url)
login = b64encode(f"{node.username}:{node.password}".encode()).decode()
WORDS = "abandon " * 11 + "about"
KINDS = {"bip84": bdk.Descriptor.new_bip84, "bip86": bdk.Descriptor.new_bip86}
COIN, PAID, FEE = 100_000_000, 30_000_000, 1_000


def rpc(method, *params):
    body = json.dumps({"id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(
        f"http://{node.hostname}:{node.port}/", body, {"Authorization": f"Basic {login}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["result"]


client = bdk.ElectrumClient(electrum_url)
network = bdk.Network.REGTEST


def wallet_of(make):
    secret = bdk.DescriptorSecretKey(bdk.NetworkKind.TEST, bdk.Mnemonic.from_string(WORDS), "")
    ways = (bdk.KeychainKind.EXTERNAL, bdk.KeychainKind.INTERNAL)
    receiving, change = (make(secret, way, bdk.NetworkKind.TEST) for way in ways)
    return bdk.Wallet(receiving, change, network, bdk.Persister.new_in_memory())


def scan_until(wallet, confirmed, what):
    deadline = time.monotonic() + 60
    while True:
        request = wallet.start_full_scan().build()
        wallet.apply_update(client.full_scan(request, 5, 10, True))
        if wallet.balance().confirmed.to_sat() == confirmed:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"after a minute: {what}")
        time.sleep(0.1)


seen = {}
for kind, make in KINDS.items():
    wallet = wallet_of(make)
    own = wallet.reveal_next_address(bdk.KeychainKind.EXTERNAL).address
    rpc("sendtoaddress", str(own), 1)
    rpc("generatetoaddress", 1, rpc("getnewaddress"))
    scan_until(wallet, COIN, "the payment is seen")
    theirs = rpc("getnewaddress", "", "bech32m")
    target = bdk.Address(theirs, network).script_pubkey()
    builder = bdk.TxBuilder().add_recipient(target, bdk.Amount.from_sat(PAID))
    psbt = builder.fee_absolute(bdk.Amount.from_sat(FEE)).finish(wallet)
    if not wallet.sign(psbt):
        raise SystemExit("it cannot sign")
    txid = str(client.transaction_broadcast(psbt.extract_tx()))
    rpc("generatetoaddress", 1, rpc("getnewaddress"))
    scan_until(wallet, COIN - PAID - FEE, "its payment is confirmed")
    descriptor = wallet.public_descriptor(bdk.KeychainKind.EXTERNAL)
    seen[kind] = {"txid": txid, "address": str(own), "descriptor": descriptor}
json.dump(seen, sys.stdout)
