"""Standard output, standard error and logging with secret values masked, even when a value is written in pieces."""

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
    """A text stream that masks what is written to it and forwards it.

    Text that may be the start of a value is held back until more is written or the stream is released. `flush` does not emit it, because
    the writer may flush between the pieces of a value.
    """

    def __init__(self, target: Any) -> None:
        """Forward masked text to the target."""
        self.target = target
        self._held = ""
        self._lock = threading.RLock()
        self.buffer = MaskedBuffer(self)

    def write(self, text: str, /) -> int:
        """Accept text, and forward what cannot be part of an incomplete value."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")

        masker = current_masker()
        with self._lock:
            whole = self._held + text
            safe = len(whole) - held_back(masker, whole)
            found = masker.matches(whole, ended=False)
            for start, end, _ in found:
                # Never split a value: forward it whole or hold it back.
                safe = start if start < safe < end else safe
            self._held = whole[safe:]
            self._pass_on(replaced(whole[:safe], [match for match in found if match[1] <= safe]))
        return len(text)

    def release(self) -> None:
        """Forward the text that was held back."""
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

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]  # io.TextIOBase also accepts objects without a buffer
        """Write texts one by one."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush what was forwarded."""
        self.target.flush()

    def isatty(self) -> bool:
        """Return whether the target is a terminal."""
        return not self.closed and bool(self.target.isatty())

    def fileno(self) -> int:
        """Return the target's file descriptor."""
        return int(self.target.fileno())

    def writable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Release the text that was held back; the target belongs to the process and stays open."""
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
        """The target's handling of characters that it cannot encode."""
        return getattr(self.target, "errors", None)

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the target, such as ``reconfigure`` and ``line_buffering``."""
        return getattr(self.target, name)

    def __del__(self) -> None:
        """Do nothing: garbage collection must not close the target."""


class MaskedBuffer(io.RawIOBase):
    """The binary buffer of a masked stream."""

    def __init__(self, stream: MaskedStream) -> None:
        """Forward decoded bytes to the stream."""
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def write(self, content: Any, /) -> int:
        """Accept bytes; an incomplete character waits for its remaining bytes."""
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
        """Do nothing, like the stream."""


def held_back(masker: Masker, text: str) -> int:
    """Return how many characters at the end of a text may be the start of a value."""
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
    """Masks the output of another formatter, including tracebacks."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        """Wrap the inner formatter."""
        super().__init__()
        self.inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line."""
        return mask(self.inner.format(record))


def mask_logging() -> list[tuple[logging.Handler, logging.Formatter | None]]:
    """Mask the output of all handlers that are currently attached to any logger.

    Returns:
        The handlers, each with its previous formatter.
    """
    loggers = [logging.getLogger(), *(logger for logger in list(logging.Logger.manager.loggerDict.values()) if isinstance(logger, logging.Logger))]
    handlers = {id(handler): handler for logger in loggers for handler in logger.handlers if not isinstance(handler.formatter, MaskedFormatter)}
    before = [(handler, handler.formatter) for handler in handlers.values()]
    for handler, formatter in before:
        handler.setFormatter(MaskedFormatter(formatter))
    return before


@contextmanager
def masked_output() -> Iterator[None]:
    """Mask standard output, standard error and logging inside the block.

    An exception that escapes the block is still masked when the interpreter prints it at the end of the process. Output that C libraries or
    child processes write without going through Python is not masked.
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
        # The interpreter prints the text that a program exits with.
        error.code = mask(error.code) if isinstance(error.code, str) else error.code
        raise
    except BaseException:
        # The interpreter prints it long after this block has ended.
        raise
    else:
        sys.excepthook = hook
    finally:
        # Other code may have replaced the stream in the meantime.
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
