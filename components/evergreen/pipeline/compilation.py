"""Compile pipelines to the YAML that KFP takes, with the images that a team uses."""

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
        namespace: Where the objects belong; nothing leaves it to who applies them.
    """

    namespace: str | None = None


@dataclass(frozen=True)
class RunCost:
    """What a run of a compiled pipeline costs.

    Attributes:
        pods: On a quiet day, and when every branch is the long one.
        workflow: How large its Workflow grows.
    """

    pods: PodCount
    workflow: WorkflowSize

    def __str__(self) -> str:
        """Say it in two lines, or in three where there is something to warn of."""
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
    """Compile the pipeline of a Python file.

    Args:
        pipeline_file: A file with one pipeline.
        output: The YAML to write.
        image_registry: Registry and path that replace Evergreen's own, such as ``europe-docker.pkg.dev/project/images``.
        digests: JSON file that maps an image's name (``evergreen-base``) to its digest (``sha256:...``).
        platform_file: Node selectors, tolerations, accelerators, volumes and sizes of a cluster.
        objects: Write Kubernetes objects, Pipeline and PipelineVersion.

    Returns:
        How many pods a run costs, and how large its Workflow grows.

    Raises:
        PipelineFileError: The pipeline cannot be loaded, or the digests or the platform file cannot be used, or the output is no YAML file.
    """
    from google.protobuf.json_format import MessageToDict
    from kfp import compiler

    if output.suffix not in {".yaml", ".yml"}:
        raise PipelineFileError(f"output {output}: expected a name that ends in .yaml, because KFP tells the format by it.")
    replacements = image_replacements(image_registry=image_registry, digests=_read_digests(digests) if digests else {})
    pipeline = _load_on_platform(pipeline_file, platform_file)
    # KFP's run form shows names only: the pipeline's own page is where a person can read what they mean.
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

    # A PipelineVersion cannot be changed once it exists: each release is an object of its own.
    version = f"{pipeline_name}-{__version__.replace('.', '-').replace('+', '-')}"
    return KubernetesManifestOptions(pipeline_name=pipeline_name, pipeline_version_name=version, namespace=objects.namespace, include_pipeline_manifest=True)


def _tell_steps_their_image(pipeline: GraphComponent) -> None:
    # A pod does not know its image by itself, and the ledger and the training's record name it. Only here: a local run has no image.
    for executor in pipeline.pipeline_spec.deployment_spec["executors"].values():
        if "container" not in executor:
            continue  # an importer: KFP's launcher does it, in no image of the pipeline
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
    """Return what each of Evergreen's images is replaced with.

    Raises:
        PipelineFileError: A digest is for an image that is not Evergreen's, or is no sha256 digest.
    """
    names = {image: image.rpartition("/")[2].partition(":")[0] for image in IMAGES}
    unknown = sorted(set(digests) - set(names.values()))
    if unknown:
        raise PipelineFileError(f"digest of image {unknown[0]!r}: expected one of {', '.join(names.values())}.")
    registry = (image_registry or REPOSITORY.rpartition("/")[0]).rstrip("/")
    return {image: f"{registry}/{image.rpartition('/')[2]}{_digest_suffix(name, digests)}" for image, name in names.items()}


def _digest_suffix(name: str, digests: Mapping[str, str]) -> str:
    digest = digests.get(name)
    if digest is None:
        return ""
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise PipelineFileError(f"digest of image {name!r} is {digest!r}: expected sha256: and 64 hexadecimal digits.")
    return f"@{digest}"


def replace_images(compiled: Path, replacements: Mapping[str, str]) -> None:
    """Replace images in the executors of a compiled pipeline; everything else stays byte for byte."""
    text = compiled.read_text(encoding="utf-8")
    for image, replacement in replacements.items():
        # Beside the image itself, the variable that tells a step its image.
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
