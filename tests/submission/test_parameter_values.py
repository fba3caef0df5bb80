"""Values that are refused before anything is sent: by submit, by schedules and, in tests/trigger, by the trigger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evergreen.submission.parameter_values import ParameterValueError, check_parameter_values
from support.commands import evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer

VARIABLE = "EVERGREEN_APPROVAL_KEY"

SECRETS = [
    f"$({VARIABLE})",
    f"$$({VARIABLE})",
    f"$$$({VARIABLE})",
    f"s3://bucket/$({VARIABLE})/x",
    f"a $({VARIABLE}) b $(OTHER)",
    f"line\n$({VARIABLE})",
    json.dumps({"a": {"b": [1, f"x$({VARIABLE})"]}}),
    json.dumps({f"$({VARIABLE})": 1}),
    json.dumps({"a": json.dumps({"b": f"$({VARIABLE})"})}),
    '{"a": "\\u0024(' + VARIABLE + ')"}',
    f'"\\x24({VARIABLE})"',
    f"a: !!str $({VARIABLE})",
    f"a:\n  - b: '$({VARIABLE})'\n",
    f"? $({VARIABLE})\n: 1",
]
VALUES: list[Any] = [*SECRETS, [f"$({VARIABLE})"], {"a": [{"b": f"$({VARIABLE})"}]}, {f"$({VARIABLE})": 1}, (f"$({VARIABLE})",), {"a": SECRETS[9]}]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_value_that_names_a_variable_is_refused_and_the_variable_named(value: Any) -> None:
    with pytest.raises(ParameterValueError) as caught:
        check_parameter_values({"days": 3, "policy_config": value})
    message = str(caught.value)
    assert message.startswith("parameter 'policy_config' contains $(")
    assert f"environment variable {VARIABLE}," in message
    assert "secret_name" in message


@pytest.mark.parametrize("half", ["$(", "a $(EVERGREEN_APPROVAL"])
def test_half_of_one_is_refused_too(half: str) -> None:
    """A pipeline may put two parameters together."""
    with pytest.raises(ParameterValueError, match=r"contains \$\("):
        check_parameter_values({"model_name": half})


@pytest.mark.parametrize(
    "macro", ["[[ScheduledTime]]", "[[Index]]", "[[CurrentTime]]", "[[RunUUID]]", "[[ScheduledTime.2006-01-02]]", "[[scheduledtime]]", "a-[[ Index ]]-b"]
)
@pytest.mark.parametrize("wrap", [str, lambda text: json.dumps({"a": [text]}), lambda text: {"a": [text]}], ids=["text", "json", "value"])
def test_a_macro_that_nobody_expands_is_refused_with_the_word_that_works(macro: str, wrap: Any) -> None:
    with pytest.raises(ParameterValueError) as caught:
        check_parameter_values({"data_window_end": wrap(macro)})
    assert macro.strip("ab-") in str(caught.value)
    assert "scheduled" in str(caught.value)


@pytest.mark.parametrize(("macro", "expands"), [("[[CurrentTime]]", True), ("x-[[RunUUID]]", True), ("[[ScheduledTime]]", False), ("[[Index]]", False)])
def test_two_macros_expand_under_latest_and_the_others_nowhere(macro: str, *, expands: bool) -> None:
    if expands:
        check_parameter_values({"model_name": macro}, expands_macros=True)
    else:
        with pytest.raises(ParameterValueError):
            check_parameter_values({"model_name": macro}, expands_macros=True)


@pytest.mark.parametrize(
    "text", ["{{workflow.uid}}", "{{$.pipeline_job_name}}", "a {{ inputs.parameters.x }}", "{{=sprig.env('KEY')}}", "{{workflow.scheduledTime}}"]
)
def test_placeholders_of_argo_are_refused(text: str) -> None:
    with pytest.raises(ParameterValueError, match="Argo or KFP placeholder"):
        check_parameter_values({"model_name": text})


@pytest.mark.parametrize("name", ["", "  ", None, "None", "a b", "-a", "x" * 254, "a/b"])
def test_a_secrets_name_that_is_none_is_refused(name: Any) -> None:
    with pytest.raises(ParameterValueError, match=r"parameter 'secret_name' is .*Write none, or the secret's name"):
        check_parameter_values({"secret_name": name})


def test_a_slot_that_is_no_cron_expression_is_refused() -> None:
    with pytest.raises(ParameterValueError, match=r"'data_window_end' is 'scheduled\(daily\)': cron 'daily': expected five fields"):
        check_parameter_values({"data_window_end": "scheduled(daily)"})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "rain",
        "$",
        "$5 (each)",
        "a$b",
        "$NAME",
        "${NAME}",
        "(NAME)",
        "^\\d+$",
        "100 %",
        "[[1, 2], [3, 4]]",
        '[["a"]]',
        "[[Indexes]]",
        '{"a": {"b": {}}}',
        "{{ name }}",
        "a: [1, {b: c}]",
        "'",
        "\\",
        "!!timestamp x",
        "!!bool x",
        "=",
        "&a [*a]",
        3,
        0.5,
        True,
        None,
        [],
        {},
        [1, None],
        "scheduled",
        "scheduled(0 0 3 * * *)",
        "latest",
    ],
    ids=str,
)
def test_what_is_harmless_is_let_through(value: Any) -> None:
    check_parameter_values({"policy_config": value, "secret_name": "none", "data_window_end": "scheduled(0 0 3 * * *)"})


def test_a_bomb_of_aliases_takes_no_time() -> None:
    lines = ["a0: &a0 ['x']", *(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30))]
    check_parameter_values({"policy_config": "\n".join(lines)})
    with pytest.raises(ParameterValueError):
        check_parameter_values({"policy_config": "\n".join([*lines, f'z: "\\x24({VARIABLE})"'])})


plain = st.text(st.characters(exclude_characters="$[{\\'!", exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True)
trees = st.recursive(plain | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3), max_leaves=6)


@st.composite
def places(draw: st.DrawFn) -> tuple[str, Any]:
    """Make a variable's name, and a value that holds it somewhere: inside of other text, in a tree, in a tree that became text."""
    name = draw(names)
    value: Any = draw(plain) + draw(st.sampled_from(["$", "$$", "$$$"])) + f"({name})" + draw(plain)
    for _ in range(draw(st.integers(0, 4))):
        how = draw(st.sampled_from(["list", "value", "key", "json", "ascii", "yaml"]))
        if how == "list":
            value = [draw(trees), value]
        elif how == "value":
            value = {draw(plain): value}
        elif how == "key" and isinstance(value, str):
            value = {value: draw(trees)}
        elif how == "yaml":
            value = yaml.safe_dump(value)
        elif how == "ascii":
            value = json.dumps(value).replace("$", "\\u0024")
        else:
            value = json.dumps(value)
    return name, value


