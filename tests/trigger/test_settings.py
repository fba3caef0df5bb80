from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from evergreen.trigger.errors import TriggerError
from evergreen.trigger.settings import read_settings
from manifests.objects import built

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "EVERGREEN_TRIGGER_WEBHOOK_SECRET"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "0123456789abcdef")


def test_secrets_come_from_the_environment_and_are_not_shown(settings_file: Path) -> None:
    settings = read_settings(settings_file)
    assert settings.webhook_secret is not None
    assert settings.webhook_secret.get_secret_value() == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(settings)


def test_the_configuration_of_the_manifests_can_be_read(tmp_path: Path) -> None:
    (found,) = [found for found in built("overlays/standalone") if found["kind"] == "ConfigMap"]
    (tmp_path / "trigger.yaml").write_text(found["data"]["trigger.yaml"])
    assert read_settings(tmp_path / "trigger.yaml").pipeline == "continuous-retraining"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version: Input should be 1"),
        ({"pipelines": "p"}, "Did you mean 'pipeline'?"),
        ({"webhook_secret": "0123456789abcdef"}, "webhook_secret must not be in the file. Secrets are read only from the environment"),
        ({"runs_per_hour": 0}, "runs_per_hour"),
        ({"parameters": {"model_name": "$(EVERGREEN_APPROVAL_KEY)"}}, "environment variable EVERGREEN_APPROVAL_KEY"),
        ({"parameters": {"policy_config": {"a": ["$(KEY)"]}}}, "parameter 'policy_config' contains $(KEY)"),
        ({"parameters": {"secret_name": ""}}, "Write none, or the secret's name"),
        ({"parameters": {"data_window_end": "[[ScheduledTime]]"}}, "Set data_window_end to scheduled"),
    ],
)
def test_a_wrong_configuration_is_refused_without_its_values(settings_file: Path, change: dict[str, object], message: str) -> None:
    settings_file.write_text(yaml.safe_dump({"version": 1, "pipeline": "p", **change}))
    with pytest.raises(TriggerError) as caught:
        read_settings(settings_file)
    assert message in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize(("secret", "message"), [("short", "has 5 characters, expected at least 16"), ("", "no event source is configured")])
def test_a_weak_or_missing_secret_is_refused(settings_file: Path, monkeypatch: pytest.MonkeyPatch, secret: str, message: str) -> None:
    monkeypatch.setenv(SECRET, secret)
    with pytest.raises(TriggerError, match=message):
        read_settings(settings_file)


@pytest.mark.parametrize(("content", "message"), [("[", "is not YAML"), ("[]", "expected a mapping")])
def test_a_file_that_is_no_mapping_is_refused(settings_file: Path, content: str, message: str) -> None:
    settings_file.write_text(content)
    with pytest.raises(TriggerError, match=message):
        read_settings(settings_file)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TriggerError, match=r"absent\.yaml: cannot be read"):
        read_settings(tmp_path / "absent.yaml")
