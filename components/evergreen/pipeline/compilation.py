"""Compiles pipelines to KFP's YAML, with a team's own images if given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.images import IMAGES, REPOSITORY
from evergreen.pipeline.loading import PipelineFileError, load_pipeline
from evergreen.pipeline.platform import read_platform_file
from evergreen.pipeline.pod_count import PodCount, count_pods
from evergreen.pipeline.workflow_size import WorkflowSize, estimate_workflow
from evergreen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp.compiler.compiler_utils import KubernetesManifestOptions
    from kfp.dsl.graph_component import GraphComponent


@dataclass(frozen=True)
class KubernetesObjects:
    """Compile to ``pipelines.kubeflow.org/v2beta1`` objects instead of the plain specification, for GitOps.

    Attributes:
        namespace: Namespace of the objects; None to set it when they are applied.
    """

    namespace: str | None = None


@dataclass(frozen=True)
class RunCost:
    """The cost of a run of a compiled pipeline.

    Attributes:
        pods: Number of pods on a quiet day, and on the longest path through all branches.
        workflow: Estimated size of its Workflow.
    """

    pods: PodCount
    workflow: WorkflowSize

    def __str__(self) -> str:
        """Return two lines, or three if there is a warning."""
        lines = [str(self.pods), f"Estimated size of the longest run's Workflow: {self.workflow}", self.workflow.warning]
        return "\n".join(filter(None, lines))


def compile_pipeline(
    pipeline_file: Path,
    output: Path,
    *,
    image_registry: str | None = None,
    digests: Path | None = None,
    platform_file: Path | None = None,
    objects: KubernetesObjects | None = None,
) -> RunCost:
    """Compile the pipeline in a Python file.

    Args:
        pipeline_file: Python file that defines one pipeline.
        output: The YAML file to write.
        image_registry: Registry and path that replace Evergreen's, such as ``europe-docker.pkg.dev/project/images``.
        digests: JSON file that maps the name of an image (``evergreen-base``) to its digest (``sha256:...``).
        platform_file: File with a cluster's node selectors, tolerations, accelerators, volumes and sizes.
        objects: Write the Kubernetes objects Pipeline and PipelineVersion instead; None for the plain specification.

    Returns:
        The number of pods of a run, and the estimated size of its Workflow.

    Raises:
        PipelineFileError: The pipeline cannot be loaded, the digests or the platform file are invalid, or the output is not a YAML file.
    """
    from google.protobuf.json_format import MessageToDict
    from kfp import compiler

    if output.suffix not in {".yaml", ".yml"}:
        raise PipelineFileError(f"output {output}: expected a file name that ends in .yaml, because KFP derives the format from it.")
    replacements = image_replacements(image_registry=image_registry, digests=_read_digests(digests) if digests else {})
    pipeline = _load_on_platform(pipeline_file, platform_file)
    # KFP's run form shows only parameter names, so their meanings are added to the description on the pipeline's page.
    pipeline.pipeline_spec.pipeline_info.description += f"\n\n{parameter_lines(pipeline)}"
    _tell_steps_their_image(pipeline)
    options = None if objects is None else _object_names(pipeline.name, objects)
    compiler.Compiler().compile(pipeline, str(output), kubernetes_manifest_format=options is not None, kubernetes_manifest_options=options)
    replace_images(output, replacements)
    spec = MessageToDict(pipeline.pipeline_spec)
    kubernetes = MessageToDict(pipeline.platform_spec).get("platforms", {}).get("kubernetes", {})
    return RunCost(count_pods(spec), estimate_workflow(spec, kubernetes.get("deploymentSpec", {}).get("executors", {})))


def _load_on_platform(pipeline_file: Path, platform_file: Path | None) -> GraphComponent:
    if platform_file is None:
        return load_pipeline(pipeline_file)
    from evergreen.pipeline.steps import on_platform

    platform = read_platform_file(platform_file)
    with on_platform(platform) as steps:
        pipeline = load_pipeline(pipeline_file)
    platform.check_steps(steps, platform_file)
    return pipeline


def _object_names(pipeline_name: str, objects: KubernetesObjects) -> KubernetesManifestOptions:
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    # A PipelineVersion is immutable, so each release gets its own object.
    version = f"{pipeline_name}-{__version__.replace('.', '-').replace('+', '-')}"
    return KubernetesManifestOptions(pipeline_name=pipeline_name, pipeline_version_name=version, namespace=objects.namespace, include_pipeline_manifest=True)


def _tell_steps_their_image(pipeline: GraphComponent) -> None:
    # A pod does not know its own image, which the ledger and the training record contain. Only set here, because a local run has no image.
    for executor in pipeline.pipeline_spec.deployment_spec["executors"].values():
        if "container" not in executor:
            continue  # an importer, which KFP's launcher runs without an image of the pipeline
        container = executor["container"]
        container.get_or_create_list("env").append({"name": "EVERGREEN_IMAGE", "value": container["image"]})


def parameter_lines(pipeline: GraphComponent) -> str:
    """Return the pipeline's parameters as a Markdown list: name, default and meaning."""
    lines = ["Parameters:"]
    for name, spec in sorted((pipeline.component_spec.inputs or {}).items()):
        default = f"default {spec.default}" if spec.optional else "required"
        lines.append(f"- {name} ({default}): {' '.join((spec.description or '').split())}")
    return "\n".join(lines)


def image_replacements(*, image_registry: str | None, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the replacement of each Evergreen image.

    Raises:
        PipelineFileError: A digest is for an unknown image, or is not a SHA-256 digest.
    """
    names = {image: image.rpartition("/")[2].partition(":")[0] for image in IMAGES}
    unknown = sorted(set(digests) - set(names.values()))
    if unknown:
        raise PipelineFileError(f"Unknown image {unknown[0]!r} in the digests. Valid images: {', '.join(names.values())}. Correct the name.")
    registry = (image_registry or REPOSITORY.rpartition("/")[0]).rstrip("/")
    return {image: f"{registry}/{image.rpartition('/')[2]}{_digest_suffix(name, digests)}" for image, name in names.items()}


def _digest_suffix(name: str, digests: Mapping[str, str]) -> str:
    digest = digests.get(name)
    if digest is None:
        return ""
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise PipelineFileError(f"Invalid digest {digest!r} of image {name!r}: expected sha256: followed by 64 hexadecimal digits. Copy it from the registry.")
    return f"@{digest}"


def replace_images(compiled: Path, replacements: Mapping[str, str]) -> None:
    """Replace the images in the executors of a compiled pipeline; all other bytes are unchanged."""
    text = compiled.read_text(encoding="utf-8")
    for image, replacement in replacements.items():
        # The image itself, and the environment variable that contains it.
        for key in ("image", "value"):
            text = text.replace(f"{key}: {image}\n", f"{key}: {replacement}\n")
    compiled.write_text(text, encoding="utf-8")


def _read_digests(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise PipelineFileError(f"digests file {path}: expected a JSON object of image names and digests: {error}.") from error
    if not isinstance(content, dict) or not all(isinstance(digest, str) for digest in content.values()):
        raise PipelineFileError(f"digests file {path}: expected a JSON object of image names and digests.")
    return content
