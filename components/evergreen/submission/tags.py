"""The rules for a version's tags, which KFP's server has too: here they are said before anything is uploaded."""

from __future__ import annotations

from collections.abc import Mapping

from evergreen.submission.errors import SubmissionError

LONGEST = 63
MOST = 20


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags that KFP would refuse.

    Raises:
        SubmissionError: There are too many, or a name or value is empty, too long, or a name holds a dot.
    """
    if len(tags) > MOST:
        raise SubmissionError(f"{len(tags)} tags were given: KFP keeps at most {MOST} with a version. Leave some out.")
    for name, value in tags.items():
        if not name:
            raise SubmissionError(f"tag {f'={value}'!r}: has no name. Expected name=value, such as --tag commit=4f2c.")
        if "." in name:
            raise SubmissionError(f"tag {name!r}: KFP takes no dot in a tag's name. Write {name.replace('.', '-')}={value}.")
        for what, text in (("name", name), ("value", value)):
            if len(text) > LONGEST:
                raise SubmissionError(f"tag {name!r}: its {what} has {len(text)} characters, and KFP takes at most {LONGEST}. Give a shorter one.")
