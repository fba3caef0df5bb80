"""Rules for version tags, identical to those of the KFP server, so that they are checked before anything is uploaded."""

from __future__ import annotations

from collections.abc import Mapping

from evergreen.submission.errors import SubmissionError

LONGEST = 63
MOST = 20


def check_tags(tags: Mapping[str, str]) -> None:
    """Reject tags that KFP would reject.

    Raises:
        SubmissionError: There are too many tags, a name is empty or contains a dot, or a name or value is too long.
    """
    if len(tags) > MOST:
        raise SubmissionError(f"Too many tags ({len(tags)}): KFP allows at most {MOST} per version. Omit some.")
    for name, value in tags.items():
        if not name:
            raise SubmissionError(f"Tag {f'={value}'!r} has no name. Expected name=value, such as --tag commit=4f2c.")
        if "." in name:
            raise SubmissionError(f"Invalid tag {name!r}: KFP does not allow dots in tag names. Use {name.replace('.', '-')}={value}.")
        for what, text in (("name", name), ("value", value)):
            if len(text) > LONGEST:
                raise SubmissionError(f"Tag {name!r}: its {what} has {len(text)} characters; KFP allows at most {LONGEST}. Use a shorter {what}.")
