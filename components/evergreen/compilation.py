"""Compile pipelines to the YAML that KFP takes, with the images that a team uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from evergreen.images import BASE_IMAGE, DRIFT_IMAGE, REPOSITORY
from evergreen.pipeline_file import PipelineFileError, load_pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp.dsl.graph_component import GraphComponent


def compile_pipeline(pipeline_file: Path, output: Path, *, image_registry: str | None = None, digests: Path | None = None) -> None:
    """Compile the pipeline of a Python file.

    Args:
        pipeline_file: A file with one pipeline.
        output: The YAML to write.
        image_registry: Registry and path that replace Evergreen's own, such as ``europe-docker.pkg.dev/project/images``.
        digests: JSON file that maps an image's name (``evergreen-base``) to its digest (``sha256:...``).

    Raises:
        PipelineFileError: The pipeline cannot be loaded, or the digests cannot be used.
    """
    from kfp import compiler

    pipeline = load_pipeline(pipeline_file)
    # KFP's run form shows names only: the pipeline's own page is where a person can read what they mean.
    pipeline.pipeline_spec.pipeline_info.description += f"\n\n{parameter_lines(pipeline)}"
    _tell_steps_their_image(pipeline)
    compiler.Compiler().compile(pipeline, str(output))
    replacements = image_replacements(image_registry=image_registry, digests=_read_digests(digests) if digests else {})
    replace_images(output, replacements)


def _tell_steps_their_image(pipeline: GraphComponent) -> None:
    # A pod does not know its image by itself, and the ledger and the training's record name it. Only here: a local run has no image.
    for executor in pipeline.pipeline_spec.deployment_spec["executors"].values():
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
    names = {image: image.rpartition("/")[2].partition(":")[0] for image in (BASE_IMAGE, DRIFT_IMAGE)}
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
    used = {executor["container"]["image"] for executor in next(yaml.safe_load_all(text))["deploymentSpec"]["executors"].values()}
    for image in sorted(used & set(replacements)):
        # Beside the image itself, the variable that tells a step its image.
        for key in ("image", "value"):
            text = text.replace(f"{key}: {image}\n", f"{key}: {replacements[image]}\n")
    compiled.write_text(text, encoding="utf-8")


def _read_digests(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise PipelineFileError(f"digests file {path}: expected a JSON object of image names and digests: {error}.") from error
    if not isinstance(content, dict) or not all(isinstance(digest, str) for digest in content.values()):
        raise PipelineFileError(f"digests file {path}: expected a JSON object of image names and digests.")
    return content
