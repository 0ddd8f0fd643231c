"""Whose coins a payment of the light wallet spends, and where its change goes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from misocoin.errors import InsufficientFunds, WalletError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.signing import KeyRing
from misocoin.wallet.addresses import OwnAddress
from misocoin.wallet.bumping import Offer, plan_bump
from misocoin.wallet.keyfolder import KeyFolder, NamedKeys
from misocoin.wallet.light.wallet import LightWallet
from misocoin.wallet.spending import (
    Payment,
    Plan,
    explain_shortage,
    plan_payment,
    plan_sweep,
    sign_plan,
)


class Sender(NamedTuple):
    """Who pays."""

    names: tuple[NamedKeys, ...]
    """Whose keys may have to sign."""
    scripts: Mapping[bytes, OwnAddress]
    """The output scripts whose coins may be spent."""
    change: bytes
    """The output script that gets what is left."""

    def plan(
        self,
        wallet: LightWallet,
        outputs: Sequence[TxOut],
        sink: bytes | None,
        rate: FeeRate,
        maturity: int,
        now: int,
    ) -> Plan:
        """A payment, with `sink` of everything there is. Raises InsufficientFunds, WalletError."""
        coins = wallet.coins(now, self.scripts)
        try:
            if sink is not None:
                return plan_sweep(outputs, sink, coins, self._weight, rate, wallet.height)
            return plan_payment(outputs, coins, self._weight, self.change, rate, wallet.height)
        except InsufficientFunds as error:
            balance = wallet.balance(now, self.scripts)
            raise InsufficientFunds(explain_shortage(str(error), balance, maturity)) from None

    def plan_bump(self, wallet: LightWallet, offer: Offer, rate: FeeRate | None, now: int) -> Plan:
        """A payment in the place of one that waits. Raises InsufficientFunds or WalletError."""
        coins = wallet.coins(now, self.scripts)
        return plan_bump(offer, coins, self._weight, self.change, rate, wallet.height)

    def _weight(self, script: bytes) -> int:
        return self.scripts[script].input_weight

    def sign(self, plan: Plan, unlock: Callable[[NamedKeys], object]) -> Payment:
        """Sign with all keys it takes, each of which is unlocked first.

        Raises WalletLocked or WalletError.
        """
        rings = []
        for keys in self.names:
            own = [script for script in plan.scripts if script in keys.keychain.scripts]
            if own:
                unlock(keys)
                rings.append(keys.keychain.ring_for(own))
        return sign_plan(plan, KeyRing.of(rings))


def sender_from_word(folder: KeyFolder, word: str, *, spends_any: bool = False) -> Sender:
    """Who is meant by a name (all its coins are), or by an address (its coins alone are).

    What a wallet of words does not spend goes to a fresh address of it, or back to the address
    that was named. With `spends_any` all keys of the folder help to pay. Raises NotFoundError or
    AddressError.
    """
    keys = folder.find(word)
    scripts: Mapping[bytes, OwnAddress] = keys.keychain.scripts
    if keys.name == word:
        change = keys.keychain.change_script()
    else:
        change = scripts[folder.script_of(word)].counts_for
        scripts = _those_of(scripts, [change])
    if not spends_any:
        return Sender((keys,), scripts, change)
    helpers = [each for each in folder.all if not each.keychain.is_watch_only]
    for each in helpers:
        scripts = {**scripts, **each.keychain.scripts}
    return Sender((keys, *[each for each in helpers if each.name != keys.name]), scripts, change)


def sender_of_tx(folder: KeyFolder, tx: Transaction, spent: Sequence[TxOut]) -> Sender:
    """Who has made a payment, as far as it shows. Raises WalletError where it is not the folder's.

    Where the change went back to an address that was spent from, that address alone has paid.
    """
    paid_from = {output.script_pubkey for output in spent}
    names = [each for each in folder.all if paid_from & each.keychain.scripts.keys()]
    if not all(any(script in each.keychain.scripts for each in names) for script in paid_from):
        raise WalletError("not all coins of that payment are of this folder's names")
    scripts = {s: own for each in names for s, own in each.keychain.scripts.items()}
    mains = {scripts[script].counts_for for script in paid_from}
    back = [output.script_pubkey for output in tx.vout if output.script_pubkey in mains]
    if back:
        return Sender(tuple(names), _those_of(scripts, mains), back[0])
    return Sender(tuple(names), scripts, names[0].keychain.change_script())


def change_place(outputs: Sequence[TxOut], sender: Sender) -> int | None:
    """Which output comes back to the sender: the largest of those that may; None without any."""
    places = [
        place
        for place, output in enumerate(outputs)
        if output.script_pubkey == sender.change
        or any(each.keychain.is_change(output.script_pubkey) for each in sender.names)
    ]
    return max(places, key=lambda place: outputs[place].value, default=None)


def _those_of(
    scripts: Mapping[bytes, OwnAddress], mains: Collection[bytes]
) -> Mapping[bytes, OwnAddress]:
    return {script: own for script, own in scripts.items() if own.counts_for in mains}
