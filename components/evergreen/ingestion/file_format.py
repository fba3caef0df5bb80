"""Detects the format of a file from its first bytes rather than its name."""

from __future__ import annotations

import zlib
from typing import Literal

from evergreen.ingestion.errors import IngestionError

FileFormat = Literal["parquet", "csv", "json"]

SAMPLE_BYTES = 65_536
PARQUET_MARK = b"PAR1"
GZIP_MARK = b"\x1f\x8b"
_DELIMITERS = (",", "\t", ";", "|")
_OTHER_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def recognise_format(start: bytes, shown: str) -> tuple[FileFormat, str]:
    """Return the format of a file, and the delimiter if it is CSV.

    Args:
        start: The first ``SAMPLE_BYTES`` bytes of the file.
        shown: Name of the file, for error messages. A file with a Parquet suffix must be Parquet.

    Raises:
        IngestionError: The file is neither Parquet nor UTF-8 text with a header or JSON objects.
    """
    if start.startswith(PARQUET_MARK):
        return "parquet", ","
    sample = _as_text(start, shown)
    if sample is None or shown.lower().endswith((".parquet", ".parq", ".pq")):
        raise IngestionError(f"source file {shown}: is not Parquet, CSV or JSON Lines (it starts with {start[:8]!r}). Write it in one of these formats.")
    if sample.lstrip().startswith("{"):
        return "json", ","
    header = sample.splitlines()[0] if sample.strip() else ""
    if not header.strip():
        raise IngestionError(f"source file {shown}: has no header; expected column names in the first line.")
    return "csv", max(_DELIMITERS, key=header.count)


def _as_text(start: bytes, shown: str) -> str | None:
    """Return the first characters of a file, decompressed if necessary; None if they are not text."""
    packed = start.startswith(GZIP_MARK)
    if packed:
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, SAMPLE_BYTES)
        except zlib.error as error:
            raise IngestionError(f"source file {shown}: is gzip-compressed but cannot be decompressed: {error}. Write it again.") from error
    encoding = next((name for mark, name in _OTHER_ENCODINGS if start.startswith(mark)), None)
    if encoding:
        raise IngestionError(f"source file {shown}: is encoded as {encoding}; expected UTF-8. Convert it, for example with: iconv -f {encoding} -t UTF-8")
    if b"\0" in start:
        return None
    try:
        return start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The sample may end in the middle of a character.
        if error.start >= len(start) - 3 and error.start > 0:
            return start[: error.start].decode("utf-8-sig")
        if packed or _is_mostly_text(start):
            raise not_utf8(shown, start[error.start]) from error
        return None


def not_utf8(shown: str, byte: int | None = None) -> IngestionError:
    """Return the error for text in another encoding."""
    found = f" (found the byte 0x{byte:02x})" if byte is not None else ""
    return IngestionError(
        f"source file {shown}: is text, but is not encoded as UTF-8{found}; it looks like Latin-1 or Windows-1252. "
        "Convert it, for example with: iconv -f WINDOWS-1252 -t UTF-8"
    )


def _is_mostly_text(start: bytes) -> bool:
    return sum(byte >= 0x20 or byte in b"\t\r\n" for byte in start) > 0.99 * len(start)
