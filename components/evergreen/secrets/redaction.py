"""Keeps the values of secret variables out of all output: logs, records, reports and the ledger.

Each value is replaced with the name of its variable: ``[EVERGREEN_APPROVAL_KEY]``. Values shorter than four characters are not masked,
nor are a few words that are common in records, such as ``none``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evergreen.secrets.values import SHORTEST, Form, SecretValue, forms_of, secret_values

if TYPE_CHECKING:
    from collections.abc import Iterator

CUT_MARK = re.compile(r"\s?(?:\u2026|\.\.\.|\\u2026|&hellip;|&#8230;|\[\.\.\.\]|\[truncated\]|<truncated>)")
"""Marks that show where text was truncated."""

MERE_END = re.compile(r"[\"'`)\]}><\n\r]|\\[nr\"']|&(?:quot|apos|lt|gt|#39|#34|#x27);")
"""Delimiters that may end a value without a truncation mark."""

_CUT_BEFORE = re.compile(r"\u2026|\.\.\.")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{0,3}={0,2}")


class Masker:
    """Finds forms of secret values in text."""

    def __init__(self, secrets: tuple[SecretValue, ...]) -> None:
        """Compute the forms of the secrets."""
        forms = [form for secret in secrets for form in forms_of(secret)]
        self.texts = frozenset(form.text for form in forms)
        self._forms = _by_head(forms)
        # Match the end of a value after an ellipsis as the start of the reversed value.
        self._backwards = _by_head([Form(form.name, form.text[::-1], form.least, len(form.text)) for form in forms if form.least < len(form.text)])
        self._stems, self._stems_backwards = _stems(self._forms), _stems(self._backwards)
        self._marks = re.compile("|".join(rf"\[{re.escape(name)}\]" for name in sorted({form.name for form in forms})))

    def matches(self, text: str, *, ended: bool = True) -> list[tuple[int, int, list[str]]]:
        """Return the positions of values, without overlaps: start, end and variable names.

        Args:
            text: The text to search.
            ended: Whether the text is complete, so that the start of a value at its end was truncated.
        """
        found = [(start, *match) for start in _places(text, self._stems) if (match := self._at(text, start, ended)) is not None]
        if ("..." in text or "\u2026" in text) and self._stems_backwards:
            found += self._ends(text)
        if not found:
            return []
        # Skip names that already replace a value: a name may itself contain another variable's value.
        marks = [mark.span() for mark in self._marks.finditer(text)]
        merged: list[tuple[int, int, list[str]]] = []
        for start, end, name in sorted(found):
            if not any(first <= start and end <= last for first, last in marks):
                _add(merged, start, end, name)
        return merged

    def mask(self, text: str) -> str:
        """Return the text with values replaced by variable names."""
        return replaced(text, self.matches(text))

    def mask_json(self, value: Any) -> Any:
        """Return a JSON value with secrets replaced by variable names, including in keys."""
        # One search over all texts is much faster than one per text, and almost none contains a secret.
        leaves = list(_leaves(value))
        if self.matches("\n".join(leaves)) or not self.texts.isdisjoint(leaves):
            return self._masked_parts(value)
        return value

    def _masked_parts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self._masked_parts(key) if isinstance(key, str) else key: self._masked_parts(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked_parts(item) for item in value]
        # A number may be a secret too, but only as a whole.
        return self.mask(str(value)) if _is_number(value) and str(value) in self.texts else value

    def _at(self, text: str, start: int, ended: bool) -> tuple[int, str] | None:
        """Return the end and the name of the longest form at a position."""
        candidates = self._forms.get(text[start : start + SHORTEST], ())
        for form in candidates:
            if text.startswith(form.text, start):
                end = start + len(form.text)
                if form.whole_words and ((start and _is_letter(text[start - 1])) or _is_letter(text[end : end + 1])):
                    continue
                return (_RUN.match(text, end).end() if form.runs_on else end), form.name  # type: ignore[union-attr]  # it also matches the empty string
        return max((cut for form in candidates if (cut := _cut(text, start, form, ended)) is not None), default=None)

    def _ends(self, text: str) -> list[tuple[int, int, str]]:
        """Return the positions of value endings that follow a truncation mark."""
        reverse, found = text[::-1], []
        for start in _places(reverse, self._stems_backwards):
            for form in self._backwards.get(reverse[start : start + SHORTEST], ()):
                length = _common(reverse, start, form.text)
                if form.least <= length < len(form.text) and _CUT_BEFORE.match(reverse, start + length):
                    found.append((len(text) - start - length, len(text) - start, form.name))
        return found


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(key)
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif _is_number(value):
        yield str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def replaced(text: str, found: list[tuple[int, int, list[str]]]) -> str:
    """Return a text with the matches of `Masker.matches` replaced by names."""
    pieces, position = [], 0
    for start, end, names in found:
        pieces += [text[position:start], *(f"[{name}]" for name in names)]
        position = end
    return "".join([*pieces, text[position:]])


def _by_head(forms: list[Form]) -> dict[str, list[Form]]:
    heads: dict[str, list[Form]] = defaultdict(list)
    for form in sorted(forms, key=lambda form: -len(form.text)):
        heads[form.text[:SHORTEST]].append(form)
    return dict(heads)


def _stems(heads: dict[str, list[Form]]) -> list[str]:
    """Return the shortest prefixes that reveal a form in a text; none is a prefix of another."""
    found: list[str] = []
    for stem in sorted({form.text[: form.least] for forms in heads.values() for form in forms}):
        if not found or not stem.startswith(found[-1]):
            found.append(stem)
    return found


def _places(text: str, stems: list[str]) -> list[int]:
    # Separate searches are many times faster than one regular expression with alternatives, which Python tries at every character.
    places = set()
    for stem in stems:
        place = text.find(stem)
        while place >= 0:
            places.add(place)
            place = text.find(stem, place + 1)
    return sorted(places)


def _add(found: list[tuple[int, int, list[str]]], start: int, end: int, name: str) -> None:
    if found and start < found[-1][1]:
        before, until, names = found[-1]
        if end > until:
            found[-1] = before, end, names if name in names else [*names, name]
    else:
        found.append((start, end, [name]))


def _cut(text: str, start: int, form: Form, ended: bool) -> tuple[int, str] | None:
    """Return the end and the name of a form that starts at a position and is truncated."""
    if form.least >= len(form.text):
        return None
    length = _common(text, start, form.text)
    end = start + length
    if length >= form.least and CUT_MARK.match(text, end):
        return end, form.name
    if length >= form.least_unmarked and ((ended and end == len(text)) or MERE_END.match(text, end)):
        return end, form.name
    return None


def _common(text: str, start: int, form: str) -> int:
    """Return how many leading characters of a form match at a position."""
    piece = text[start : start + len(form)]
    return next((index for index, (here, there) in enumerate(zip(piece, form, strict=False)) if here != there), len(piece))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def current_masker() -> Masker:
    """Return a masker for the current secret values."""
    return _masker(secret_values())


@lru_cache(maxsize=8)
def _masker(secrets: tuple[SecretValue, ...]) -> Masker:
    return Masker(secrets)


def mask(text: str) -> str:
    """Return a text with secret values, whole or truncated, replaced by their variables' names."""
    return current_masker().mask(text)


def mask_json(value: Any) -> Any:
    """Return a JSON value with secret values replaced by their variables' names."""
    return current_masker().mask_json(value)
