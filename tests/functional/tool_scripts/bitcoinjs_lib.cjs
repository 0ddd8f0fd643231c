// Spend coins of every kind, built by bitcoinjs-lib and sent by rpc-bitcoin:
// node bitcoinjs_lib.cjs MODULES USER PASSWORD PORT
// Prints the ids of the spends as JSON, by kind.
const { createRequire } = require("node:module");
const [modules, user, pass, port] = process.argv.slice(2);
const load = createRequire(modules + "/");
const bitcoin = load("bitcoinjs-lib");
const curve = load("tiny-secp256k1");
const { ECPairFactory } = load("ecpair");
const { RPCClient, RESTClient } = load("rpc-bitcoin");

const url = "http://127.0.0.1";
const node = new RPCClient({ url, port: Number(port), user, pass, timeout: 30000 });
const rest = new RESTClient({ url, port: Number(port), timeout: 30000 });
const network = bitcoin.networks.regtest;
bitcoin.initEccLib(curve);

const FEE = 10_000n;
const REWARD = 50_0000_0000n;
const ECPair = ECPairFactory(curve);
const keys = [21, 22, 23].map((number) => ECPair.fromPrivateKey(Buffer.alloc(32, number), { network }));
const [pubkey] = keys.map((key) => key.publicKey);
const internalPubkey = pubkey.subarray(1);
const pubkeys = keys.map((key) => key.publicKey);
const legacy = bitcoin.payments.p2pkh({ pubkey, network });
const segwit = bitcoin.payments.p2wpkh({ pubkey, network });
const nested = bitcoin.payments.p2sh({ redeem: segwit, network });
const multisig = bitcoin.payments.p2ms({ m: 2, pubkeys, network });
const hidden = bitcoin.payments.p2sh({ redeem: multisig, network });
const witness = bitcoin.payments.p2wsh({ redeem: multisig, network });
const taproot = bitcoin.payments.p2tr({ internalPubkey, network });
const leaf = bitcoin.script.compile([keys[1].publicKey.subarray(1), bitcoin.opcodes.OP_CHECKSIG]);
const redeem = { output: leaf, redeemVersion: 0xc0 };
const tree = { scriptTree: { output: leaf }, internalPubkey, network };
const scripted = bitcoin.payments.p2tr({ ...tree, redeem });
const tweaked = keys[0].tweak(bitcoin.crypto.taggedHash("TapTweak", internalPubkey));

const coin = (payment) => ({ witnessUtxo: { script: payment.output, value: REWARD } });
const KINDS = {
  p2pkh: [legacy, () => ({}), [keys[0]]],
  "p2sh multisig": [hidden, () => ({ redeemScript: multisig.output }), keys.slice(0, 2)],
  p2wpkh: [segwit, () => coin(segwit), [keys[0]]],
  "p2sh-p2wpkh": [nested, () => ({ ...coin(nested), redeemScript: segwit.output }), [keys[0]]],
  "p2wsh multisig": [
    witness, () => ({ ...coin(witness), witnessScript: multisig.output }), keys.slice(1),
  ],
  "p2tr key": [taproot, () => ({ ...coin(taproot), tapInternalKey: internalPubkey }), [tweaked]],
  "p2tr script": [
    scripted,
    () => ({
      ...coin(scripted),
      tapLeafScript: [
        { leafVersion: 0xc0, script: leaf, controlBlock: scripted.witness.at(-1) },
      ],
    }),
    [keys[1]],
  ],
};

function check(holds, what) {
  if (!holds) throw new Error(what);
}

async function refused(call, code) {
  try {
    await call();
  } catch (error) {
    check(error.code === code, `${error.code} ${error.message}, not ${code}`);
    return;
  }
  throw new Error(`nothing refused with ${code}`);
}

async function main() {
  const own = legacy.address;
  const coins = {};
  for (const [kind, [payment]] of Object.entries(KINDS)) {
    const [blockhash] = await node.generatetoaddress({ nblocks: 1, address: payment.address });
    const block = await node.getblock({ blockhash, verbosity: 2 });
    coins[kind] = { txid: block.tx[0].txid, hex: block.tx[0].hex };
    const served = await rest.getBlock({ hash: blockhash, format: "json" });
    check(served.hash === blockhash, "REST serves another block");
  }
  await node.generatetoaddress({ nblocks: 100, address: own });

  const sent = {};
  for (const [kind, [, about, signers]] of Object.entries(KINDS)) {
    const spend = new bitcoin.Psbt({ network });
    const { txid, hex } = coins[kind];
    const known = about();
    if (!known.witnessUtxo) known.nonWitnessUtxo = Buffer.from(hex, "hex");
    spend.addInput({ hash: txid, index: 0, ...known });
    spend.addOutput({ script: segwit.output, value: REWARD - FEE });
    for (const signer of signers) spend.signInput(0, signer);
    spend.finalizeAllInputs();
    const transaction = spend.extractTransaction();
    sent[kind] = await node.sendrawtransaction({ hexstring: transaction.toHex() });
    check(sent[kind] === transaction.getId(), `${kind}: another id`);
  }
  await refused(() => node.sendrawtransaction({ hexstring: "00" }), -22);
  await refused(() => node.getblockhash({ height: 10_000_000 }), -8);
  const [blockhash] = await node.generatetoaddress({ nblocks: 1, address: own });
  const raw = Buffer.from(await node.getblock({ blockhash, verbosity: 0 }), "hex");
  const block = bitcoin.Block.fromBuffer(raw);
  check(block.checkTxRoots() && block.checkProofOfWork(), "bitcoinjs-lib holds the block for bad");
  const mined = block.transactions.slice(1).map((one) => one.getId()).sort();
  check(String(mined) === String(Object.values(sent).sort()), "the block does not have them");
  const batch = await node.batch([
    { method: "getblockcount", id: 1 },
    { method: "nosuchmethod", id: 2 },
  ]);
  check(batch[0].result > 100 && batch[1].error.code === -32601, "the batch went wrong");
  process.stdout.write(JSON.stringify(sent));
}

main().catch((error) => {
  process.stderr.write(`${error.stack ?? JSON.stringify(error)}\n`);
  process.exitCode = 1;
});
