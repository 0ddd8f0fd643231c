"""The command `verify`: whether a file is the one that a proof is about, and since when.

    misocoin verify contract.pdf                  # and contract.pdf.ots beside it
    misocoin verify contract.pdf elsewhere.ots

Offline, against the headers that the light wallet has checked; or against those of a file or of
nodes. Exit code 0 where the proof holds, and 1 where it does not, or not yet.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, run_group
from misocoin.cli.notary_headers import HEADERS, open_headers
from misocoin.cli.notary_upgrade import DEPTH, complete_proof, depth_from, is_pending
from misocoin.cli.wallet_common import NODES, PLACE, params_of
from misocoin.consensus.block_rules import MEDIAN_TIME_SPAN
from misocoin.notary.evidence import Evidence, check_digest, check_proof
from misocoin.notary.files import (
    ProofFileError,
    check_readable,
    digest_of_file,
    file_and_proof,
    path_from_text,
    read_proof,
    replace_proof,
)
from misocoin.params import Params


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_group("misocoin", (COMMAND,), ("verify", *words))


def _verify(values: Mapping[str, Any], words: tuple[str, ...]) -> int:
    if len(words) > 1:
        file, path = path_from_text(words[0]), path_from_text(words[1])
    else:
        file, path = file_and_proof(words[0])
    params, now = params_of(values), int(time.time())
    check_readable(file)
    proof = read_proof(path)
    check_digest(proof, digest_of_file(file, proof.op))
    with open_headers(values) as headers:
        pending = is_pending(proof)
        if pending:
            proof = complete_proof(proof, headers, params, values["nodes"], now)
        evidence = check_proof(proof, headers, params, now)
    if pending and evidence.confirmations >= depth_from(values):
        _keep(path, proof.data)
    print("\n".join([f"{file}: the proof holds.", *_lines(evidence, params)]))
    return 0


def _keep(path: Path, data: bytes) -> None:
    try:
        replace_proof(path, data)
    except ProofFileError as error:
        print(f"Warning: the proof stays pending: {error}", file=sys.stderr)


def _lines(evidence: Evidence, params: Params) -> list[str]:
    height, count = evidence.height, evidence.confirmations
    first, last = height + 1, height + MEDIAN_TIME_SPAN
    if evidence.bound is not None:
        bound = (
            f"It was there by {_time_text(evidence.bound)}: the median time of blocks {first} to "
            f"{last}, which were mined later. That is wrong only if six of these eleven have "
            "times that are too early."
        )
    else:
        bound = (
            f"No bound on the time yet that needs more than one miner's word: that takes "
            f"{evidence.missing} more blocks."
        )
    return [
        f"Block {height} of chain {params.name} holds it: {evidence.block_hash[::-1].hex()}",
        f"Its miner wrote {_time_text(evidence.header_time)} into the header.",
        bound,
        f"{count} confirmation{'s' if count != 1 else ''}; to replace them takes about "
        f"2^{math.log2(evidence.work):.1f} hashes.",
    ]


def _time_text(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


COMMAND = Command(
    "verify",
    "Check a file and its proof against headers alone.",
    _verify,
    (*PLACE, HEADERS, NODES, DEPTH),
    "<file> [<proof>]",
    1,
    2,
)
