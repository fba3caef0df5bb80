"""The formats of what Evergreen writes as Markdown, made from the classes that write it."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import docstring_parser
from component_catalogue import table
from reference_settings import as_markdown

from evergreen.data.artifacts import DataManifest, ModelDescription
from evergreen.deployment import published_model
from evergreen.ingestion.window_history import WindowRecord
from evergreen.performance import prediction_log
from evergreen.registry.record import KINDS, LedgerRecord
from evergreen.reporting.summary import RunSummary
from evergreen.runs.records import StepRecord

TYPE_WORDS = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "dict": "mapping", "list": "list", "tuple": "list"}


INTRODUCTION = """# File formats

The ledger and the prediction log are public formats, like the policy and the data contract: within a version fields are added, and what is there keeps its
name and meaning. All JSON is UTF-8. The ledger's folder or bucket holds:
"""

OBJECTS = [
    ("`ledger/MODEL/00000001.json`, ...", "[ledger records](#ledger-record)", "once each, never changed"),
    ("`runs/RUN_ID/STEP.json`", "[step records](#step-record)", "when a step starts, and again when it ends"),
    ("`runs/RUN_ID/STEP.REPORT.html`", "the step's report", "once"),
    ("`runs/RUN_ID.json`, `runs/RUN_ID.html`", "[run summary](#run-summary) and its page", "by `record_run`, last"),
    (
        "`recent_rows/MODEL/END.parquet`",
        "a sample of the labelled rows of a window, 2,000 at most, for [the probe](../guides/policy.md#the-probe); can be deleted",
        "once each, never changed",
    ),
    ("`windows/MODEL/STEP/END-FINGERPRINT.json`", "[window records](#window-record)", "once each, never changed"),
]


def file_page() -> str:
    """Return the page of all formats."""
    sections = {
        "Ledger record": f"The kinds are {', '.join(f'`{kind}`' for kind in KINDS)}.\n\n{_fields_table(LedgerRecord)}",
        "Step record": _fields_table(StepRecord),
        "Run summary": _fields_table(RunSummary),
        "Window record": f"{_fields_table(WindowRecord)}\n\nThe manifest, which every ingested dataset carries too:\n\n{_fields_table(DataManifest)}",
        "Model description": f"`evergreen.json`, beside the model's own files.\n\n{_fields_table(ModelDescription)}",
        "Published model": _published_model(),
        "Prediction log": _prediction_log(),
    }
    parts = [INTRODUCTION, table(("object", "what it is", "written"), OBJECTS) + "\n"]
    return "\n".join([*parts, *(f"## {title}\n\n{text}\n" for title, text in sections.items())])


def _published_model() -> str:
    (layout,) = re.findall(r"::\n\n((?:    .*\n|\n)+)", inspect.getdoc(published_model) or "")
    pointer, manifest = _fields_table(published_model.Pointer), _fields_table(published_model.Manifest)
    return (
        f"```text\n{inspect.cleandoc(layout)}\n```\n\nA reader that takes `current.json` first always sees one whole version.\n\n"
        f"`current.json`:\n\n{pointer}\n\n`manifest.json`:\n\n{manifest}"
    )


def _prediction_log() -> str:
    version_key, classes_key = prediction_log.VERSION_KEY.decode(), prediction_log.CLASSES_KEY.decode()
    return (
        f"A log is a Parquet file, or a folder of them: a server adds a file now and then. Version {prediction_log.VERSION}:\n\n{_prediction_log_table()}\n\n"
        f"The schema's metadata holds `{version_key}` (`{prediction_log.VERSION}`) and `{classes_key}`, a JSON list of the classes in their own type, in the "
        "order of the model's probabilities, empty for regression."
    )


def _fields_table(record: type) -> str:
    parsed = docstring_parser.parse(inspect.getdoc(record) or "", docstring_parser.DocstringStyle.GOOGLE)
    meanings = {parameter.arg_name: as_markdown(parameter.description) for parameter in parsed.params}
    return table(("field", "type", "meaning"), [(f"`{field.name}`", _type_text(str(field.type)), meanings[field.name]) for field in fields(record)])


def _type_text(annotation: str) -> str:
    parts = [part.strip().partition("[")[0] for part in annotation.split("|")]
    return " or ".join({"None": "null"}.get(part, TYPE_WORDS.get(part, part)) for part in parts)


def _prediction_log_table() -> str:
    """Return the table of the prediction log's docstring, whose borders say where its columns are."""
    lines = (inspect.getdoc(prediction_log) or "").splitlines()
    borders = [number for number, line in enumerate(lines) if line.startswith("====")]
    starts = [found.start() for found in re.finditer(r"=+", lines[borders[0]])]
    ends = [*starts[1:], None]
    rows = [tuple(line[start:end].strip() for start, end in zip(starts, ends, strict=True)) for line in lines[borders[1] + 1 : borders[2]]]
    return table(("column", "type", "meaning"), [(f"`{name}`", kind, meaning) for name, kind, meaning in rows])
