"""The described models of KFP's API: what of a request is refused, what an answer holds, and which entries a filter lets through."""

from __future__ import annotations

import json
import re
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import unquote_plus

import kfp_server_api as api

from submission.kfp_refusals import RefusedError
from submission.kfp_runs import NEVER, text_of

PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check_fields(body: Any, kind: str) -> None:
    """Refuse what the described model does not know: another name or another type."""
    if kind == "object":
        return
    if listed := re.match(r"(list\[|dict\(str, )(.*)[\])]$", kind):
        for value in body.values() if isinstance(body, dict) else body:
            check_fields(value, listed[2])
    elif kind in PLAIN:
        if not isinstance(body, PLAIN[kind]):
            raise RefusedError(400, f"expected {kind}, found {body!r}")
    elif kind == "datetime":
        datetime.fromisoformat(body.replace("Z", "+00:00"))
    else:
        _check_model(body, kind)


def _check_model(body: Any, kind: str) -> None:
    model = getattr(api, kind)
    if not isinstance(body, dict):
        if body not in model.allowable_values:
            raise RefusedError(400, f"{body!r} is not one of {model.allowable_values}")
        return
    names = {given: own for own, given in model.attribute_map.items()}
    for name, value in body.items():
        if name not in names:
            raise RefusedError(400, f"{kind} has no field {name!r}")
        check_fields(value, model.openapi_types[names[name]])


class Body:
    """What came with a request."""

    def __init__(self, content: bytes, content_type: str) -> None:
        self._content = content
        self._content_type = content_type

    def model(self, kind: str) -> Any:
        fields = json.loads(self._content)
        check_fields(fields, kind)
        return api.ApiClient().deserialize(type("Response", (), {"data": json.dumps(fields)}), kind)

    def file(self) -> str:
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {self._content_type}\r\n\r\n".encode() + self._content)
        part = next(part for part in message.iter_parts() if part.get_param("name", header="content-disposition") == "uploadfile")
        return part.get_payload(decode=True).decode()


def fill_in(entry: Any) -> None:
    """Give an entry the fields that a real server tells of it without being asked."""
    if isinstance(entry, api.V2beta1Run):
        entry.storage_state = entry.storage_state or "AVAILABLE"
        entry.scheduled_at = entry.scheduled_at or entry.created_at
        entry.finished_at = entry.finished_at or NEVER
        entry.state_history = entry.state_history or [api.V2beta1RuntimeStatus(update_time=entry.created_at, state=entry.state)]
    elif isinstance(entry, api.V2beta1Experiment):
        entry.storage_state = entry.storage_state or "AVAILABLE"
        entry.last_run_created_at = entry.last_run_created_at or NEVER
    elif isinstance(entry, api.V2beta1RecurringRun):
        entry.updated_at = entry.updated_at or entry.created_at
        entry.namespace = entry.namespace or "kubeflow"
        entry.mode = entry.status.removesuffix("D")
    elif isinstance(entry, api.V2beta1Pipeline):
        entry.name = entry.name or entry.display_name
        entry.namespace = entry.namespace or "kubeflow"


def matches(entry: Any, filter_text: str | None) -> bool:
    if not filter_text:
        return True
    # A real server decodes a filter once more than other arguments.
    for predicate in json.loads(unquote_plus(filter_text))["predicates"]:
        if predicate["operation"] not in {"EQUALS", "IS_SUBSTRING"} or set(predicate) != {"operation", "key", "stringValue"}:
            raise RefusedError(400, f"predicate {predicate} is not understood")
        held, wanted = str(getattr(entry, predicate["key"]) or "").lower(), predicate["stringValue"].lower()
        if not (held == wanted if predicate["operation"] == "EQUALS" else wanted in held):
            return False
    return True


def told(answered: Any) -> Any:
    """Return an answer as a real server writes it: without fields that have no value, with times that end in Z."""
    if isinstance(answered, dict):
        return {name: told(value) for name, value in answered.items() if value is not None}
    if isinstance(answered, list):
        return [told(value) for value in answered]
    if isinstance(answered, datetime):
        return text_of(answered)
    if hasattr(answered, "openapi_types"):
        return told({answered.attribute_map[name]: getattr(answered, name) for name in answered.openapi_types})
    return answered
