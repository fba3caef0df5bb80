"""Which values are secret in this process, and the forms in which they can appear in text."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from evergreen.secrets.files import loaded_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Shorter values are not masked because they appear in any text by chance."""

SHORTEST_OF_OTHERS = 8
"""The same limit for variables that do not belong to Evergreen, MLflow or AWS."""

NOT_SECRET = frozenset(["true", "false", "none", "null", "default", "latest", "scheduled", "auto", "automatic", "required", "registry", "inferred"])
"""Common words in parameters and records. Masking them would make records unreadable, and as secrets they protect nothing."""

SECRET_PARTS = frozenset(
    [
        "KEY",
        "KEYS",
        "APIKEY",
        "TOKEN",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PGPASSWORD",
        "SECRET",
        "SECRETS",
        "COOKIE",
        "COOKIES",
        "CREDENTIAL",
        "CREDENTIALS",
        "WEBHOOK",
    ]
)
PLACES = ("_FILE", "_FILES", "_PATH", "_FOLDER", "_DIR", "_NAME", "_HOST")
"""Suffixes of variables that name the location of a secret rather than hold one."""

OPEN_KEYS = re.compile(r"MLFLOW_TRACKING_URI|.*_(?:ENDPOINT_URL|REGION|TYPES|CONFIG|HOST)")
"""Keys of the secret that are not confidential themselves; a password in such an address still is."""

USER = "MLFLOW_TRACKING_USERNAME"
IDENTITIES = (USER, "AWS_ACCESS_KEY_ID", "EVERGREEN_AWS_ACCESS_KEY_ID")
"""User names and key IDs. A common word such as ``minio`` or ``mlflow`` is not secret, and appears in addresses and other names."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class SecretValue:
    """A value that must not be shown.

    Attributes:
        name: The variable that holds the value; shown in its place.
        value: The value, or a part of it that is secret on its own.
        whole_words: Whether it is masked only where no letter or digit is adjacent, because it may be a common word.
        cut: Whether a truncated part of it is masked too.
    """

    name: str
    value: str
    whole_words: bool = False
    cut: bool = True


@dataclass(frozen=True)
class Form:
    """A form in which a value can appear in text.

    Attributes:
        name: The variable's name.
        text: The characters to look for.
        least: Minimum number of leading characters to mask where the text is truncated with a mark such as an ellipsis.
        least_unmarked: The same minimum where the text merely ends, at a quote, a line break or the end of the text.
        whole_words: As in `SecretValue`.
        runs_on: Whether following characters of the same encoding belong to it, because the end of base64 text depends on what comes next.
    """

    name: str
    text: str
    least: int
    least_unmarked: int
    whole_words: bool = False
    runs_on: bool = False


def secret_values() -> tuple[SecretValue, ...]:
    """Return the current secret values: those of variables with a secret name or loaded from the secret's files, and passwords in addresses."""
    from_files = loaded_names()
    found: dict[str, SecretValue] = {}
    # AWS_* variables may be copies of EVERGREEN_AWS_*; prefer the original name.
    for name, value in sorted(os.environ.items(), key=lambda item: (not item[0].startswith("EVERGREEN_"), item[0])):
        if len(value) >= SHORTEST:
            for secret in _values_of(name, value, name in from_files):
                if secret.value not in NOT_SECRET:
                    found.setdefault(secret.value, secret)
    user, password = os.environ.get(USER, ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if user and password:
        # The value that a request sends in its Authorization header.
        header = base64.b64encode(f"{user}:{password}".encode()).decode().rstrip("=")
        found.setdefault(header, SecretValue("MLFLOW_TRACKING_PASSWORD", header))
    return tuple(found.values())


def _values_of(name: str, value: str, from_file: bool) -> Iterator[SecretValue]:
    ours = _is_ours(name)
    if _is_secret_name(name) or name == USER or (from_file and not OPEN_KEYS.fullmatch(name)):
        weak = len(value) < SHORTEST_OF_OTHERS or (len(value) < 2 * SHORTEST_OF_OTHERS and (value.isalpha() or value.isdigit()))
        if weak and name in IDENTITIES:
            return
        if ours or len(value) >= SHORTEST_OF_OTHERS:
            # The first line of a multi-line secret is usually the same for all secrets of its kind.
            yield SecretValue(name, value, whole_words=weak and not ours, cut=len(value.splitlines()) == 1)
        if SHORTEST <= len(stripped := value.strip()) < len(value):
            yield SecretValue(name, stripped, cut=len(stripped.splitlines()) == 1)
        lines = value.splitlines()
        # A log shows a PEM key or a JSON service account line by line.
        yield from (SecretValue(name, line.strip()) for line in lines if len(lines) > 1 and len(line.strip()) >= 16 and not line.startswith("-----"))
        if "COOKIE" in name:
            yield from (SecretValue(name, part) for pair in value.split(";") if len(part := pair.partition("=")[2].strip()) >= SHORTEST_OF_OTHERS)
    if "://" in value:
        yield from (SecretValue(name, part) for part in _secrets_in_address(value) if len(part) >= SHORTEST)


@lru_cache(maxsize=1024)
def _is_ours(name: str) -> bool:
    return name.startswith(("EVERGREEN_", "AWS_", "MLFLOW_"))


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    if name.endswith(PLACES):
        return False
    return name.endswith("DATABASE_URL") or not SECRET_PARTS.isdisjoint(name.upper().split("_"))


@lru_cache(maxsize=256)
def _secrets_in_address(value: str) -> tuple[str, ...]:
    """Return the password in an address, secrets in its query, and a token used in place of a user name."""
    found: list[str] = []
    for address in re.findall(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,]+", value):
        # A password may contain an @: the host starts after the last one before the path.
        user, at, _ = re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0].rpartition("@")
        name, colon, password = user.partition(":")
        found += [password] if colon else [name] if at and len(name) >= 2 * SHORTEST_OF_OTHERS else []
        try:
            query = parse_qsl(urlsplit(address).query)
        except ValueError:
            # Brackets that do not enclose an IPv6 address.
            query = []
        found += [text for key, text in query if not SECRET_PARTS.isdisjoint(re.split(r"[_-]", key.upper())) or key.upper().endswith("PASSWORD")]
    return tuple(dict.fromkeys([*found, *(unquote(part) for part in found)]))


