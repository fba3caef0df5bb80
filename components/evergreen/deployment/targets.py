"""Serving targets: where a promoted model goes, each behind the same small interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evergreen.deployment.errors import DeploymentError

if TYPE_CHECKING:
    from evergreen.registry.versions import ModelRegistry


class ServingTarget(Protocol):
    """A place that serves a model. Every call may be repeated after a kill and then changes nothing more."""

    name: str

    def stage(self, version: str) -> None:
        """Bring a version there without serving it.

        Raises:
            DeploymentError: It cannot be brought there.
        """

    def set_traffic(self, version: str, share: float) -> None:
        """Let a version answer the given share (0 to 1) of requests.

        Raises:
            DeploymentError: The target cannot serve that share.
        """

    def observe(self) -> dict[str, float]:
        """Return the share of requests that each version answers, as observed and not as asked for."""

    def finish(self, version: str) -> None:
        """Let a version answer all requests, and see that it does.

        Raises:
            DeploymentError: It does not.
        """

    def abort(self, version: str) -> None:
        """Take a staged version back; the others keep serving."""

    def prune(self, version: str) -> None:
        """Remove a version that was retired.

        Raises:
            DeploymentError: It is served.
        """


STAGE_TAG = "evergreen.stage"


class RegistryTarget:
    """The alias ``champion`` in the MLflow registry: whoever loads ``models:/NAME@champion`` gets that version."""

    name = "registry"

    def __init__(self, registry: ModelRegistry) -> None:
        """Serve from this registry."""
        self._registry = registry

    def stage(self, version: str) -> None:
        """Mark the version as staged; its files are in the registry already."""
        self._registry.tag_version(version, STAGE_TAG, "staged")

    def set_traffic(self, version: str, share: float) -> None:
        """Move the alias for share 1; an alias has no other shares."""
        if share == 1.0:
            self._registry.move_alias(version)
        elif share != 0.0:
            raise DeploymentError(f"target 'registry': traffic share {share} of version {version}: an alias names one version; expected 0 or 1.")

    def observe(self) -> dict[str, float]:
        """Return the version that the alias names."""
        version = self._registry.alias_version()
        return {version: 1.0} if version else {}

    def finish(self, version: str) -> None:
        """Move the alias and read it back."""
        self.set_traffic(version, 1.0)
        observed = self.observe()
        if observed != {version: 1.0}:
            raise DeploymentError(f"target 'registry': the alias was moved to version {version}, but names {', '.join(observed) or 'nothing'}. Run again.")
        self._registry.clear_tag(version, STAGE_TAG)

    def abort(self, version: str) -> None:
        """Take the mark away; the version stays in the registry."""
        self._registry.clear_tag(version, STAGE_TAG)

    def prune(self, version: str) -> None:
        """Take the mark away, if one was left; the registry keeps every version, so that it can be audited."""
        self._registry.clear_tag(version, STAGE_TAG)


CLOUD_SCHEME = "gs://"


def target_names(names: str) -> list[str]:
    """Return the targets that a comma-separated list names, each once.

    Raises:
        DeploymentError: A name is unknown, or there is none.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in wanted if name != RegistryTarget.name and not (name.startswith(CLOUD_SCHEME) and name.removeprefix(CLOUD_SCHEME).strip("/"))]
    if unknown or not wanted:
        raise DeploymentError(
            f"deployment_targets {names!r}: {unknown[0] if unknown else 'nothing'!r} is no target; expected one or more of: {RegistryTarget.name}, "
            f"{CLOUD_SCHEME}bucket/prefix. Correct the parameter."
        )
    return wanted


def open_targets(names: str, registry: ModelRegistry) -> list[ServingTarget]:
    """Return the targets that a comma-separated list names.

    Raises:
        DeploymentError: A name is unknown, or there is none.
        StateError: There are no credentials for a bucket.
    """
    from evergreen.deployment.cloud_target import GoogleCloudTarget

    return [GoogleCloudTarget(name, registry) if name.startswith(CLOUD_SCHEME) else RegistryTarget(registry) for name in target_names(names)]
