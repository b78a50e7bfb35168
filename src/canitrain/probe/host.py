"""The one door through which the probe looks at a machine: every failure comes back as ``Unknown(reason)``."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.probe.sources import Platform, Sources, Volume

T = TypeVar("T")
U = TypeVar("U")


class TimeLimits(Struct, frozen=True, kw_only=True):
    """How long the probe waits: one that hangs is worse than one that knows less."""

    total_s: float = 2.2
    """The whole probe; what is asked later is unknown."""
    call_s: float = 0.8
    """One file, folder or NVML query."""
    start_s: float = 2.0
    """NVML's start, which wakes every card, and programs."""


HANGS, NOT_THERE = "no answer in time", "not there"
"""How reasons end that other files tell apart."""


class _Worker:
    """A daemon thread that answers one question at a time, and is left behind when it hangs."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[object, Exception | None]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="canitrain-probe").start()

    def _serve(self) -> None:
        while True:
            question = self._questions.get()
            try:
                self._answers.put((question(), None))
            except Exception as error:  # noqa: BLE001 - whatever a driver raises is an answer
                self._answers.put((None, error))

    def ask(self, question: Callable[[], object], limit_s: float) -> object:
        """The answer; raises what the question raised, or ``queue.Empty`` after ``limit_s``."""
        self._questions.put(question)
        answer, error = self._answers.get(timeout=limit_s)
        if error is not None:
            raise error
        return answer


def failure_text(error: BaseException) -> str:
    """What went wrong, for a reader, without a trace and without a path."""
    for kinds, text in _FAILURES:
        if isinstance(error, kinds):
            return text
    if isinstance(error, subprocess.CalledProcessError):
        return f"exited with {error.returncode}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]


_FAILURES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((FileNotFoundError, NotADirectoryError), NOT_THERE),
    ((PermissionError,), "permission denied"),
    ((queue.Empty, subprocess.TimeoutExpired, TimeoutError), HANGS),
    ((ModuleNotFoundError,), "the Python package is not installed"),
)


class Host:
    """A machine behind its sources. No method raises; each answer is ``Known`` or ``Unknown`` with the reason."""

    def __init__(self, sources: Sources, limits: TimeLimits | None = None) -> None:
        """Look at ``sources``, from now on and within ``limits``."""
        self._sources = sources
        self._limits = limits or TimeLimits()
        self._worker = _Worker()
        self._end_s = time.monotonic() + self._limits.total_s
        self._files: dict[str, Known[object] | Unknown] = {}
        self._nvml_hangs = False
        self.platform: Known[Platform] | Unknown = self._ask("platform", sources.platform, Platform)
        self.environment_read: Known[dict[str, str]] | Unknown = self._ask("environment", sources.environment, dict)
        read = self.environment_read
        self.environment: dict[str, str] = read.value if isinstance(read, Known) else {}

    @property
    def system(self) -> str:
        """``Linux``, ``Darwin``, ``Windows``, or ``""`` where even that is unknown."""
        return self.platform.value.system if isinstance(self.platform, Known) else ""

    def read(self, path: str) -> Known[str] | Unknown:
        """Text of a file, without the last line break. A file is read once."""
        return self._once(path, lambda: self._sources.read(path).rstrip("\n"), str)

    def names(self, path: str) -> Known[tuple[str, ...]] | Unknown:
        """Names in a folder, which is listed once."""
        return self._once(path.rstrip("/") + "/", lambda: self._sources.names(path), tuple)

    def resolve(self, path: str) -> Known[str] | Unknown:
        """The path with symbolic links followed."""
        return self._once(f"realpath {path}", lambda: self._sources.resolve(path), str)

    def volume(self, path: str) -> Known[Volume] | Unknown:
        """Room on the file system that holds ``path``, in bytes."""
        return self._ask(f"statvfs {path}", lambda: self._sources.volume(path), Volume)

    def writable(self, path: str) -> Known[bool] | Unknown:
        """Whether this user may create files in the folder."""
        return self._ask(f"access {path}", lambda: self._sources.writable(path), bool)

    def run(self, *command: str) -> Known[str] | Unknown:
        """Standard output of a program."""
        limit_s = min(self._limits.start_s, max(self._end_s - time.monotonic(), 0.01))
        return self._ask(" ".join(command), lambda: self._sources.run(command, limit_s), str, limit_s)

    def psutil(self, name: str, kind: type[T]) -> Known[T] | Unknown:
        """One of psutil's answers (see ``Sources.psutil``)."""
        return self._ask(f"psutil.{name}", lambda: self._sources.psutil(name), kind)

    def windows_disk(self, path: str) -> Known[dict[str, object]] | Unknown:
        """What Windows says of the disk under ``path`` (see ``Sources.windows_disk``)."""
        return self._ask("DeviceIoControl", lambda: self._sources.windows_disk(path), dict)

    def cpuinfo(self) -> Known[str] | Unknown:
        """py-cpuinfo's JSON from the cache (see ``Sources.cpuinfo``)."""
        return self._ask("py-cpuinfo", self._sources.cpuinfo, str)

    def nvml(self, function: str, kind: type[T], *arguments: object) -> Known[T] | Unknown:
        """One NVML call by its name in pynvml. Once a call has hung, the driver is stuck and no other is made."""
        if self._nvml_hangs:
            return _failed(function, f"{HANGS} before")
        limit_s = self._limits.start_s if function == "nvmlInit" else self._limits.call_s
        answer = self._ask(function, lambda: self._sources.nvml(function, *arguments), kind, limit_s)
        self._nvml_hangs = isinstance(answer, Unknown) and answer.reason.endswith(HANGS)
        return answer

    def _once(self, source: str, question: Callable[[], object], kind: type[T]) -> Known[T] | Unknown:
        """Ask, or give the same answer again: a file that hung once is not waited for twice."""
        if source not in self._files:
            self._files[source] = self._ask(source, question, kind)
        return self._files[source]  # type: ignore[return-value]

    def _ask(
        self, source: str, question: Callable[[], object], kind: type[T], limit_s: float | None = None
    ) -> Known[T] | Unknown:
        """Ask within the limits and check that the answer is of ``kind``."""
        left_s = min(limit_s or self._limits.call_s, self._end_s - time.monotonic())
        if left_s <= 0:
            return _failed(source, HANGS)
        try:
            answer = self._worker.ask(question, left_s)
        except Exception as error:  # noqa: BLE001 - every failure is a reason
            if isinstance(error, queue.Empty):
                self._worker = _Worker()  # the old one may never come back
            return _failed(source, failure_text(error))
        # bool is an int to Python, but True is no count of cores
        if not isinstance(answer, kind) or (isinstance(answer, bool) and kind is not bool and kind is not object):
            return _failed(source, f"unexpected answer of type {type(answer).__name__}")
        return Known(value=answer, source=source)


