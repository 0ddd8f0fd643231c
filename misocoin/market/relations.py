"""What a participant publicly says of another: that it trusts it, or works for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from misocoin.market.documents import relation_document
from misocoin.market.errors import Malformed
from misocoin.market.moments import Moment


class RelationType(Enum):
    """The kinds of relation; the value is the name on the wire."""

    TRUSTS = "trusts"
    """The market's trusted account has this one to sellers of `~trusted` articles."""
    WORKS_FOR = "worksfor"


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation, as its source signed it last."""

    source: str
    type: RelationType
    target: str
    enabled: bool
    document: str
    signature: str
    modified: Moment


def relation_type_from_name(name: str) -> RelationType:
    """Read a kind of relation. Raises Malformed."""
    try:
        return RelationType(name)
    except ValueError:
        raise Malformed("type must be trusts or worksfor") from None


def relation_document_from_form(form: Mapping[str, str]) -> str:
    """The text that the source of a relation signs. Raises Malformed for what cannot be one."""
    missing = sorted({"source", "type", "target", "enabled", "nonce"} - set(form))
    if missing:
        raise Malformed(f"Missing argument: {missing[0]}")
    if form["enabled"] not in ("true", "false", "on"):
        raise Malformed("enabled must be true, on or false")
    return relation_document(
        form["enabled"], form["nonce"], form["source"], form["target"], form["type"]
    )
