"""Every component, in every pipeline and by itself, gets what a real backend hands over, and takes it."""

import inspect
import json
from pathlib import Path
from typing import Any, Union

import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from kfp import components, dsl
from kfp.dsl.executor import Executor

import evergreen
from evergreen.pipeline.executor import load_function
from evergreen.pipeline.loading import load_pipeline
from evergreen.pipeline.local_dag import LocalDag, RunIdentity, Step
from pipeline.recordings import facts, recorded_inputs

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = sorted((ROOT / "pipelines").glob("*.py"))
COMPONENT_FILES = sorted((ROOT / "components" / "evergreen").rglob("*.yaml"))
NAMES = sorted(set(evergreen.__all__) - {"__version__"})
RULES = set().union(*(facts(recorded["executor_input"]) for recorded in recorded_inputs()))
"""Everything that was said about the form of any of the recorded inputs."""

IMPORTED = "/nowhere/imported"
GIVEN = {"String": "text", "Integer": 3, "Float": 0.5, "Boolean": True}
VALUES = {"STRING": "text", "NUMBER_INTEGER": 3, "NUMBER_DOUBLE": 0.5, "BOOLEAN": True, "LIST": [0, 1], "STRUCT": {"a": 1}}


def name_in(file: Path) -> str:
    return str(yaml.safe_load(file.read_text())["pipelineInfo"]["name"]).replace("-", "_")


