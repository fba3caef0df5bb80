"""What KFP refuses, and in which words: as recorded, and for uploads, tags and logs as its source says."""

from __future__ import annotations

from typing import Any

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}
"""The code in the body by the HTTP status: gRPC has numbers of its own."""


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, *, detail: str | None = None, by_hand: bool = False) -> None:
        """Say why.

        Args:
            status: HTTP status.
            message: What the server says.
            detail: The innermost reason.
            by_hand: It is an answer of uploads or logs, which do not go through the gateway that makes the others.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.detail = detail or message
        self.by_hand = by_hand

    def body(self) -> dict[str, Any]:
        if self.by_hand:
            return {"error_message": self.message, "error_details": f"{self.message}\n{self.detail}"}
        code = CODES[self.status]
        return {"code": code, "message": self.message, "details": [{"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": self.detail}]}


def no_run(run_id: str) -> RefusedError:
    detail = f"Run {run_id} not found"
    return RefusedError(404, f"Failed to get a run: Failed to fetch run {run_id}: ResourceNotFoundError: {detail}", detail=detail)


def no_schedule(recurring_run_id: str) -> RefusedError:
    detail = f"Job {recurring_run_id} not found"
    return RefusedError(404, f"Failed to fetch a recurring run: ResourceNotFoundError: {detail}", detail=detail)


def no_pipeline(pipeline_id: str) -> RefusedError:
    detail = f"Pipeline {pipeline_id} not found"
    message = f"Failed to get a pipeline {pipeline_id}. Check error stack: Failed to get a pipeline with id {pipeline_id}: ResourceNotFoundError: {detail}"
    return RefusedError(404, message, detail=detail)


def check_tags(tags: dict[str, str]) -> None:
    """Refuse tags as the server does."""
    problems = [f"number of tags ({len(tags)}) exceeds maximum of 20 per entity"] if len(tags) > 20 else []
    for key, value in tags.items():
        if not key:
            problems.append("tag key cannot be empty")
        if "." in key:
            problems.append(f"tag key \"{key}\" must not contain '.' character")
        if len(key) > 63:
            problems.append(f'tag key "{key}" exceeds maximum length of 63 characters')
        if len(value) > 63:
            problems.append(f'tag value "{value}" for key "{key}" exceeds maximum length of 63 characters')
    if problems:
        raise RefusedError(400, problems[0], by_hand=True)
