"""Chooses the contract: the given one, or else the champion's, or else one inferred from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evergreen.data.artifacts import is_present
from evergreen.settings.reading import read_text
from evergreen.storage.uris import is_nothing
from evergreen.validation.contract import Contract
from evergreen.validation.errors import ContractError
from evergreen.validation.inference import infer_contract, inference_comments

if TYPE_CHECKING:
    from evergreen.validation.frame import LoadedData

Origin = Literal["given", "champion", "inferred"]


@dataclass(frozen=True)
class ChosenContract:
    """A contract, its text including comments, and its origin."""

    contract: Contract
    text: str
    origin: Origin


def choose_contract(given: str, champion_contract: Any, data: LoadedData, *, timestamp_column: str) -> ChosenContract:
    """Return the contract that applies.

    Args:
        given: ``inferred``, inline YAML, or the path or ``gs://`` or ``s3://`` URI of a YAML file.
        champion_contract: Artifact with the champion's contract; None or absent if there is no champion.
        data: Data to infer a contract from if there is no other.
        timestamp_column: Name of the event time column.

    Raises:
        ContractError: The contract cannot be read.
    """
    if not is_nothing(given) and given.strip() != "inferred":
        text = given if _is_in_line(given) else read_contract_text(given.strip())
        return ChosenContract(Contract.from_yaml(text, origin="contract"), text, "given")
    if champion_contract is not None and is_present(champion_contract):
        text = read_contract_text(champion_contract.path)
        return ChosenContract(Contract.from_yaml(text, origin="the champion's contract"), text, "champion")
    contract = infer_contract(data, timestamp_column=timestamp_column)
    return ChosenContract(contract, contract.to_yaml(inference_comments(len(data.frame))), "inferred")


def _is_in_line(text: str) -> bool:
    return "\n" in text.strip() or text.strip().startswith("{") or ": " in text


def read_contract_text(location: str) -> str:
    """Return the text of a contract at a path or ``gs://`` or ``s3://`` URI.

    Raises:
        ContractError: The contract cannot be read.
    """
    expected = "'inferred', inline YAML, or the path or gs:// or s3:// URI of a YAML file"
    return read_text(location, thing=f"contract {location!r}:", expected=expected, error=ContractError)