def forms_of(secret: SecretValue) -> list[Form]:
    """Return the forms in which a value can appear in text: literal, escaped and encoded."""
    value = secret.value
    written = [value, *({value.lower(), value.upper()} if len(value) >= SHORTEST_OF_OTHERS and not secret.whole_words else ())]
    plain = dict.fromkeys(text for text in [*written, *_percent_encoded(value), *_escaped(value)] if len(text) >= SHORTEST and text not in NOT_SECRET)
    found = [Form(secret.name, text, *_leasts(text, len(value), secret.cut), whole_words=secret.whole_words) for text in plain]
    if secret.whole_words:
        return found
    content = value.encode("utf-8", errors="surrogateescape")
    digits = content.hex()
    found.extend(Form(secret.name, text, *_leasts(text, len(value), secret.cut)) for text in dict.fromkeys((digits, digits.upper())))
    # Text that follows the value changes the last group of four.
    whole_groups = len(content) // 3 * 4
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(content).decode().rstrip("=")
        text = encoded[:whole_groups] if whole_groups >= SHORTEST_OF_OTHERS else encoded
        found.append(Form(secret.name, text, *_leasts(text, len(value), secret.cut), runs_on=True))
    return found


def _leasts(text: str, length: int, cut: bool) -> tuple[int, int]:
    """Return how many characters of a form are masked in truncated text: those that represent eight of the value, or half of a short value.

    Eight characters of a long random value leave the rest as hard to guess as before, and fewer would match common words. For a short value,
    half is already too much to show. Without a truncation mark, three quarters of a short value must match.
    """
    if not cut:
        return len(text), len(text)
    # The start of an address, up to and including its host, is not secret.
    opening = text.find("/", text.find("://") + 3) if _ADDRESS.match(text) else 0
    if _ADDRESS.match(text) and opening < 0:
        return len(text), len(text)
    stretch = len(text) / length
    least = max(SHORTEST, round(min(SHORTEST_OF_OTHERS, (length + 1) // 2) * stretch))
    unmarked = least if length >= 2 * SHORTEST_OF_OTHERS else max(SHORTEST, round((3 * length + 3) // 4 * stretch))
    return min(len(text), opening + least), min(len(text), opening + unmarked)


def _percent_encoded(value: str) -> Iterable[str]:
    try:
        encoded = {quote(value, safe=""), quote(value), quote_plus(value)}
    except UnicodeEncodeError:
        return ()
    # Ledger folder names encode more characters than URLs do.
    encoded |= {text.replace(".", "%2E").replace("~", "%7E") for text in encoded}
    lower = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in encoded}
    return sorted(encoded | lower)


def _escaped(value: str) -> Iterable[str]:
    once = {value, *_in_code(value), value.replace("'", "''"), shlex.quote(value)[1:-1] if "'" in value else value}
    texts = {escaped for text in once for escaped in (text, *_in_code(text), *_in_html(text))}
    return sorted(texts, key=len)


def _in_code(text: str) -> set[str]:
    quoted = json.dumps(text)[1:-1]
    as_bytes = repr(text.encode("utf-8", errors="surrogateescape"))[2:-1]
    escaped = repr(text)[1:-1]
    return {quoted, quoted.replace("/", "\\/"), json.dumps(text, ensure_ascii=False)[1:-1], escaped, escaped.replace('"', '\\"'), ascii(text)[1:-1], as_bytes}


def _in_html(text: str) -> set[str]:
    unquoted = html.escape(text, quote=False)
    template = unquoted.replace("'", "&#39;").replace('"', "&#34;")
    markdown = re.sub(r"([|*`\[])", r"\\\1", unquoted)
    return {unquoted, html.escape(text), template, unquoted.replace("'", "&apos;").replace('"', "&quot;"), markdown}