@given(places())
def test_wherever_a_variable_is_hidden_it_is_found(place: tuple[str, Any]) -> None:
    name, value = place
    with pytest.raises(ParameterValueError) as caught:
        check_parameter_values({"x": value})
    assert f"environment variable {name}," in str(caught.value)


@given(trees)
def test_a_value_without_one_is_never_refused(value: Any) -> None:
    for given_value in (value, json.dumps(value), yaml.safe_dump(value)):
        check_parameter_values({"x": given_value})


@pytest.mark.parametrize("way", ["-p", "--params"])
@pytest.mark.parametrize("command", ["submit", "create", "replace"])
@pytest.mark.parametrize(
    ("value", "words"),
    [(f"$({VARIABLE})", f"environment variable {VARIABLE},"), ("[[ScheduledTime]]", "Set data_window_end to scheduled"), ("{{workflow.name}}", "placeholder")],
)
def test_every_command_refuses_before_anything_is_sent(kfp: KfpServer, pipeline_file: Path, *, way: str, command: str, value: str, words: str) -> None:
    file = pipeline_file.with_name("parameters.yaml")
    file.write_text(yaml.safe_dump({"model_name": {"nested": [value]}}))
    given_so = ["-p", f"model_name={value}"] if way == "-p" else ["--params", str(file)]
    asked = ["submit", str(pipeline_file)] if command == "submit" else ["schedule", command, "nightly", "--cron", "0 3 * * *", "--pipeline", "p"]
    refused = evergreen(*asked, *given_so)
    assert refused.status == 2
    assert "parameter 'model_name' contains" in refused.stderr
    assert words in refused.stderr
    assert kfp.requests == []


def test_names_of_runs_and_schedules_are_held_to_the_same(kfp: KfpServer, pipeline_file: Path) -> None:
    run = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--run-name", f"x $({VARIABLE})")
    schedule = evergreen("schedule", "create", f"x $({VARIABLE})", "--cron", "0 3 * * *", "--pipeline", "p")
    assert (run.status, schedule.status, kfp.requests) == (2, 2, [])
    assert f"environment variable {VARIABLE}," in run.stderr
    assert f"environment variable {VARIABLE}," in schedule.stderr


def test_the_pipelines_own_defaults_are_held_to_the_same(kfp: KfpServer, pipeline_file: Path) -> None:
    pipeline_file.write_text(pipeline_file.read_text().replace("days: int = 30", f'days: int = 30, note: str = "$({VARIABLE})", secret_name: str = ""'))
    refused = evergreen("submit", str(pipeline_file), "-p", "model_name=rain")
    assert (refused.status, kfp.requests) == (2, [])
    assert "parameter 'note' contains" in refused.stderr
    empty = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "-p", "note=x")
    assert (empty.status, kfp.requests) == (2, [])
    assert "parameter 'secret_name' is empty" in empty.stderr
    assert evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "-p", "note=x", "-p", "secret_name=none", "--no-follow").status == 0
