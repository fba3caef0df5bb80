"""Steps in children of a process that has imported what they need: whatever a step does, it ends as in a fresh interpreter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.pipeline import local_steps, preloads, warm_steps
from evergreen.pipeline.local_dag import LocalRunError, Step
from evergreen.pipeline.local_steps import StepProcesses
from evergreen.pipeline.warm_steps import StepServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUPPORT = Path(__file__).resolve().parent.parent / "support"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="steps are forked on Linux only")


class Odd:
    """Runs `odd_step`, forked and in a fresh interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = StepServer()

    def run(self, make_launch: Callable[[Any], Callable[[Step], int]], *arguments: str, own: dict[str, str] | None = None) -> tuple[int, str]:
        """Return the exit status and what was printed."""
        log_file = self.folder / f"{time.monotonic_ns()}.log"
        step = Step("odd", "image", ["python3", "-m", "odd_step", *arguments], own or {}, {}, self.folder)
        with log_file.open("w") as log:
            status = make_launch(log)(step)
        return status, log_file.read_text().removeprefix("\n=== odd\n")

    def forked(self, *arguments: str, own: dict[str, str] | None = None) -> tuple[int, str]:
        return self.run(self.server.launch, *arguments, own=own)

    def fresh(self, *arguments: str) -> tuple[int, str]:
        return self.run(StepProcesses, *arguments)

    @property
    def pid(self) -> int:
        """The process that steps are forked from."""
        assert self.server._process is not None
        return self.server._process._process.pid


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Odd]:
    for module in (local_steps, preloads, warm_steps):
        monkeypatch.setattr(module, "EXECUTOR_MODULE", "odd_step")
    monkeypatch.setattr(preloads, "EXECUTOR_NEEDS", ["evergreen.secrets.redaction"])
    # What is imported before the fork.
    monkeypatch.setattr(preloads, "NEEDS", {"draw": ["numpy.random"], "compute": ["numpy"], "read_at_import": ["reads_environment"]})
    monkeypatch.setenv("PYTHONPATH", f"{SUPPORT}:{tmp_path}")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    made = Odd(tmp_path)
    yield made
    made.server.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(*pids: int) -> bool:
    deadline = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_running, pids))


def written(file: Path) -> int:
    """Return the number that a process writes into a file."""
    deadline = time.monotonic() + 20
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(file.read_text())


def test_a_step_sees_what_it_would_see_in_a_fresh_interpreter(odd: Odd) -> None:
    forked, fresh = odd.forked("tell", "zażółć"), odd.fresh("tell", "zażółć")
    assert json.loads(forked[1]) == json.loads(fresh[1])
    assert forked[0] == fresh[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("exit", "a text"),
        ("exit_with", "0"),
        ("exit_with", "3"),
        ("exit_with", "259"),
        ("exit_with", "-1"),
        ("exit_with", "None"),
        ("exit_with", "True"),
        ("exit_with", "2.5"),
        ("exit_at_once",),
        ("kill", str(int(signal.SIGKILL))),
        ("kill", str(int(signal.SIGSEGV))),
        ("print_lines",),
        ("leave_thread",),
        ("leave_cycle",),
        ("print_in_c",),
        ("compute",),
    ],
    ids=" ".join,
)
def test_a_step_ends_as_in_a_fresh_interpreter(odd: Odd, arguments: tuple[str, ...]) -> None:
    assert odd.forked(*arguments) == odd.fresh(*arguments)


