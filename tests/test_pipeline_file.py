from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evergreen.pipeline.loading import PipelineFileError, arguments_for, load_pipeline, parse_assignments, read_parameter_file

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """
from kfp import dsl

@dsl.component
def add(a: int, b: float, c: bool, d: str) -> str:
    return f"{a}{b}{c}{d}"

@dsl.pipeline(name="sum")
def total(count: int, share: float = 0.5, fast: bool = False, end: str = "latest"):
    add(a=count, b=share, c=fast, d=end)
"""


@pytest.fixture
def pipeline_file(tmp_path: Path) -> Path:
    file = tmp_path / "total.py"
    file.write_text(PIPELINE)
    return file


def test_text_is_converted_to_the_type_of_its_parameter(pipeline_file: Path) -> None:
    given = parse_assignments(["count=3", "share=0.25", "fast=true", "end=1981-01-01"])
    assert arguments_for(load_pipeline(pipeline_file), given) == {"count": 3, "share": 0.25, "fast": True, "end": "1981-01-01"}


def test_dates_and_mappings_of_a_yaml_file_become_text(pipeline_file: Path, tmp_path: Path) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("count: 3.0\nend: 1981-01-01\n")
    assert arguments_for(load_pipeline(pipeline_file), read_parameter_file(parameters)) == {"count": 3, "end": "1981-01-01"}


def test_a_value_may_hold_equals_signs() -> None:
    assert parse_assignments(["filter=a=b"]) == {"filter": "a=b"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": "3"}, "Unknown parameter 'cuont'.*Did you mean 'count'"),
        ({"zzz": "3"}, "Unknown parameter 'zzz'.*Valid parameters: count, end, fast, share"),
        ({}, "'count'.*is required.*-p count=VALUE"),
        ({"count": "three"}, "'count' is 'three': expected a whole number"),
        ({"count": "3.5"}, "'count' is '3.5': expected a whole number"),
        ({"count": True}, "'count' is True: expected a whole number"),
        ({"count": 1, "share": "half"}, "'share' is 'half': expected a number"),
        ({"count": 1, "fast": "maybe"}, "'fast' is 'maybe': expected true or false"),
    ],
)
def test_wrong_parameters_are_named(pipeline_file: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineFileError, match=message):
        arguments_for(load_pipeline(pipeline_file), given)


def test_an_assignment_without_equals_sign_is_refused() -> None:
    with pytest.raises(PipelineFileError, match="'count 3': expected name=value"):
        parse_assignments(["count 3"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("x = 1", "expected one function decorated with @dsl.pipeline, found 0"),
        ("import nowhere", "importing it failed: ModuleNotFoundError"),
    ],
)
def test_files_without_a_pipeline_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "broken.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(PipelineFileError, match=message):
        load_pipeline(file)


@pytest.mark.parametrize(("content", "message"), [("[1, 2]", "expected a mapping"), ("a: [", "is not YAML")])
def test_parameter_files_that_are_no_mapping_are_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(content)
    with pytest.raises(PipelineFileError, match=message):
        read_parameter_file(file)


def test_a_missing_parameter_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineFileError, match=r"absent\.yaml: cannot be read: No such file"):
        read_parameter_file(tmp_path / "absent.yaml")
