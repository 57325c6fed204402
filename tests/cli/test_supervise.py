"""Children beside each other: restarted, stopped together, never outliving their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from gateway.cli.supervise import Child, Supervisor

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def supervise(*children, grace_s=5.0, monotonic=time.monotonic):
    told = []
    return Supervisor(children, os.environ, grace_s=grace_s, tell=told.append, monotonic=monotonic), told


def soon(condition):
    for _ in range(400):
        if condition():
            return True
        threading.Event().wait(0.025)
    return False


def stop_when(condition):
    """Sends this process SIGTERM once `condition` holds, or after ten seconds."""

    def wait():
        soon(condition)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_signal_stops_every_child_and_ends_with_0():
    supervisor, _ = supervise(Child("a", SLEEPER, vital=True), Child("b", SLEEPER, vital=False))
    stopped = []
    thread = stop_when(lambda: all(kept.process is not None for kept in supervisor._kept))
    assert supervisor.run(lambda: stopped.append(True)) == 0
    thread.join()
    assert stopped == [True]
    assert [kept.process.poll() for kept in supervisor._kept] == [-signal.SIGTERM] * 2


@pytest.mark.parametrize(("status", "result"), [(3, 3), (0, 1)])
def test_a_vital_child_that_ends_ends_all(status, result):
    supervisor, told = supervise(
        Child("a", [sys.executable, "-c", f"raise SystemExit({status})"], vital=True), Child("b", SLEEPER, vital=False)
    )
    assert supervisor.run(lambda: None) == result
    assert told == [f"a ended with status {status}"]
    assert supervisor._kept[1].process.poll() == -signal.SIGTERM


def test_another_child_is_started_again_after_a_wait_that_grows(tmp_path):
    clock = iter(range(0, 10_000, 2))
    note = tmp_path / "starts"
    program = f"open({str(note)!r}, 'a').write('x')"
    supervisor, told = supervise(
        Child("a", SLEEPER, vital=True),
        Child("b", [sys.executable, "-c", program], vital=False),
        monotonic=lambda: float(next(clock)),
    )
    thread = stop_when(lambda: note.exists() and len(note.read_text()) >= 3)
    supervisor.run(lambda: None)
    thread.join()
    assert len(note.read_text()) >= 3
    assert told[0].endswith("started again in 1 s")
    assert told[1].endswith("started again in 2 s")


def test_a_child_that_will_not_end_is_killed(tmp_path):
    note = tmp_path / "deaf"
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(note)!r}, 'w').close(); time.sleep(60)"
    )
    supervisor, told = supervise(Child("a", [sys.executable, "-c", deaf], vital=True), grace_s=0.1)
    thread = stop_when(note.exists)
    assert supervisor.run(lambda: None) == 1
    thread.join()
    assert supervisor._kept[0].process.poll() == -signal.SIGKILL
    assert told == ["a did not end within 0.1 s and is killed"]


def test_children_do_not_outlive_a_killed_supervisor(tmp_path):
    program = """
        import os, sys, time
        from gateway.cli.supervise import Child, Supervisor
        child = Child("a", [sys.executable, "-c", "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid()))\\ntime.sleep(60)", sys.argv[1]], vital=True)
        Supervisor([child], os.environ, grace_s=1, tell=print, monotonic=time.monotonic).run(lambda: None)
    """
    note = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(note)])
    assert soon(lambda: note.exists() and note.read_text())
    child = int(note.read_text())
    process.kill()
    process.wait()
    assert soon(lambda: not _lives(child))


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
