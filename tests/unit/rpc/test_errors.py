"""Our exceptions as RPC codes, and those as HTTP statuses."""

import pytest

from misocoin import errors
from misocoin.http.errors import Overloaded, RpcError
from misocoin.rpc.errors import http_status_from_code, rpc_error_from_exception


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ValidationError("bad-txns-vout-negative"), -26),
        (errors.MissingInputsError("bad-txns-inputs-missingorspent"), -25),
        (errors.ValidationError("txn-already-known"), -27),
        (errors.AmountError("x"), -3),
        (errors.AddressError("x"), -5),
        (errors.KeyFormatError("x"), -5),
        (errors.ParseError("x"), -22),
        (errors.NotFoundError("x"), -5),
        (errors.InsufficientFunds("x"), -6),
        (errors.WalletError("x"), -4),
        (errors.ConfigError("x"), -8),
        (errors.StoreError("x"), -20),
        (errors.MisocoinError("x"), -1),
        (Overloaded("x"), -32603),
        (RpcError(-99, "x"), -99),
        (ValueError("x"), -32603),
        (RecursionError("x"), -32603),
    ],
)
def test_every_error_has_its_code(error: Exception, code: int) -> None:
    assert rpc_error_from_exception(error).code == code


def test_a_broken_rule_begins_with_core_s_reject_string() -> None:
    error = rpc_error_from_exception(errors.ValidationError("bad-txns-vin-empty", "detail"))
    assert error.message == "bad-txns-vin-empty, detail"


def test_every_exception_of_the_package_is_mapped() -> None:
    def below(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    for kind in below(errors.MisocoinError):
        if kind.__module__ == errors.__name__ and kind is not errors.MisocoinError:
            code = rpc_error_from_exception(kind("x")).code
            assert code != -32603, kind
            assert (code == -1) is (kind is errors.NoDataError), kind


@pytest.mark.parametrize(("code", "status"), [(-32600, 400), (-32601, 404), (-5, 500), (-28, 500)])
def test_statuses(code: int, status: int) -> None:
    assert http_status_from_code(code) == status
