"""What can go wrong, and with which exit code the command line answers.

    BrefineError              1   anything a user can act on
    ├── ConfigError           2   a recipe or an option is wrong
    ├── FormatError           1   a file does not follow its format (RTTM, UEM, JSON, event file)
    ├── DataError             1   a corpus is incomplete, or audio cannot be used
    ├── RunError              4   a training failed or went non-finite
    ├── CheckpointError       1   weights are torn, foreign or missing
    └── ProcessError          1   a process cannot be started, is refused, or was lost

`core` raises ValueError for a caller's bug; everything else that a user can meet is one of these, or an OSError or MemoryError of
the system: a full disk, a folder that cannot be written, no memory. Only `run_main` catches them, once in every process. Text
that a message quotes from a file is escaped, so that it cannot control a terminal; so is text in messages that are not errors.
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, Self


class BrefineError(Exception):
    """A failure in words for the user: what, where, expected, got, and what to do next.

    Args:
        what: one sentence, without a full stop.
        where: the file (`path`, `path:line`), key or recording concerned.
        expected: what would have been right.
        got: what was found instead.
        hint: the next thing to do, as a sentence or a command.
        problems: one line each, if several faults of one file or corpus are reported together.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else str(expected)
        self.got = None if got is None else str(got)
        self.hint = hint
        self.problems = tuple(problems)
        super().__init__(self._message())

    def with_hint(self, hint: str) -> Self:
        """The same error with a hint, given by a caller that knows what the file is for."""
        return type(self)(self.what, where=self.where, expected=self.expected, got=self.got, hint=hint, problems=self.problems)

    def _message(self) -> str:
        head = self.what if self.where is None else f"{one_line(self.where)}: {self.what}"
        sought = [f"expected {self.expected}"] if self.expected is not None else []
        found = [f"got {self.got}"] if self.got is not None else []
        if sought or found:
            head = f"{head} ({', '.join(sought + found)})"
        lines = [head, *(f"  {problem}" for problem in self.problems)]
        if self.hint is not None:
            lines.append(f"  → {self.hint}")
        return printable("\n".join(lines))


class ConfigError(BrefineError):
    """A recipe or an option is wrong."""

    exit_code = 2


class FormatError(BrefineError):
    """A file does not follow its format."""


class DataError(BrefineError):
    """A corpus is incomplete, or audio cannot be used."""


class RunError(BrefineError):
    """A training failed or went non-finite."""

    exit_code = 4


class CheckpointError(BrefineError):
    """Weights are torn, foreign or missing."""


class ProcessError(BrefineError):
    """A process cannot be started, is refused, or was lost."""


def hint_of(faults: Iterable[BrefineError], *others: str) -> str | None:
    """The hint for faults that are listed together: each fault's hint once, after its `what`; then the others."""
    hints = dict.fromkeys(f"{fault.what}: {fault.hint}" for fault in faults if fault.hint is not None)
    return "\n  → ".join([*hints, *others]) or None


def printable(text: str) -> str:
    """The text with every character escaped that a terminal would obey or that cannot be printed; line breaks and tabs stay."""
    # line by line: few lines of a long table, if any, must be checked character by character
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    return "".join(one if one.isprintable() or one == "\t" else repr(one)[1:-1] for one in line)


def one_line(path: object) -> str:
    """A path, or another name, as `printable` shows it, with line breaks and tabs escaped, so that it stays on one line."""
    return printable(str(path)).replace("\n", "\\n").replace("\t", "\\t")


def tell(message: str) -> None:
    """Prints a message for the person on stderr, as `printable` shows it; never part of the result.

    If the terminal has closed, the message is lost, but the work goes on.
    """
    try:
        print(printable(message), file=sys.stderr, flush=True)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # nobody reads later messages either


OUT_OF_MEMORY = re.compile(
    r"out of memory|MemoryError|can(.t|not) allocate memory|bad_alloc|could not create a (primitive|memory object)"
    r"|failed to map segment from shared object|can.t start new thread"
    r"|error return without exception set|returned NULL without setting an exception",
    re.IGNORECASE,
)
"""How libraries report it: Python's allocators, the system's, torch's, oneDNN's, the dynamic linker, a new thread's stack;
and compiled code that found no room for its exception."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or its cause, reports a lack of memory; not every library raises a `MemoryError` for it."""
    before = error.__cause__ or error.__context__
    told = isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)) is not None
    return told or (before is not None and is_out_of_memory(before))


SIGNALS_VARIABLE = "BREFINE_SIGNALS"
"""Environment variable: the descriptor to which a process writes the signals that reach it, a byte each, for its parent."""
TIED_VARIABLE = "BREFINE_TIED"
"""Environment variable: set if a process is to end, as SIGTERM ends it, once nobody reads its signals: its parent was killed."""


def _tell_signals() -> None:
    # not for this one's children, which do not have the descriptor
    told, tied = os.environ.pop(SIGNALS_VARIABLE, None), os.environ.pop(TIED_VARIABLE, None)
    if told is not None:
        signal.set_wakeup_fd(int(told), warn_on_full_buffer=False)
        if tied is not None:
            threading.Thread(target=_end_unread, args=(int(told),), daemon=True).start()


def _end_unread(descriptor: int) -> None:
    unread = select.poll()
    unread.register(descriptor, 0)  # asked for nothing, it tells errors alone: that the pipe has no reader any more
    unread.poll()
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)  # the signal would be told to nobody, and Python complain
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM (`timeout`, a scheduler, a shutdown) and SIGHUP (a terminal that closes) end the work in here as Ctrl-C does.

    A signal that is ignored, as SIGHUP under `nohup`, stays ignored. See `interrupted_code`.
    """
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in numbers:  # kernel and shell both signal a closed terminal: a second signal would break off the clean-up
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    earlier = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def interrupted_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code for the signal that has interrupted: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)


def stop_writing() -> int:
    """Discards further output, since nobody reads it any more; returns the exit code for this."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _escape_what_cannot_be_encoded() -> None:
    """A dash in an ASCII locale, or a byte of a file's name that is not UTF-8, must not cost a result."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # stdout is None after `>&-`
            stream.reconfigure(errors="backslashreplace")


def words_of(error: BrefineError | OSError) -> str:
    """The message for a person; for an error of the system, such as a full disk, the file and the reason."""
    if isinstance(error, BrefineError):
        return str(error)
    where = "" if error.filename is None else f"{one_line(error.filename)}: "
    return printable(f"{where}{error.strerror or error}")


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Ends the process with the exit code of `main`; a `BrefineError` is printed as its message, without a traceback."""
    if sys.stderr is None:  # `2>&-`: messages would else go to stdout, into the result
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    _escape_what_cannot_be_encoded()
    try:
        try:
            _tell_signals()
            code = main() or 0
        finally:
            if sys.stdout is not None:  # `>&-`
                sys.stdout.flush()  # here, where a closed pipe changes the exit code, and not at the interpreter's end
    except BrefineError as error:
        print(f"brefine: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt as interrupt:
        code = interrupted_code(interrupt)
    except BrokenPipeError:  # `brefine … | head`
        code = stop_writing()
    except OSError as error:  # a full disk, a folder that may not be written into, a network disk that is gone
        print(f"brefine: {words_of(error)}", file=sys.stderr)
        code = 1
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(
            "brefine: out of memory\n  → close other programs, or use a machine with more; what was finished is kept",
            file=sys.stderr,
        )
        code = 1
    sys.exit(code)
