"""The home folder of local runs."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class LocalHome:
    """The folder that holds all state of local runs.

    Attributes:
        folder: The folder; created when needed.
    """

    folder: Path

    @property
    def tracking_uri(self) -> str:
        """URI of the MLflow database."""
        return f"sqlite:///{self.folder.absolute() / 'mlflow.db'}"

    @property
    def ledger_uri(self) -> str:
        """Folder of the ledger and the run records."""
        return str(self.folder.absolute() / "ledger")

    @property
    def artifact_folder(self) -> Path:
        """Folder of the artifacts of local runs."""
        return self.folder.absolute() / "artifacts"

    def new_log_file(self) -> Path:
        """Return the path of a new log file for a run that starts now."""
        logs = self.folder.absolute() / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}.log"
