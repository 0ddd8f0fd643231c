"""The command `notarize`: prove by one payment that files were there, each with its own proof.

    misocoin notarize -from=robs-address contract.pdf photo.jpg
    misocoin notarize -upgrade contract.pdf.ots photo.jpg.ots

The proofs are written before the payment is: whatever happens, no payment is without its proofs.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, UsageError, run_group
from misocoin.cli.notary_headers import HEADERS, open_headers
from misocoin.cli.notary_node import PAYER_OPTIONS, payer_from
from misocoin.cli.notary_upgrade import DEPTH, complete_proof, depth_from, is_pending
from misocoin.cli.wallet_common import (
    NETWORK,
    PASSPHRASE,
    PLACE,
    node_from_text,
    open_folder,
    params_of,
    unlocked,
)
from misocoin.cli.wallet_desk import EXPIRY, FEERATE, TARGET, open_desk
from misocoin.errors import MisocoinError
from misocoin.http.errors import HttpError
from misocoin.notary.evidence import Evidence, check_proof
from misocoin.notary.files import (
    ProofFileError,
    check_free,
    digest_of_file,
    path_from_text,
    proof_path,
    read_proof,
    remove_proofs,
    replace_proof,
    write_proof,
)
from misocoin.notary.proof import PaymentAttestation, ProofError, bytes_from_proof
from misocoin.notary.tree import NONCE_SIZE, Stamped, stamp_digests, steps_to_txid
from misocoin.options import Kind, Option, flag_from_text
from misocoin.params import Params
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.templates import nulldata_script
from misocoin.wallet.keyfolder import KeyFolder
from misocoin.wallet.light.sender import sender_from_word

Values = Mapping[str, Any]

FROM = Option(
    "from",
    "Payment",
    "Which name or address of yours pays.",
    placeholder="name",
    default_text="the only one there is",
)

UPGRADE = Option(
    "upgrade",
    "Proof",
    "The words are proofs: complete those whose payment is mined.",
    flag_from_text,
    False,
    Kind.FLAG,
)


class Batch:
    """Files that are proven together."""

    def __init__(self, words: Sequence[str], params: Params) -> None:
        """Read the files. Raises UsageError or ProofFileError; nothing is written yet."""
        self._params = params
        files = [path_from_text(word) for word in words]
        self._proofs = [proof_path(path) for path in files]
        if len(set(self._proofs)) < len(files):
            raise UsageError("a file is named twice")
        for path in self._proofs:
            check_free(path)
        self._digests = [digest_of_file(path) for path in files]
        nonces = [os.urandom(NONCE_SIZE) for _ in files]
        self._stamped: Stamped = stamp_digests(self._digests, nonces)

    @property
    def root(self) -> bytes:
        """What the payment has to store."""
        return self._stamped.root

    def write(self, tx: Transaction, pay: Callable[[], None]) -> None:
        """Write the proofs and then have the payment made; where that fails, take them back."""
        to_txid = steps_to_txid(self.root, tx)
        pending = PaymentAttestation(self._params.genesis.hash)
        written: list[Path] = []
        try:
            for path, digest, steps in zip(
                self._proofs, self._digests, self._stamped.paths, strict=True
            ):
                write_proof(path, bytes_from_proof(digest, steps + to_txid, pending))
                written.append(path)
            pay()
        except HttpError as error:
            raise HttpError(
                f"{error}; the payment may have been made all the same, so the proofs stay"
            ) from error
        except MisocoinError:
            remove_proofs(written)
            raise

    def tell(self) -> None:
        """Say what was written."""
        for path in self._proofs:
            print(f"{path} is written, and complete once the payment is mined.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_group("misocoin", (COMMAND,), ("notarize", *words))


def _notarize(values: Values, words: tuple[str, ...]) -> int:
    if values["upgrade"]:
        return _upgrade(values, words)
    batch = Batch(words, params_of(values))
    if values["payer"] is not None:
        _pay_by_node(values, batch)
    else:
        _pay_from_keys(values, batch)
    batch.tell()
    return 0


def _pay_from_keys(values: Values, batch: Batch) -> None:
    folder = open_folder(values)
    sender = sender_from_word(folder, values["from"] or _only_name(folder))
    with open_desk(values, folder) as desk:
        plan = desk.plan(sender, [TxOut(0, nulldata_script(batch.root))])
        tx = sender.sign(plan, lambda keys: unlocked(keys, values)).tx
        batch.write(tx, lambda: desk.write_down(tx, "notary"))
        print(f"Payment {tx.txid_hex} is signed and written down.")
        desk.hand_out(tx.txid)


def _only_name(folder: KeyFolder) -> str:
    names = folder.all
    if len(names) != 1:
        raise UsageError("which name of yours pays? -from=<name>; or a node: -payer=<host:port>")
    return names[0].name


def _pay_by_node(values: Values, batch: Batch) -> None:
    with closing(payer_from(values, params_of(values))) as node:
        tx = node.sign(batch.root, values["feerate"])
        batch.write(tx, lambda: node.send(tx))
        print(f"Payment {tx.txid_hex} is made.")


def _upgrade(values: Values, words: Sequence[str]) -> int:
    """Complete what can be; the exit code is 1 where anything stays pending."""
    params, now = params_of(values), int(time.time())
    if values["payer"] is not None:
        place = values["payer"]
        host = f"[{place.host}]" if ":" in place.host else place.host
        text = host if place.port is None else f"{host}:{place.port}"
        values = {**values, "nodes": (node_from_text(text), *values["nodes"])}
    paths = [path_from_text(word) for word in words]
    failed = False
    with open_headers(values) as headers:
        for path in paths:
            try:
                proof = read_proof(path)
                pending = is_pending(proof)
                if pending:
                    proof = complete_proof(proof, headers, params, values["nodes"], now)
                evidence = check_proof(proof, headers, params, now)
                _check_depth(evidence, depth_from(values) if pending else 0)
                if pending:
                    replace_proof(path, proof.data)
                print(f"{path} is complete: block {evidence.height} holds it")
            except MisocoinError as error:
                failed = True
                where = "" if isinstance(error, ProofFileError) else f"{path}: "
                print(f"misocoin: {where}{error}", file=sys.stderr)
    return 1 if failed else 0


def _check_depth(evidence: Evidence, depth: int) -> None:
    missing = depth - evidence.confirmations
    if missing > 0:
        raise ProofError(
            f"block {evidence.height} holds it, which is written into the proof after {missing} "
            "more blocks (-depth): a reorg may still put the payment into another one"
        )


OPTIONS = (
    *(*PLACE, FROM, FEERATE, TARGET, EXPIRY, *NETWORK),
    *(*PAYER_OPTIONS, *PASSPHRASE, UPGRADE, DEPTH, HEADERS),
)

COMMAND = Command(
    "notarize",
    "Prove by a payment that files were there by now; each gets a proof beside it, FILE.ots.",
    _notarize,
    OPTIONS,
    "<file>...",
    1,
    None,
)
