"""Standard output, standard error and logging without secret values, also where a value is written in pieces."""

from __future__ import annotations

import codecs
import io
import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evergreen.secrets.redaction import Masker, current_masker, mask, replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType


class MaskedStream(io.TextIOBase):
    """A text stream that passes on what is written to it, masked.

    What may be the beginning of a value is held back until more is written or the stream is released; `flush` does not bring it out, since
    who writes a value piece by piece may flush in between.
    """

    def __init__(self, target: Any) -> None:
        """Write to the target."""
        self.target = target
        self._held = ""
        self._lock = threading.RLock()
        self.buffer = MaskedBuffer(self)

    def write(self, text: str, /) -> int:
        """Take a text, and pass on what cannot be part of a value that is not complete yet."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")

        masker = current_masker()
        with self._lock:
            whole = self._held + text
            safe = len(whole) - held_back(masker, whole)
            found = masker.matches(whole, ended=False)
            for start, end, _ in found:
                # A value is passed on whole, or not yet.
                safe = start if start < safe < end else safe
            self._held = whole[safe:]
            self._pass_on(replaced(whole[:safe], [match for match in found if match[1] <= safe]))
        return len(text)

    def release(self) -> None:
        """Pass on what was held back."""
        with self._lock:
            held, self._held = self._held, ""
            self._pass_on(mask(held))
            self.target.flush()

    def _pass_on(self, text: str) -> None:
        if not text:
            return
        try:
            self.target.write(text)
        except UnicodeEncodeError:
            encoding = self.encoding or "utf-8"
            self.target.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]  # io.TextIOBase takes what has no buffer
        """Take texts one by one."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush what was passed on."""
        self.target.flush()

    def isatty(self) -> bool:
        """Return whether the target is a terminal."""
        return not self.closed and bool(self.target.isatty())

    def fileno(self) -> int:
        """Return the target's descriptor."""
        return int(self.target.fileno())

    def writable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Release what was held back; the target stays open, it belongs to the process."""
        if not self.closed:
            self.release()

    @property
    def closed(self) -> bool:
        """Whether the target is closed."""
        return bool(getattr(self.target, "closed", False))

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here
        """The target's encoding."""
        return getattr(self.target, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # read-only here
        """How the target treats what it cannot encode."""
        return getattr(self.target, "errors", None)

    def __getattr__(self, name: str) -> Any:
        """Return what else the target has, such as ``reconfigure`` and ``line_buffering``."""
        return getattr(self.target, name)

    def __del__(self) -> None:
        """Stay silent: nothing is to be closed when the stream is forgotten."""


class MaskedBuffer(io.RawIOBase):
    """The bytes' side of a masked stream."""

    def __init__(self, stream: MaskedStream) -> None:
        """Write to the stream."""
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def write(self, content: Any, /) -> int:
        """Take bytes; a character that is not complete yet waits for the rest of it."""
        taken = bytes(content)
        self._stream.write(self._decoder.decode(taken))
        return len(taken)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def __del__(self) -> None:
        """Stay silent, like the stream."""


def held_back(masker: Masker, text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a value."""
    longest = 0
    last = text[-1:]
    for form in masker.texts:
        if last not in form:
            continue
        tail = text[-(len(form) - 1) :] if len(form) > 1 else ""
        start = tail.find(form[0])
        while start >= 0 and len(tail) - start > longest:
            if form.startswith(tail[start:]):
                longest = len(tail) - start
            start = tail.find(form[0], start + 1)
    return longest


class MaskedFormatter(logging.Formatter):
    """Formats records as another formatter does, masked; the traceback is part of it."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        """Format as the inner formatter does."""
        super().__init__()
        self.inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line."""
        return mask(self.inner.format(record))


def mask_logging() -> list[tuple[logging.Handler, logging.Formatter | None]]:
    """Mask what the handlers write that the root logger and all others have now.

    Returns:
        The handlers, each with the formatter that it had.
    """
    loggers = [logging.getLogger(), *(logger for logger in list(logging.Logger.manager.loggerDict.values()) if isinstance(logger, logging.Logger))]
    handlers = {id(handler): handler for logger in loggers for handler in logger.handlers if not isinstance(handler.formatter, MaskedFormatter)}
    before = [(handler, handler.formatter) for handler in handlers.values()]
    for handler, formatter in before:
        handler.setFormatter(MaskedFormatter(formatter))
    return before


@contextmanager
def masked_output() -> Iterator[None]:
    """Mask standard output, standard error, and what logging writes, inside the block.

    An exception that leaves the block is still masked where the interpreter shows it at the end of the process. What libraries written in C
    or child processes write past Python is not seen here.
    """
    streams = sys.stdout, sys.stderr
    masked = MaskedStream(sys.stdout), MaskedStream(sys.stderr)
    hook = sys.excepthook
    formatters = mask_logging()
    sys.stdout, sys.stderr = masked
    sys.excepthook = _show_masked
    try:
        yield
    except SystemExit as error:
        sys.excepthook = hook
        # The interpreter shows a text that a program ends with.
        error.code = mask(error.code) if isinstance(error.code, str) else error.code
        raise
    except BaseException:
        # The interpreter shows it when this block is long left.
        raise
    else:
        sys.excepthook = hook
    finally:
        # Somebody else may have put a stream of their own there meanwhile.
        sys.stdout = streams[0] if sys.stdout is masked[0] else sys.stdout
        sys.stderr = streams[1] if sys.stderr is masked[1] else sys.stderr
        for stream in masked:
            stream.release()
        for handler, formatter in formatters:
            if isinstance(handler.formatter, MaskedFormatter):
                handler.setFormatter(formatter)


def _show_masked(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    import traceback

    print(mask("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)  # noqa: T201  # as the interpreter does
