"""KFP reads the annotations of a component at definition, so there is no ``from __future__ import annotations`` here."""

from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict
from kfp import dsl

from evergreen.pipeline.pod_count import PodCount, count_pods


@dsl.component(base_image="example/image:1", install_kfp_package=False)
def answer(text: str = "a") -> str:
    """Return the text."""
    return text


def counted(define: Callable[..., Any]) -> PodCount:
    return count_pods(MessageToDict(dsl.pipeline(name="example")(define).pipeline_spec))


def test_a_step_is_a_driver_and_an_executor_and_the_pipeline_one_driver_more() -> None:
    def two_steps() -> None:
        answer()
        answer()

    assert counted(two_steps) == PodCount(fewest=5, most=5, fewest_steps=2, most_steps=2)
    assert str(counted(two_steps)) == "5 pods per run (2 steps; drivers included)"


def test_of_two_branches_one_is_taken_and_both_have_a_driver() -> None:
    def branches() -> None:
        first = answer()
        with dsl.If(first.output == "a"):
            answer()
            answer()
        with dsl.Else():
            answer()

    # Pipeline, first step (2), the condition, its two branches, then one or two steps.
    assert counted(branches) == PodCount(fewest=1 + 2 + 1 + 2 + 2, most=1 + 2 + 1 + 2 + 4, fewest_steps=2, most_steps=3)


def test_single_conditions_may_each_be_passed_over() -> None:
    def conditions() -> None:
        first = answer()
        with dsl.If(first.output == "a"):
            answer()
        with dsl.If(first.output == "b"):
            answer()

    assert counted(conditions) == PodCount(fewest=1 + 2 + 1 + 1, most=1 + 2 + 1 + 1 + 4, fewest_steps=1, most_steps=3)


def test_a_loop_has_a_driver_and_one_for_each_round() -> None:
    def loop() -> None:
        with dsl.ParallelFor(items=["a", "b", "c"]) as item:
            answer(text=item)

    assert counted(loop) == PodCount(fewest=1 + 1 + 3 * 3, most=1 + 1 + 3 * 3, fewest_steps=3, most_steps=3)


def test_an_importer_is_one_pod() -> None:
    def imports() -> None:
        dsl.importer(artifact_uri="gs://bucket/data", artifact_class=dsl.Dataset)

    assert counted(imports) == PodCount(fewest=2, most=2, fewest_steps=1, most_steps=1)
