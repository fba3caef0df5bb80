"""Serving targets: where a promoted model is served, all behind the same small interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evergreen.deployment.errors import DeploymentError

if TYPE_CHECKING:
    from evergreen.registry.versions import ModelRegistry


class ServingTarget(Protocol):
    """A place that serves a model. Every call can be repeated after a kill without further effect."""

    name: str

    def stage(self, version: str) -> None:
        """Transfer a version to the target without serving it.

        Raises:
            DeploymentError: The transfer fails.
        """

    def set_traffic(self, version: str, share: float) -> None:
        """Route the given share (0 to 1) of requests to a version.

        Raises:
            DeploymentError: The target cannot serve that share.
        """

    def observe(self) -> dict[str, float]:
        """Return the share of requests that each version serves, as observed rather than as requested."""

    def finish(self, version: str) -> None:
        """Route all requests to a version, and verify it.

        Raises:
            DeploymentError: The version does not serve all requests.
        """

    def abort(self, version: str) -> None:
        """Undo the staging of a version; the others keep serving."""

    def prune(self, version: str) -> None:
        """Remove a version that was retired.

        Raises:
            DeploymentError: The version is being served.
        """


STAGE_TAG = "evergreen.stage"


class RegistryTarget:
    """The alias ``champion`` in the MLflow registry: loading ``models:/NAME@champion`` returns that version."""

    name = "registry"

    def __init__(self, registry: ModelRegistry) -> None:
        """Serve from this registry."""
        self._registry = registry

    def stage(self, version: str) -> None:
        """Tag the version as staged; its files are already in the registry."""
        self._registry.tag_version(version, STAGE_TAG, "staged")

    def set_traffic(self, version: str, share: float) -> None:
        """Move the alias for share 1; an alias supports no shares in between."""
        if share == 1.0:
            self._registry.move_alias(version)
        elif share != 0.0:
            raise DeploymentError(f"target 'registry': traffic share {share} of version {version}: an alias refers to a single version. Use 0 or 1.")

    def observe(self) -> dict[str, float]:
        """Return the version that the alias refers to."""
        version = self._registry.alias_version()
        return {version: 1.0} if version else {}

    def finish(self, version: str) -> None:
        """Move the alias and read it back."""
        self.set_traffic(version, 1.0)
        observed = self.observe()
        if observed != {version: 1.0}:
            raise DeploymentError(f"target 'registry': the alias was moved to version {version}, but refers to {', '.join(observed) or 'nothing'}. Run again.")
        self._registry.clear_tag(version, STAGE_TAG)

    def abort(self, version: str) -> None:
        """Remove the tag; the version remains in the registry."""
        self._registry.clear_tag(version, STAGE_TAG)

    def prune(self, version: str) -> None:
        """Remove the tag, if any; the registry keeps every version, so that it can be audited."""
        self._registry.clear_tag(version, STAGE_TAG)


CLOUD_SCHEME = "gs://"


def target_names(names: str) -> list[str]:
    """Return the target names in a comma-separated list, without duplicates.

    Raises:
        DeploymentError: A name is unknown, or the list is empty.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in wanted if name != RegistryTarget.name and not (name.startswith(CLOUD_SCHEME) and name.removeprefix(CLOUD_SCHEME).strip("/"))]
    if unknown or not wanted:
        raise DeploymentError(
            f"Unknown target {unknown[0] if unknown else ''!r} in deployment_targets {names!r}. Valid targets: {RegistryTarget.name}, "
            f"{CLOUD_SCHEME}bucket/prefix. Correct the parameter."
        )
    return wanted


def open_targets(names: str, registry: ModelRegistry) -> list[ServingTarget]:
    """Open the targets in a comma-separated list.

    Raises:
        DeploymentError: A name is unknown, or the list is empty.
        StateError: There are no credentials for a bucket.
    """
    from evergreen.deployment.cloud_target import GoogleCloudTarget

    return [GoogleCloudTarget(name, registry) if name.startswith(CLOUD_SCHEME) else RegistryTarget(registry) for name in target_names(names)]