def test_statuses_are_those_that_a_run_reports(odd: Odd) -> None:
    assert odd.forked("exit_at_once")[0] == 3
    assert odd.forked("kill", "9")[0] == -signal.SIGKILL
    status, printed = odd.forked("fail", "what was wrong")
    assert status == 1
    assert printed.splitlines()[-1] == "ValueError: what was wrong"
    assert odd.forked("leave_thread") == (0, "the thread has ended\nat exit\n")
    assert odd.forked("exit") == (1, "\n")
    status, printed = odd.forked("interrupt")
    assert (status, printed.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")


def test_what_a_step_changes_is_not_seen_by_the_next(odd: Odd) -> None:
    before = odd.forked("tell")
    first = odd.pid
    assert odd.forked("change") == (0, "")
    assert odd.forked("tell") == before
    assert odd.pid == first


@pytest.mark.parametrize("behaviour", ["leave_file_open", "leave_file_open_elsewhere", "leave_bytes_open"])
def test_a_file_that_is_left_open_is_written(odd: Odd, behaviour: str) -> None:
    assert odd.forked(behaviour, str(odd.folder / "kept.txt")) == (0, "")
    assert (odd.folder / "kept.txt").read_text() == "written"


def test_a_temporary_folder_that_is_left_is_removed(odd: Odd) -> None:
    assert odd.forked("leave_folder", str(odd.folder / "name.txt"))[0] == 0
    assert not Path((odd.folder / "name.txt").read_text()).exists()


def test_what_was_left_is_destroyed(odd: Odd) -> None:
    assert odd.forked("leave_cycle") == (0, "destroyed\ndestroyed\n")


def test_the_modules_are_not_taken_apart(odd: Odd) -> None:
    """Which takes a third of a second with what a step imports."""
    assert odd.forked("say_when_taken_apart") == (0, "")
    assert odd.fresh("say_when_taken_apart") == (0, "taken apart\n")


def test_a_process_that_a_step_leaves_behind_is_not_waited_for(odd: Odd) -> None:
    started = time.monotonic()
    status, printed = odd.forked("leave_child")
    assert (status, time.monotonic() - started < 30) == (0, True)
    assert is_running(int(printed))
    os.kill(int(printed), signal.SIGKILL)


def test_steps_do_not_share_random_numbers(odd: Odd) -> None:
    first, second = (odd.forked("draw")[1].split() for _ in range(2))
    assert set(first).isdisjoint(second)


def test_a_library_that_reads_the_environment_at_import_reads_the_steps(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    (odd.folder / "reads_environment.py").write_text("import os\nVALUE = os.environ.get('READ_AT_IMPORT')\n")
    for value in ("first", "second"):
        monkeypatch.setenv("READ_AT_IMPORT", value)
        assert odd.forked("read_at_import") == (0, f"{value}\n")
    pid = odd.pid
    assert odd.forked("read_at_import", own={"READ_AT_IMPORT": "the step's own"}) == (0, "the step's own\n")
    assert odd.pid == pid


def test_a_variable_that_is_read_when_used_needs_no_new_process(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for value in ("first", "second"):
        monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", value)
        seen.append((json.loads(odd.forked("tell")[1])["environment"]["EVERGREEN_RETRY_SECONDS"], odd.pid))
    assert [value for value, _ in seen] == ["first", "second"]
    assert len({pid for _, pid in seen}) == 1


def test_steps_run_at_the_same_time(odd: Odd) -> None:
    files = [str(odd.folder / name) for name in "ab"]
    ended: list[tuple[int, str]] = []
    threads = [threading.Thread(target=lambda pair=pair: ended.append(odd.forked("meet", ":".join(pair)))) for pair in (files, files[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [(0, ""), (0, "")]


def test_a_process_with_threads_is_not_forked(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    (odd.folder / "with_thread.py").write_text("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n")
    monkeypatch.setitem(preloads.NEEDS, "print_lines", ["with_thread"])
    status, printed = odd.forked("print_lines")
    assert status == 0
    assert printed.startswith("(in a fresh interpreter: the process that steps are forked from has threads: ")
    assert printed.endswith(odd.fresh("print_lines")[1])


def test_a_process_that_has_ended_is_started_anew(odd: Odd) -> None:
    assert odd.forked("print_lines")[0] == 0
    first = odd.pid
    os.kill(first, signal.SIGKILL)
    assert wait_for_end(first)
    assert odd.forked("print_lines") == odd.fresh("print_lines")
    assert odd.pid != first


def test_a_step_whose_process_was_forked_from_one_that_is_killed_fails(odd: Odd) -> None:
    def kill_both() -> None:
        step.append(written(odd.folder / "pid"))
        os.kill(odd.pid, signal.SIGKILL)

    step: list[int] = []
    killer = threading.Thread(target=kill_both)
    killer.start()
    with pytest.raises(LocalRunError, match=r"the process that steps are forked from was killed by SIGKILL.*--isolated"):
        odd.forked("sleep", str(odd.folder / "pid"))
    killer.join()
    assert wait_for_end(*step)


def test_a_command_that_is_too_long_is_refused_as_ever(odd: Odd) -> None:
    messages = []
    for run in (odd.forked, odd.fresh):
        with pytest.raises(LocalRunError, match="200,000 characters, too many for a command line") as raised:
            run("print_lines", "x" * 200_000)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_elsewhere_than_on_linux_steps_have_interpreters_of_their_own(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_steps.sys, "platform", "darwin")
    odd.server.preload(["json"])
    status, printed = odd.forked("print_lines")
    monkeypatch.undo()
    assert status == 0
    assert "in a fresh interpreter: steps are forked on Linux only" in printed
    assert odd.server._process is None


DRIVER = """
import sys
from pathlib import Path
from evergreen.pipeline import local_steps, preloads, warm_steps
from evergreen.pipeline.local_dag import Step

for module in (local_steps, preloads, warm_steps):
    module.EXECUTOR_MODULE = "odd_step"
preloads.EXECUTOR_NEEDS = []
folder = Path(sys.argv[1])
with warm_steps.StepServer() as server, (folder / "log.txt").open("w") as log:
    server.preload(["json"])
    (folder / "server").write_text(str(server._process._process.pid))
    server.launch(log)(Step("odd", "image", ["python3", "-m", "odd_step", "sleep", str(folder / "step")], {}, {}, folder))
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_run_that_is_ended(tmp_path: Path, sent: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], env=environment, stderr=subprocess.PIPE, text=True) as driver:
        server, step = written(tmp_path / "server"), written(tmp_path / "step")
        assert is_running(server)
        assert is_running(step)
        driver.send_signal(sent)
        errors = driver.communicate(timeout=60)[1]
    assert wait_for_end(server, step)
    assert driver.returncode == -sent
    assert ("KeyboardInterrupt" in errors) == (sent == signal.SIGINT)
