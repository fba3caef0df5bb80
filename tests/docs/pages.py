"""The blocks of the README and of the documentation's pages, with what the comment before a block says of it.

``<!-- not run: needs a cluster -->`` keeps a block from being run, with the reason; ``<!-- file: policy.yaml, read as: policy -->`` writes it to a
file, and names the reader it is meant for.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_MARK = re.compile(r"<!-- ((?:not run|file|read as): .+?) -->")
_FENCE = re.compile(r"( *)```(\{?\w*\}?)\s*$")
_OPERATORS = {"|", "||", "&&", "&", ";", "(", ")", "<", ">", ">>", "`"}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Where it stands, below the repository.
        line: The line of its fence.
        language: What the fence says.
        text: What it holds.
        not_run: Why it is not run; empty when it is.
        file: The file that it is written to; empty for none.
        read_as: The reader it is meant for; empty for none.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""
    file: str = ""
    read_as: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, each in one line."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [" ".join(line.split()) if "'" not in line and '"' not in line else line.strip() for line in lines if line.strip() and not line.startswith("#")]


def pages() -> list[Path]:
    """Return the README and the pages in the order of the table of contents."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [line for toctree in re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL) for line in toctree.splitlines() if line and not line.startswith(":")]
    return [ROOT / "README.md", DOCS / "index.md", *(DOCS / f"{name}.md" for name in listed)]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if fence is None:
            number += 1
            continue
        end = next(later for later in range(number + 1, len(lines)) if lines[later].strip() == "```")
        mark = _MARK.fullmatch(lines[number - 1].strip())
        text = dedent("\n".join(lines[number + 1 : end])) + "\n"
        found.append(Block(page.relative_to(ROOT).as_posix(), number + 1, fence[2], text, **_said(mark[1] if mark else "")))
        number = end + 1
    return found


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in some languages, in the order in which a reader meets them."""
    return [block for page in pages() for block in blocks(page) if block.language in languages]


def _said(mark: str) -> dict[str, str]:
    if mark.startswith("not run: "):
        return {"not_run": mark.removeprefix("not run: ")}
    said = dict(part.split(": ", 1) for part in mark.split(", ")) if mark else {}
    return {key.replace(" ", "_"): value for key, value in said.items()}


def programs(command: str) -> list[list[str]]:
    """Return the programs that a command line starts, each with its arguments; assignments before a program are left out."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    started: list[list[str]] = [[]]
    for word in lexer:
        if word in _OPERATORS:
            started.append([])
        elif started[-1] or not re.match(r"[A-Za-z_]+=", word):
            started[-1].append(word)
    return [words for words in started if words]
