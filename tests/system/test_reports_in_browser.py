"""The reports of a real run, opened in headless Chromium at the width of a phone and of a desktop."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evergreen.pipeline.loading import arguments_for, load_pipeline
from evergreen.pipeline.local_run import run_locally
from evergreen.reporting.summary import summarise_run
from evergreen.runs.local_home import LocalHome

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
MEASURE = """<!doctype html><iframe id="report" src="{address}" style="width:{width}px;height:900px;border:0"></iframe><pre id="out"></pre><script>
document.getElementById("report").onload = event => {{
  const page = event.target.contentDocument;
  const outside = [...page.querySelectorAll("[src],link[href]")].map(node => node.src || node.href).filter(uri => !uri.startsWith("data:"));
  document.getElementById("out").textContent = JSON.stringify({{
    "width": page.documentElement.scrollWidth, "text": page.body.innerText.length, "title": page.title, "outside": outside}});
}}</script>"""

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, make_events: Callable[..., pd.DataFrame]) -> dict[str, Path]:
    """The reports of a run that finds a champion and a changed world, by step and name."""
    folder = tmp_path_factory.mktemp("runs")
    import pandas as pd

    stable = make_events(start="2020-01-01", days=500, seed=1)
    changed = make_events(start="2021-05-15", days=400, seed=2, shift=1.0, flip=True)
    pd.concat([stable, changed], ignore_index=True).to_parquet(folder / "events.parquet")
    given = {
        "data_source_uri": str(folder / "events.parquet"),
        "data_timestamp_column": "time",
        "data_target_column": "rain",
        "data_window_days": 60,
        "training_window_days": 365,
        "model_name": "rain",
    }
    for window_end in ("2021-05-01", "2022-06-01"):
        pipeline = load_pipeline(ROOT / "pipelines" / "continuous_retraining.py")
        run = run_locally(pipeline, arguments_for(pipeline, {**given, "data_window_end": window_end}), LocalHome(folder / "home"), lambda _: None)
        summary = summarise_run(run.records)
        assert summary.outcome == "promoted", run.log_file.read_text()[-3000:]
    pages = {}
    for name, uri in summary.reports.items():
        pages[name] = folder / f"{name.replace('/', '-')}.html"
        shutil.copyfile(uri, pages[name])
    return pages


def measured(page: Path, width: int, folder: Path) -> dict[str, object]:
    """Open a page in a frame of the given width and return what a script in the browser sees."""
    frame = folder / f"{page.stem}-{width}.html"
    frame.write_text(MEASURE.format(address=page.as_uri(), width=width))
    profile = folder / f"profile-{page.stem}-{width}"
    command = [
        "chromium",
        *CHROMIUM,
        "--allow-file-access-from-files",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=4000",
        "--dump-dom",
        frame.as_uri(),
    ]
    dump = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r'<pre id="out">(.*?)</pre>', dump, re.DOTALL)
    assert found, dump[:500]
    seen: dict[str, object] = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    return seen


@pytest.mark.parametrize("width", [400, 1100])
def test_every_report_fits_its_screen_and_needs_nothing_from_outside(reports: dict[str, Path], tmp_path: Path, width: int) -> None:
    assert len(reports) == 7
    for name, page in reports.items():
        seen = measured(page, width, tmp_path)
        assert int(str(seen["width"])) <= width, f"{name} is {seen['width']} px wide on a screen of {width} px"
        assert seen["outside"] == [], name
        assert int(str(seen["text"])) > 100, name
        assert seen["title"], name
