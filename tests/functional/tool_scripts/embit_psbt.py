"""Sign and finish a PSBT: `python embit_psbt.py FILE [WORDS]`.

Prints how many signatures the words have added, the file with them, and the transaction if that
is complete. Without words it only finishes.
"""

import json
import sys
from pathlib import Path

from embit import bip32, bip39
from embit.finalizer import finalize_psbt
from embit.networks import NETWORKS
from embit.psbt import PSBT

name, *words = sys.argv[1:]
psbt = PSBT.from_base64(Path(name).read_text().strip())
psbt.verify(ignore_missing=True)  # a taproot coin needs no more than its output
count = 0
if words:
    seed = bip39.mnemonic_to_seed(words[0])
    count = psbt.sign_with(bip32.HDKey.from_seed(seed, version=NETWORKS["regtest"]["xprv"]))
final = finalize_psbt(PSBT.from_base64(psbt.to_base64()))
transaction = None if final is None else final.serialize().hex()
json.dump({"count": count, "psbt": psbt.to_base64(), "transaction": transaction}, sys.stdout)
