"""Groups, branches, loops and exit handlers of pipelines of one's own, run on this machine."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kfp import dsl

from support.local_runs import run_and_report


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def say(text: str, fail: bool = False) -> str:
    if fail:
        raise ValueError(text)
    return text


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def measure(text: str) -> NamedTuple("Outputs", word=str, length=int):
    from collections import namedtuple

    return namedtuple("Outputs", "word length")(text, len(text))


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def write(text: str, note: dsl.Output[dsl.Artifact]) -> None:
    note.metadata["present"] = True
    with open(note.path, "w") as file:  # noqa: PTH123  # KFP copies the source without this file's imports
        file.write(text)


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def read_all(notes: dsl.Input[list[dsl.Artifact]]) -> str:
    return "+".join(open(note.path).read() for note in notes)  # noqa: PTH123  # as above


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def read_both(first: dsl.Input[dsl.Artifact], second: dsl.Input[dsl.Artifact]) -> str:
    return "".join(open(note.path).read() for note in (first, second))  # noqa: PTH123  # as above


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def end(status: dsl.PipelineTaskFinalStatus) -> str:
    return f"{status.state} {status.pipeline_task_name}"


@dsl.container_component
def shell():
    return dsl.ContainerSpec(image="alpine:3", command=["echo", "hello"])


def run(pipeline: Any, root: Path, **arguments: Any) -> dict[str, Any]:
    """Run a pipeline; return the parameters that its steps returned, by task, in the order of their start; of a loop's rounds, a list."""
    folder, failure = run_and_report(pipeline, root, arguments)
    returned: dict[str, Any] = {"failure": failure} if failure else {}
    for file in sorted(folder.parent.glob("*/*/*/output_metadata.json"), key=lambda path: path.stat().st_mtime):
        values = json.loads(file.read_text()).get("parameterValues", {})
        returned.setdefault(file.parent.parent.name, []).append(values.get("Output", values))
    return returned


def test_a_branch_on_a_named_output_is_taken(tmp_path: Path) -> None:
    @dsl.pipeline(name="named")
    def named(text: str):
        measured = measure(text=text)
        with dsl.If(measured.outputs["length"] > 3, name="Long"):
            say(text="long")
        with dsl.Elif(measured.outputs["word"] == "abc", name="Known"):
            say(text="known")
        with dsl.Else(name="Short"):
            say(text="short")

    assert [value for name, value in run(named, tmp_path / "a", text="abcd").items() if name.startswith("say")] == [["long"]]
    assert [value for name, value in run(named, tmp_path / "b", text="abc").items() if name.startswith("say")] == [["known"]]
    assert [value for name, value in run(named, tmp_path / "c", text="x").items() if name.startswith("say")] == [["short"]]


def test_a_loop_collects_artifacts_and_an_empty_one_leaves_none(tmp_path: Path) -> None:
    @dsl.pipeline(name="loop")
    def loop(words: list):
        with dsl.ParallelFor(words, name="Words") as word:
            written = write(text=word)
        read_all(notes=dsl.Collected(written.outputs["note"]))

    assert run(loop, tmp_path / "a", words=["x", "y", "z"])["read-all"] == ["x+y+z"]
    empty = run(loop, tmp_path / "b", words=[])
    assert "read-all" not in empty
    assert "Step read-all needs 'pipelinechannel--write-note' of for-loop-1, which did not produce it." in empty["failure"]


def test_of_exclusive_branches_the_output_of_the_one_that_ran_goes_on(tmp_path: Path) -> None:
    @dsl.pipeline(name="one-of")
    def one_of(text: str):
        with dsl.If(text == "a", name="A"):
            first = say(text="from a")
        with dsl.Else(name="B"):
            second = say(text="from b")
        measure(text=dsl.OneOf(first.output, second.output))

    assert run(one_of, tmp_path / "a", text="a")["measure"] == [{"word": "from a", "length": 6}]
    assert run(one_of, tmp_path / "b", text="b")["measure"] == [{"word": "from b", "length": 6}]


