"""The platform file: cluster-specific settings, defined once instead of in every pipeline.

It sets node selectors, tolerations, accelerators, volumes and resource sizes for all steps or for individual steps.
`evergreen compile --platform FILE` writes them into the compiled pipeline with ``kfp-kubernetes``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evergreen.pipeline.loading import PipelineFileError
from evergreen.settings.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$", strict=False)]


_SUFFIXES = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_SUFFIXES |= {f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGTPE", start=1)}


def quantity(text: str) -> float:
    """Return the numeric value of a Kubernetes quantity, such as 536870912 for ``512Mi``."""
    number = text.rstrip("".join(_SUFFIXES))
    return float(number) * _SUFFIXES[text[len(number) :]]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Toleration(_Settings):
    """A taint that a step tolerates; the fields are those of Kubernetes."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Accelerator(_Settings):
    """GPUs or similar devices; ``type`` is the resource name, such as ``nvidia.com/gpu``."""

    type: str
    limit: int = Field(ge=1, le=64)


class Volume(_Settings):
    """A persistent volume claim by name, and its mount path in a step."""

    claim: str
    path: str = Field(pattern=r"^/")


class StepPlatform(_Settings):
    """Cluster settings of one step; settings that are not given keep the pipeline's values.

    A request above the step's default limit raises the limit, and a limit below the step's default request lowers the request.

    Attributes:
        node_selector: Labels that a node must have.
        tolerations: Taints that the step tolerates.
        accelerator: GPUs or similar devices.
        cpu_request: Kubernetes quantity.
        cpu_limit: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        memory_limit: Kubernetes quantity.
        timeout_seconds: Seconds after which the pod is stopped.
        run_as_user: User ID of the pod.
        run_as_group: Group ID of the pod.
        run_as_non_root: Whether the pod must not start as root.
        image_pull_secret: Name of the secret with the registry's credentials.
        volumes: Volume claims to mount.
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
                    f"{name}_limit {limit} is below {name}_request {request}, and Kubernetes rejects such a pod: raise the limit or lower the request"
                )
        return self


class Platform(_Settings):
    """The content of a platform file.

    Attributes:
        version: Version of the file format.
        every_step: Settings of all steps.
        steps: Settings of individual steps, by the name that `evergreen run` prints; these override ``every_step``.
    """

    version: Literal[1]
    every_step: StepPlatform = StepPlatform()
    steps: dict[str, StepPlatform] = {}

    def of_step(self, name: str) -> StepPlatform:
        """Return the settings of one step: its own settings override those of every step."""
        own = self.steps.get(name)
        if own is None:
            return self.every_step
        merged = {**self.every_step.model_dump(exclude_unset=True), **own.model_dump(exclude_unset=True)}
        for kind in ("cpu", "memory"):
            # A setting of the step itself overrides a bound that applies to all steps.
            given = own.model_fields_set & {f"{kind}_request", f"{kind}_limit"}
            request, limit = merged.get(f"{kind}_request"), merged.get(f"{kind}_limit")
            if len(given) == 1 and request is not None and limit is not None and quantity(limit) < quantity(request):
                merged[f"{kind}_limit"] = merged[f"{kind}_request"] = request if given == {f"{kind}_request"} else limit
        return StepPlatform(**merged)

    def check_steps(self, known: Iterable[str], path: Path) -> None:
        """Reject a step that the pipeline does not have.

        Raises:
            PipelineFileError: The file names an unknown step.
        """
        names = sorted(known)
        for name in self.steps:
            if name not in names:
                hint = f"Valid steps: {', '.join(names)}.{did_you_mean(name, names)}"
                raise PipelineFileError(f"platform file {path}: Unknown step {name!r}. {hint} Correct the name or remove it.")


def read_platform_file(path: Path) -> Platform:
    """Read a platform file.

    Raises:
        PipelineFileError: The file does not exist, is not YAML, or a field is unknown or has an invalid value.
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
        problems = error.errors()
        # A misspelt field often makes another one missing, so it is reported first.
        first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
        if first["type"] == "extra_forbidden":
            raise PipelineFileError(f"platform file {path}: {_unknown_field(first['loc'])}") from error
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise PipelineFileError(f"platform file {path}: {field} is {first['input']!r}: {first['msg']}.") from error


def _unknown_field(location: tuple[int | str, ...]) -> str:
    """Return the error text for a field that its section does not have."""
    parts: dict[int | str, type[_Settings]] = {"tolerations": Toleration, "accelerator": Accelerator, "volumes": Volume}
    # Under "steps", the second part is the name of a step.
    inside = location[2:-1] if location[0] == "steps" else location[1:-1]
    section = next((parts[part] for part in inside if part in parts), StepPlatform if len(location) > 1 else Platform)
    valid = list(section.model_fields)
    name = ".".join(str(part) for part in location)
    return f"Unknown field {name!r}. Valid fields: {', '.join(valid)}.{did_you_mean(str(location[-1]), valid)} Correct the name or omit it."
