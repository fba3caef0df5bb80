"""The test server itself: it must speak as KFP's description says, or the other tests prove nothing."""

from __future__ import annotations

import inspect
from typing import Any

import kfp_server_api as api
import pytest

from submission.kfp_server import ROUTES, KfpServer, RefusedError, check_fields


def test_every_path_is_one_of_the_generated_client() -> None:
    services = (
        api.HealthzServiceApi,
        api.PipelineServiceApi,
        api.PipelineUploadServiceApi,
        api.ExperimentServiceApi,
        api.RunServiceApi,
        api.RecurringRunServiceApi,
    )
    source = "".join(inspect.getsource(service) for service in services)
    for method, path, _ in ROUTES:
        assert f"'{path}', '{method}'" in source


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("V2beta1Run", {"display_name": "a", "runtime_config": {"parameter": {}}}, "V2beta1RuntimeConfig has no field 'parameter'"),
        ("V2beta1RecurringRun", {"max_concurrency": 1}, "expected str, found 1"),
        ("V2beta1RecurringRun", {"mode": "ON"}, "'ON' is not one of"),
        ("V2beta1PipelineVersion", {"tags": {"commit": 3}}, "expected str, found 3"),
    ],
)
def test_what_the_description_does_not_know_is_refused(kind: str, body: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_fields(body, kind)
    assert message in caught.value.message


def test_it_answers_the_generated_client(kfp: KfpServer) -> None:
    client = api.ApiClient(api.Configuration(host=kfp.host))
    made = api.PipelineServiceApi(client).pipeline_service_create_pipeline(pipeline=api.V2beta1Pipeline(display_name="a"))
    assert [found.pipeline_id for found in api.PipelineServiceApi(client).pipeline_service_list_pipelines().pipelines] == [made.pipeline_id]