def _failed(source: str, failure: str) -> Unknown:
    return Unknown(reason=f"{source}: {failure}")


def is_absent(fact: Unknown) -> bool:
    """Whether the file or folder that was asked for does not exist; any other failure leaves open whether it does."""
    return fact.reason.endswith(NOT_THERE)


def derive(fact: Known[T] | Unknown, how: Callable[[T], U], source: str | None = None) -> Known[U] | Unknown:
    """``how`` applied to a known value; a value that ``how`` cannot make sense of (ValueError and kin) is unknown."""
    if isinstance(fact, Unknown):
        return fact
    try:
        return Known(value=how(fact.value), source=source or fact.source)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError):
        return Unknown(reason=f"{fact.source}: makes no sense: {str(fact.value)[:40]!r}")


def first_known(*facts: Known[T] | Unknown) -> Known[T] | Unknown:
    """The first fact that is known, else the first reason."""
    return next((fact for fact in facts if isinstance(fact, Known)), facts[0])


def positive(text: float | str) -> int:
    """A whole number above zero; raises ValueError for anything else."""
    number = int(text)
    if number <= 0:
        raise ValueError(text)
    return number


def not_negative(text: float | str) -> int:
    """A whole number, zero or more; raises ValueError for anything else."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def filled(text: object) -> str:
    """``text`` without runs of blanks; raises ValueError where it is empty or no text."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError(text)
    return " ".join(text.split())
