// Ask a node all that an explorer asks, by one of the libraries that explorers call nodes with:
// node explorer_calls.cjs MODULES USER PASSWORD PORT
// MODULES has bitcoin-core or jayson. Prints the names of the methods as JSON.
const { existsSync } = require("node:fs");
const { createRequire } = require("node:module");
const [modules, username, password, port] = process.argv.slice(2);
const load = createRequire(modules + "/");

// btc-rpc-explorer until 3.4: each call is a batch of one.
function byBitcoinCore() {
  const Client = load("bitcoin-core");
  const host = `http://127.0.0.1:${port}`;
  const silent = { debug() {}, error() {}, info() {}, trace() {}, warn() {} };
  const logger = { ...silent, child: () => silent };
  const node = new Client({ host, username, password, timeout: 30000, logger });
  return async (method, parameters) => {
    const [result] = await node.command([{ method, parameters }]);
    if (result instanceof Error) throw new Error(`${method}: ${result.message}`);
    return result;
  };
}

// btc-rpc-explorer 3.5: JSON-RPC 2.0.
function byJayson() {
  const auth = `${username}:${password}`;
  const node = load("jayson/promise").Client.http({ host: "127.0.0.1", port, auth });
  return async (method, parameters) => {
    const answer = await node.request(method, parameters);
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  };
}

const call = existsSync(modules + "/jayson") ? byJayson() : byBitcoinCore();
const asked = [];

function check(holds, what) {
  if (!holds) throw new Error(what);
}

function ask(method, ...parameters) {
  asked.push(method);
  return call(method, parameters);
}

async function main() {
  const network = await ask("getnetworkinfo");
  check(/^\/[^:]+:\d+\.\d+\.\d+/.test(network.subversion), `subversion ${network.subversion}`);
  const chain = await ask("getblockchaininfo");
  check(chain.chain === "regtest" && chain.pruned === false, "another chain");
  const { txindex } = await ask("getindexinfo");
  check(txindex.synced === true, "txindex");
  await Promise.all([
    ask("getmempoolinfo"), ask("getmininginfo"), ask("getnettotals"), ask("uptime"),
    ask("getdeploymentinfo"), ask("getblockcount"), ask("listwallets"), ask("getpeerinfo"),
    ask("estimatesmartfee", 6, "CONSERVATIVE"), ask("getnetworkhashps", 144),
    ask("getchaintxstats", chain.blocks - 1), ask("gettxoutsetinfo"),
  ]);
  const template = await ask("getblocktemplate", { rules: ["segwit"] });
  check(template.height === chain.blocks + 1, "the template's height");

  const blockhash = await ask("getblockhash", chain.blocks);
  const block = await ask("getblock", blockhash);
  const header = await ask("getblockheader", blockhash);
  check(header.nTx === block.tx.length, "the header's nTx");
  const stats = await ask("getblockstats", blockhash);
  check(stats.txs === block.tx.length && stats.height === block.height, "the block's figures");
  const coinbase = await ask("getrawtransaction", block.tx[0], 1, blockhash);
  check("coinbase" in coinbase.vin[0], "the coinbase");
  const decoded = await ask("decoderawtransaction", coinbase.hex);
  check(decoded.txid === coinbase.txid, "the coinbase, decoded");
  await ask("decodescript", coinbase.vout[0].scriptPubKey.hex);
  const { address } = coinbase.vout[0].scriptPubKey;
  check((await ask("validateaddress", address)).isvalid === true, "the address");
  check((await ask("gettxout", block.tx[0], 0)).coinbase === true, "the output");

  const [waiting] = await ask("getrawmempool", false);
  const entry = await ask("getmempoolentry", waiting);
  check(entry.vsize > 0 && entry.fees.modified > 0 && entry.weight > 0, "the entry");
  await ask("getmempoolancestors", waiting);
  await ask("getmempooldescendants", waiting);
  const mine = await ask("gettransaction", waiting, true, true);
  check(mine.decoded.txid === waiting, "the wallet's transaction");

  const help = await ask("help");
  for (const method of asked) {
    check(help.split("\n").some((line) => line.split(" ")[0] === method), `no help on ${method}`);
  }
  process.stdout.write(JSON.stringify(asked));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
