"""What the pages have to hold: every command, option, message and variable that they speak of, and links that lead somewhere."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from docs.pages import DOCS, ROOT, all_blocks, pages, programs

sys.path.insert(0, str(ROOT / "scripts"))

from reference_commands import commands, options_of

SOURCE = ROOT / "components" / "evergreen"


def test_the_readme_is_one_page_and_warns_of_the_licence_before_anything_is_installed() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert text.index("Business Source License") < text.index("```bash")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_pictures_are_small() -> None:
    large = {picture.name: picture.stat().st_size for picture in (DOCS / "images").iterdir() if picture.stat().st_size > 200_000}
    assert large == {}


def test_every_command_and_option_is_in_the_reference_and_explained() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## evergreen (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert {name for name, _ in commands()} == set(sections)
    for name, command in commands():
        assert command.help, f"evergreen {name} has no help"
        for option in options_of(command):
            assert option.help, f"evergreen {name} {option.opts[0]} has no help"
            assert all(re.search(rf"`{spelled}[ `]", sections[name]) for spelled in (*option.opts, *option.secondary_opts)), f"evergreen {name} {option.opts}"


def test_every_command_is_shown_in_a_guide() -> None:
    shown = [" ".join(words[1:]) for block in all_blocks("bash") for command in block.commands for words in programs(command) if words[0] == "evergreen"]
    hidden = [name for name, _ in commands() if name != "version" and not any(f"{line} ".startswith(f"{name} ") for line in shown)]
    assert hidden == [], "show it in a guide of docs/, in a block that is run or says why it is not"


def test_every_component_and_pipeline_is_in_the_reference() -> None:
    import evergreen

    components = (DOCS / "reference" / "components.md").read_text(encoding="utf-8")
    assert [name for name in evergreen.__all__ if name != "__version__" and f"\n## {name}\n" not in components] == []
    pipelines = (DOCS / "reference" / "pipelines.md").read_text(encoding="utf-8")
    assert [file.stem for file in (ROOT / "pipelines").glob("*.py") if f"\n## {file.stem}\n" not in pipelines] == []


def test_every_environment_variable_is_documented() -> None:
    text = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    used = {name for literal, _ in _literals() for name in re.findall(r"\bEVERGREEN_[A-Z_]*[A-Z]\b", literal)} - {"EVERGREEN_AWS"}
    assert len(used) > 10
    assert sorted(name for name in used if f"`{name}`" not in text) == []


def test_the_runbook_quotes_messages_that_the_code_has() -> None:
    headings = re.findall(r"^### (.+)$", (DOCS / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [message for heading in headings for message in re.findall(r"`([^`]+)`", heading)]
    assert len(quoted) > 30
    messages = [literal for literal, is_docstring in _literals() if not is_docstring]
    gone = [message for message in quoted if not any(re.search(".*?".join(map(re.escape, message.split("…"))), literal, re.DOTALL) for literal in messages)]
    assert gone == [], "the code says it otherwise now: correct the runbook's heading"


def test_every_message_of_the_runbook_says_what_happened_what_is_safe_and_what_to_do() -> None:
    entries = re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", (DOCS / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    wanted = ("- **What happened.**", "- **What is safe.**", "- **What to do.**")
    assert [heading for heading, text in entries if not all(part in text for part in wanted)] == []


@cache
def _literals() -> list[tuple[str, bool]]:
    """Return every text in the code, and whether it is a docstring; what an f-string fills in is left out."""
    return list(_read_literals())


def _read_literals() -> Iterator[tuple[str, bool]]:
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values), False
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value, id(node) in docstrings