def test_the_exit_task_runs_after_a_failure_and_is_told(tmp_path: Path) -> None:
    @dsl.pipeline(name="exit")
    def handled(fail: bool):
        with dsl.ExitHandler(end(), name="Handled"):
            first = say(text="first", fail=fail)
            say(text="second").after(first)

    good, bad = run(handled, tmp_path / "a", fail=False), run(handled, tmp_path / "b", fail=True)
    assert good["end"] == ["COMPLETE exit-handler-1"]
    assert good["say-2"] == ["second"]
    assert bad["end"] == ["FAILED exit-handler-1"]
    assert "say-2" not in bad
    assert bad["failure"] == "Step say failed with exit status 1."


def test_a_step_that_another_does_not_depend_on_runs_beside_one_that_fails(tmp_path: Path) -> None:
    @dsl.pipeline(name="beside")
    def beside():
        say(text="a", fail=True)
        say(text="b")

    returned = run(beside, tmp_path)
    assert returned["say-2"] == ["b"]
    assert returned["failure"]


def test_a_pipeline_in_a_pipeline_has_its_own_defaults(tmp_path: Path) -> None:
    @dsl.pipeline(name="inner")
    def inner(word: str = "default", other: str = "kept") -> str:
        return say(text=f"{word} {other}").output

    @dsl.pipeline(name="outer")
    def outer(word: str):
        inner(word=word)
        inner()

    returned = run(outer, tmp_path, word="given")
    assert sorted(word for name, words in returned.items() if name.startswith("say") for word in words) == ["default kept", "given kept"]


def test_a_parameter_that_no_command_line_holds_is_refused(tmp_path: Path) -> None:
    @dsl.pipeline(name="long")
    def long(text: str):
        say(text=text)

    failure = run(long, tmp_path, text="x" * 200_000)["failure"]
    assert failure.startswith("step 'say': its parameters have 200,")
    assert "Put long text into a file" in failure


def test_a_step_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    @dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
    def die() -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    @dsl.pipeline(name="killed")
    def killed():
        die()

    failure = run(killed, tmp_path)["failure"]
    # KFP's lightweight components run below a shell, which says it in its own way.
    assert failure in {"Step die was killed by SIGKILL.", "Step die failed with exit status 137."}


def test_a_command_of_an_image_is_refused(tmp_path: Path) -> None:
    @dsl.pipeline(name="shell")
    def pipeline():
        shell()

    assert run(pipeline, tmp_path)["failure"].startswith("step 'shell' runs a command of its image alpine:3: only Python components run on this machine.")


@pytest.mark.parametrize("placeholder", [dsl.PIPELINE_JOB_ID_PLACEHOLDER, dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER])
def test_placeholders_are_filled_in(placeholder: str, tmp_path: Path) -> None:
    @dsl.pipeline(name="placeholders")
    def pipeline(word: str):
        say(text=f"{placeholder} {word}")

    (said,) = run(pipeline, tmp_path, word="w")["say"]
    first, second = said.split()
    assert second == "w"
    assert first == ("none" if placeholder == dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER else (next((tmp_path / "placeholders").iterdir()).name))


def test_imported_artifacts_reach_the_step_that_takes_them(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)

    @dsl.pipeline(name="importing")
    def importing(uri: str, also: str):
        first = dsl.importer(artifact_uri=uri, artifact_class=dsl.Artifact)
        second = dsl.importer(artifact_uri=also, artifact_class=dsl.Artifact, metadata={"origin": "elsewhere"})
        read_both(first=first.output, second=second.output)

    # A path as it is, and as a URI.
    assert run(importing, tmp_path / "runs", uri=str(tmp_path / "a"), also=f"file://{tmp_path / 'b'}")["read-both"] == ["ab"]
