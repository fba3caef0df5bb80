"""The platform file: where a team's cluster differs, said once instead of in every pipeline.

It names node selectors, tolerations, accelerators, volumes and sizes for all steps or for single ones; `evergreen compile
--platform FILE` puts them into the compiled pipeline through ``kfp-kubernetes``.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evergreen.pipeline.loading import PipelineFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$", strict=False)]


_SUFFIXES = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_SUFFIXES |= {f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGTPE", start=1)}


def quantity(text: str) -> float:
    """Return the number that a Kubernetes quantity stands for, such as 536870912 for ``512Mi``."""
    number = text.rstrip("".join(_SUFFIXES))
    return float(number) * _SUFFIXES[text[len(number) :]]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Toleration(_Settings):
    """A taint that a step may run beside; the fields are those of Kubernetes."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Accelerator(_Settings):
    """GPUs or the like; ``type`` is the resource's name, such as ``nvidia.com/gpu``."""

    type: str
    limit: int = Field(ge=1, le=64)


class Volume(_Settings):
    """A persistent volume claim, by name, and where a step finds it."""

    claim: str
    path: str = Field(pattern=r"^/")


class StepPlatform(_Settings):
    """What one step gets from its cluster; what is left out stays as the pipeline has it.

    A request above a step's own limit raises the limit with it, and a limit below a step's own request lowers the request.

    Attributes:
        node_selector: Labels that a node must have.
        tolerations: Taints that do not keep the step away.
        accelerator: GPUs or the like.
        cpu_request: Kubernetes quantity.
        cpu_limit: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        memory_limit: Kubernetes quantity.
        timeout_seconds: Seconds after which the pod is stopped.
        run_as_user: User id of the pod.
        run_as_group: Group id of the pod.
        run_as_non_root: Refuse to start as root.
        image_pull_secret: Name of a secret with the registry's credentials.
        volumes: Claims to mount.
    """

    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []
    accelerator: Accelerator | None = None
    cpu_request: Quantity | None = None
    cpu_limit: Quantity | None = None
    memory_request: Quantity | None = None
    memory_limit: Quantity | None = None
    timeout_seconds: Annotated[int, Field(ge=1)] | None = None
    run_as_user: Annotated[int, Field(ge=1)] | None = None
    run_as_group: Annotated[int, Field(ge=0)] | None = None
    run_as_non_root: bool | None = None
    image_pull_secret: str | None = None
    volumes: list[Volume] = []

    @model_validator(mode="after")
    def _limits_are_no_smaller(self) -> StepPlatform:
        for name in ("cpu", "memory"):
            request, limit = getattr(self, f"{name}_request"), getattr(self, f"{name}_limit")
            if request is not None and limit is not None and quantity(limit) < quantity(request):
                raise ValueError(
                    f"{name}_limit {limit} is below {name}_request {request}, and Kubernetes refuses such a pod: raise the limit, or lower the request"
                )
        return self


class Platform(_Settings):
    """A whole platform file.

    Attributes:
        version: Of the format.
        every_step: For all steps.
        steps: For single steps, by the name that `evergreen run` prints; what is given here wins.
    """

    version: Literal[1]
    every_step: StepPlatform = StepPlatform()
    steps: dict[str, StepPlatform] = {}

    def of_step(self, name: str) -> StepPlatform:
        """Return the settings of one step: its own over those of every step."""
        own = self.steps.get(name)
        if own is None:
            return self.every_step
        merged = {**self.every_step.model_dump(exclude_unset=True), **own.model_dump(exclude_unset=True)}
        for kind in ("cpu", "memory"):
            # What is said for the step itself wins over a bound that stands for all.
            given = own.model_fields_set & {f"{kind}_request", f"{kind}_limit"}
            request, limit = merged.get(f"{kind}_request"), merged.get(f"{kind}_limit")
            if len(given) == 1 and request is not None and limit is not None and quantity(limit) < quantity(request):
                merged[f"{kind}_limit"] = merged[f"{kind}_request"] = request if given == {f"{kind}_request"} else limit
        return StepPlatform(**merged)

    def check_steps(self, known: Iterable[str], path: Path) -> None:
        """Refuse a step that the pipeline does not have.

        Raises:
            PipelineFileError: The file names an unknown step.
        """
        names = sorted(known)
        for name in self.steps:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"It has: {', '.join(names)}."
                raise PipelineFileError(f"platform file {path}: step {name!r}: the pipeline has no such step. {hint}")


def read_platform_file(path: Path) -> Platform:
    """Read a platform file.

    Raises:
        PipelineFileError: The file is absent, is no YAML, or a field is unknown or has the wrong value.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineFileError(f"platform file {path}: cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PipelineFileError(f"platform file {path}: is not YAML: {error}.") from error
    try:
        return Platform.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise PipelineFileError(f"platform file {path}: {field} is {first['input']!r}: {first['msg']}.") from error