class Walk:
    """Starts no step: KFP's executor takes what each one is handed, and fixed words are left as its answer."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.functions: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, step: Step) -> int:
        # An imported artifact lies where its address says, and not among those of a run.
        broken = {fact for fact in facts(step.executor_input) - RULES if not fact.endswith(f".uri is {IMPORTED}")}
        assert not broken, f"{step.task_name} gets what no real backend hands over: {sorted(broken)}"
        function = load_function(step.command[3])
        function = getattr(function, "python_func", function)
        taken = Executor(executor_input=step.executor_input, function_to_execute=function)
        for name in step.executor_input["inputs"].get("artifacts", {}):
            assert isinstance(taken.get_input_artifact(name), (dsl.Artifact, list)), name
        self.functions.setdefault(function.__name__, []).append(step.executor_input)
        outputs = step.executor_input["outputs"]
        artifacts = {
            name: {"artifacts": [{**listed["artifacts"][0], "metadata": {"present": True, "rows": 3, "manifest": "{}"}}]}
            for name, listed in outputs["artifacts"].items()
            if name != "executor-logs"
        }
        parameters = {name: self.answers.get(function.__name__, "answer") for name in outputs.get("parameters", {})}
        Path(outputs["outputFile"]).write_text(json.dumps({"artifacts": artifacts, "parameterValues": parameters}))
        return 0


def walk(pipeline: Any, folder: Path, **answers: Any) -> Walk:
    """Go through a pipeline, each required parameter given as a word or number."""
    spec = MessageToDict(pipeline.pipeline_spec)
    wanted = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    given = {name: VALUES[parameter["parameterType"]] for name, parameter in wanted.items() if not parameter.get("isOptional")}
    walked = Walk({"plan_shards": [0, 1], "plan_search": [0, 1], **answers})
    LocalDag(spec, RunIdentity.new(str(pipeline.name), folder), walked).run(given)
    return walked


@pytest.mark.parametrize("verdict", ["promote", "reject"])
@pytest.mark.parametrize("decision", ["retrain", "keep"])
@pytest.mark.parametrize("file", PIPELINES, ids=lambda path: path.stem)
def test_every_step_of_a_pipeline_takes_what_the_driver_hands_over(file: Path, decision: str, verdict: str, tmp_path: Path) -> None:
    deciding = dict.fromkeys(("decide_retraining", "assess_model", "watch_model"), decision)
    walked = walk(load_pipeline(file), tmp_path, evaluate_model=verdict, **deciding)
    deploys = "deploy_model" in walked.functions
    if file.stem in {"continuous_retraining", "lean_retraining"}:
        assert ("train_model" in walked.functions, deploys) == (decision == "retrain", (decision, verdict) == ("retrain", "promote"))


def around(component: Any, *, in_a_branch: bool, optional: bool) -> Any:
    """Make a pipeline of one component, with artifacts from outside for its inputs; optional ones given or left out."""
    artifacts = {name: definition for name, definition in component.component_spec.inputs.items() if definition.type.partition("@")[0].startswith("system.")}
    parameters = {
        name: GIVEN[definition.type]
        for name, definition in component.component_spec.inputs.items()
        if name not in artifacts and not definition.optional and definition.type != "PipelineTaskFinalStatus"
    }

    @dsl.pipeline(name=f"around-{component.name}")
    def pipeline(flag: str = "yes"):
        imported = {}
        for name, definition in artifacts.items():
            if optional or not definition.optional:
                kind = getattr(dsl, definition.type.partition("@")[0].removeprefix("system."))
                made = dsl.importer(artifact_uri=IMPORTED, artifact_class=kind, metadata={"present": "yes"}).output
                imported[name] = made
        if any(definition.type == "PipelineTaskFinalStatus" for definition in component.component_spec.inputs.values()):
            ended = component(**parameters)
            with dsl.ExitHandler(ended, name="Handler"):
                evergreen.load_champion(model_name="rain", tracking_uri="sqlite:////tmp/x.db")
        elif in_a_branch:
            with dsl.If(flag == "yes", name="Branch"):
                component(**parameters, **imported)
        else:
            component(**parameters, **imported)

    return pipeline


LISTS = {"merge_profiles", "choose_candidate", "report_backtest"}
"""They take what the rounds of a loop have made, which the pipelines above show."""


@pytest.mark.parametrize("optional", [True, False], ids=["with-optional-inputs", "without"])
@pytest.mark.parametrize("in_a_branch", [True, False], ids=["in-a-branch", "at-top-level"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LISTS])
def test_a_component_by_itself_takes_what_the_driver_hands_over(name: str, in_a_branch: bool, optional: bool, tmp_path: Path) -> None:
    component = getattr(evergreen, name)
    walked = walk(around(component, in_a_branch=in_a_branch, optional=optional), tmp_path)
    (given,) = walked.functions[name]
    for key, definition in component.component_spec.inputs.items():
        if definition.type.partition("@")[0].startswith("system."):
            assert (key in given["inputs"].get("artifacts", {})) == (optional or not definition.optional)
    kinds = [artifact.get("type") for listed in given["inputs"].get("artifacts", {}).values() for artifact in listed["artifacts"]]
    assert kinds == [None if in_a_branch else {"instanceSchema": ""}] * len(kinds)


@pytest.mark.parametrize("file", [file for file in COMPONENT_FILES if name_in(file) not in LISTS], ids=name_in)
def test_the_file_of_a_component_takes_what_the_driver_hands_over(file: Path, tmp_path: Path) -> None:
    component = components.load_component_from_file(str(file))
    name = component.name.replace("-", "_")
    walked = walk(around(component, in_a_branch=True, optional=True), tmp_path)
    assert name in walked.functions


@pytest.mark.parametrize("name", NAMES)
def test_no_optional_artifact_is_a_union(name: str) -> None:
    for parameter in inspect.signature(getattr(evergreen, name).python_func).parameters.values():
        assert "Union" not in str(parameter.annotation) or "Input" not in str(parameter.annotation), f"{name}.{parameter.name}: write Input[X] = None"


FAULTS = [("validate_data", "champion_contract"), ("detect_drift", "model"), ("watch_model", "model"), ("watch_model", "feedback")]


@pytest.mark.parametrize(("name", "parameter"), FAULTS)
def test_an_optional_union_does_not_take_what_the_driver_hands_over(name: str, parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = getattr(evergreen, name)
    annotations = component.python_func.__annotations__
    monkeypatch.setitem(annotations, parameter, Union[annotations[parameter], None])  # noqa: UP007  # how it was written
    # The second is what pandera makes of it, which replaces how generic types are called once it is imported.
    with pytest.raises((TypeError, AttributeError), match=r"Cannot instantiate|__bases__"):
        walk(around(component, in_a_branch=False, optional=True), tmp_path)
