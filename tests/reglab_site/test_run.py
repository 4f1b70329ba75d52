from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from reglab_site import run as runner
from reglab_site.__main__ import main
from reglab_site.artefact import Artefact
from reglab_site.errors import SiteError, SiteErrors
from reglab_site.project import Project

Write = Callable[[str, str], Path]


def run(project: Project, *names: str, jobs: int | None = None, force: bool = False) -> dict[str, Artefact]:
    return runner.run(project, names, jobs=jobs, force=force, progress=False)


def failure(project: Project) -> SiteError:
    """The one error of a project's run."""
    with pytest.raises(SiteError) as caught:
        run(project)
    return caught.value


def ends(pid: int) -> bool:
    """Whether a process ends within some seconds; one that nobody has waited for counts as ended."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


# What a run leaves


def test_cells_share_a_namespace_and_print_each_their_own(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/hello.py",
        """\
        # %% first
        import sys
        name = "world"
        print("one", end="")

        # %% second
        print(f"hello {name}", __name__, __file__.endswith("snippets/tiny/hello.py"), len(sys.argv))

        # %% check
        assert name == "world"
        assert name
        """,
    )
    artefact = run(project)["tiny/hello"]
    assert [cell.name for cell in artefact.cells] == ["first", "second", "check"]
    assert [cell.stdout for cell in artefact.cells] == ["one", "hello world __main__ True 1\n", ""]
    assert artefact.cell("check").code == 'assert name == "world"\nassert name'
    assert artefact.assertions == 2
    assert artefact.machine == runner.machine()
    assert set(artefact.versions) == {"python", "torch", "numpy", "matplotlib"}


def test_values_are_plain(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/values.py",
        """\
        # %% values
        import math
        from collections import Counter
        import numpy as np
        import torch
        steps, rate, on, nothing, text = 3, 0.5, True, None, "two\\nlines"
        losses = [torch.tensor(0.25), np.float64(2.5), (1, 2)]
        by_name = {"a": {"b": np.int64(7)}}
        parameter = torch.nn.Parameter(torch.ones(1))
        counted = Counter("aab")
        infinite, undefined = math.inf, math.nan
        tensor, array = torch.zeros(2), np.zeros(2)
        large, by_number, cycle = list(range(2001)), {1: 2}, []
        cycle.append(cycle)
        huge, surrogate, _private = 10**5000, "\\ud800", 1
        def function(): ...
        """,
    )
    values = run(project)["tiny/values"].values
    assert values.pop("undefined") != values.get("undefined")
    assert values == {
        "steps": 3,
        "rate": 0.5,
        "on": True,
        "nothing": None,
        "text": "two\nlines",
        "losses": [0.25, 2.5, [1, 2]],
        "by_name": {"a": {"b": 7}},
        "parameter": 1.0,
        "counted": {"a": 2, "b": 1},
        "infinite": float("inf"),
    }
    assert run(project)["tiny/values"].values["losses"] == [0.25, 2.5, [1, 2]]


def test_it_is_a_script_like_any_other(project: Project, write: Write) -> None:
    """`from __future__` holds for all cells, and dataclasses, pickle and inspect find their module."""
    write(
        "snippets/tiny/script.py",
        """\
        # %% setup
        from __future__ import annotations
        import dataclasses, inspect, os, pickle, torch

        @dataclasses.dataclass
        class Point:
            x: int

            def double(self) -> int:
                return 2 * self.x

        # %% use
        def later(x: Undefined) -> int: ...
        print(pickle.loads(pickle.dumps(Point(3))).double(), later.__annotations__["x"])
        print(inspect.getsource(Point.double).strip().splitlines()[-1].strip())
        print(os.listdir(), torch.get_num_threads(), {"a", "b", "c", "d"} == {"d", "c", "b", "a"})
        """,
    )
    printed = run(project)["tiny/script"].cell("use").stdout.splitlines()
    assert printed == ["6 Undefined", "return 2 * self.x", "[] 1 True"]


def test_what_it_leaves_running_is_ended(project: Project, write: Write, tmp_path: Path) -> None:
    write(
        "snippets/tiny/leaves.py",
        f"""\
        # %% leaves
        import pathlib, subprocess, threading, time
        child = subprocess.Popen(["sleep", "600"])
        pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
        threading.Thread(target=time.sleep, args=(600,)).start()
        """,
    )
    start = time.monotonic()
    assert run(project)["tiny/leaves"].seconds < 30
    assert time.monotonic() - start < 30
    pid = int((tmp_path / "pid").read_text())
    assert ends(pid)


TRANSLATED = """\
msgid ""
msgstr ""
"Language: zh\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

msgctxt "figure"
msgid "step"
msgstr "步数"
"""


def test_figures_belong_to_the_cell_that_leaves_them_open(project: Project, write: Write) -> None:
    write("locale/zh.po", TRANSLATED)
    write(
        "snippets/tiny/drawn.py",
        """\
        # %% setup
        import matplotlib.pyplot as plt

        # %% fit
        fig, ax = plt.subplots()
        ax.plot([1, 2])
        ax.set_xlabel("step")

        # %% several
        for name in ("named", None):
            fig, ax = plt.subplots(num=name)
            ax.plot([1, 2])
        """,
    )
    artefact = run(project)["tiny/drawn"]
    assert [[figure.name for figure in cell.figures] for cell in artefact.cells] == [
        [],
        ["fit"],
        ["named", "several_2"],
    ]
    assert artefact.translations == {"step": "步数"}
    assert "步数" in artefact.figures["fit"].svg["zh"]
    assert "步数" not in artefact.figures["fit"].svg["en"]
    again = run(project, force=True)["tiny/drawn"]
    assert again.figures == artefact.figures  # to the byte
    write("locale/zh.po", TRANSLATED.replace("步数", "步"))
    assert "步数" not in run(project)["tiny/drawn"].figures["fit"].svg["zh"]


def test_all_that_is_wrong_with_figures_is_said(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/drawn.py",
        """\
        # %% fit
        import matplotlib.pyplot as plt
        for name in ("Fit!", "fit", "other"):
            fig, ax = plt.subplots(num=name)
            ax.plot([1, 2])
            ax.set_xlabel("unknown word")
        """,
    )
    with pytest.raises(SiteErrors) as caught:
        run(project)
    messages = [error.message for error in caught.value.errors]
    assert messages[0] == "'Fit!' is no figure name"
    assert len(messages) == 3
    assert all("unknown word" in message for message in messages[1:])


def test_a_malformed_catalogue_is_said_once(project: Project, write: Write) -> None:
    write("snippets/tiny/one.py", "# %% one\nx = 1\n")
    write("snippets/tiny/two.py", "# %% one\nx = 1\n")
    write("locale/zh.po", TRANSLATED.replace('"步数"', "步数"))
    assert failure(project).file == project.catalogue


# When it runs


def counting(tmp_path: Path) -> str:
    return f"""\
        # %% count
        import time
        from helper import number
        with open({str(tmp_path / "runs")!r}, "a") as file:
            file.write("x")
        time.sleep(0.5)
        """


def count(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text())


def test_it_runs_once_until_its_imports_change(project: Project, write: Write, tmp_path: Path) -> None:
    write("snippets/tiny/counted.py", counting(tmp_path))
    write("src/helper.py", "number = 1\n")
    write("src/unrelated.py", "number = 1\n")
    first = run(project)["tiny/counted"]
    assert run(project)["tiny/counted"] == first
    assert count(tmp_path) == 1
    write("src/unrelated.py", "number = 2\n")
    assert run(project)["tiny/counted"] == first
    assert count(tmp_path) == 1
    write("src/helper.py", "number = 2\n")  # of the same size within the same second
    assert run(project)["tiny/counted"].values["number"] == 2
    assert count(tmp_path) == 2
    run(project, force=True)
    assert count(tmp_path) == 3


def test_a_result_is_not_published_for_modules_edited_meanwhile(project: Project, write: Write) -> None:
    helper = write("src/helper.py", "number = 1\n")
    write(
        "snippets/tiny/edits.py",
        f"""\
        # %% edit
        import pathlib
        from helper import number
        pathlib.Path({str(helper)!r}).write_text("number = 2\\n")
        """,
    )
    assert run(project)["tiny/edits"].values["number"] == 2


def test_a_snippet_whose_modules_never_rest(project: Project, write: Write) -> None:
    helper = write("src/helper.py", "number = 1\n")
    write(
        "snippets/tiny/edits.py",
        f"""\
        # %% edit
        import pathlib
        from helper import number
        pathlib.Path({str(helper)!r}).write_text(f"number = {{number + 1}}\\n")
        """,
    )
    assert "change while it runs" in failure(project).message


@pytest.mark.parametrize("damage", ["half", "altered", "empty", "not json", "not utf-8"])
def test_a_damaged_entry_is_healed(project: Project, write: Write, tmp_path: Path, damage: str) -> None:
    write("snippets/tiny/counted.py", counting(tmp_path))
    write("src/helper.py", "number = 123\n")
    artefact = run(project)["tiny/counted"]
    (entry,) = (project.cache / "runs" / "counted").glob("*.json")
    whole = entry.read_text(encoding="utf-8")
    assert json.loads(whole)["artefact"]["values"] == {"number": 123}
    if damage == "half":
        entry.write_text(whole[: len(whole) // 2], encoding="utf-8")
    elif damage == "altered":
        entry.write_text(whole.replace("123", "321"), encoding="utf-8")
    elif damage == "empty":
        entry.write_bytes(b"")
    elif damage == "not json":
        entry.write_text("no artefact", encoding="utf-8")
    else:
        entry.write_bytes(b"\xff\xfe")
    healed = run(project)["tiny/counted"]
    assert healed.values == artefact.values
    assert count(tmp_path) == 2
    assert json.loads(entry.read_text(encoding="utf-8"))["artefact"]["values"] == {"number": 123}


def test_two_builds_at_once_run_it_once(project: Project, write: Write, tmp_path: Path) -> None:
    """From a script without `if __name__ == "__main__"`, as console scripts may be: workers do not run that again."""
    write("snippets/tiny/counted.py", counting(tmp_path))
    write("src/helper.py", "number = 1\n")
    script = write(
        "script.py",
        f"""\
        import sys
        from reglab_site.__main__ import main
        with open({str(tmp_path / "scripts")!r}, "a") as file:
            file.write("x")
        sys.exit(main(["run"]))
        """,
    )
    builds = [
        subprocess.Popen(
            [sys.executable, script], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for build in builds:
        out, err = build.communicate(timeout=60)
        assert build.returncode == 0, err
        assert out == "1 snippets are up to date\n"
    assert count(tmp_path) == 1
    assert (tmp_path / "scripts").read_text() == "xx"


def test_a_warm_run_is_quick_and_imports_nothing_heavy(project: Project, write: Write) -> None:
    for number in range(30):
        write(f"snippets/tiny/s{number}.py", "# %% one\nx = 1\n")
    run(project)
    program = """
import sys, time
from pathlib import Path
from reglab_site import run
from reglab_site.project import Project
start = time.process_time()
assert len(run.run(Project(Path(sys.argv[1])))) == 30
seconds = time.process_time() - start
print(seconds, *sorted({"torch", "matplotlib", "numpy", "rich", "psutil", "filelock"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program, project.root], check=True, capture_output=True, text=True)
    seconds, *heavy = done.stdout.split()
    assert float(seconds) < 0.5
    assert heavy == []
    assert done.stderr == ""


# What goes wrong


def test_a_failing_snippet_stops_no_other(project: Project, write: Write) -> None:
    write("snippets/tiny/bad.py", "# %% one\nprint(1)\n\n# %% two\n1 / 0\n")
    write("snippets/tiny/wrong.py", "# %% one\ndef f(:\n")
    write("snippets/tiny/good.py", "# %% one\nx = 1\n")
    with pytest.raises(SiteErrors) as caught:
        run(project)
    found = {(error.file.name, error.line): error.message for error in caught.value.errors if error.file}
    assert found["bad.py", 5] == "cell 'two' raises ZeroDivisionError: division by zero"
    assert found["wrong.py", 2].startswith("this is not Python")
    assert len(found) == 2
    assert run(project, "good")["tiny/good"].values == {"x": 1}
    assert list((project.cache / "runs" / "bad").glob("*.json")) == []


def test_raises_in_a_module(project: Project, write: Write) -> None:
    write("src/helper.py", "def divide(x):\n    return x / 0\n")
    write("snippets/tiny/bad.py", "# %% one\nfrom helper import divide\n\ndivide(1)\n")
    error = failure(project)
    assert error.where.endswith("snippets/tiny/bad.py:4")
    assert "snippets/tiny/bad.py:4, in <module>\n    src/helper.py:2, in divide" in error.message


def test_a_failing_claim_is_named_with_its_values(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/claims.py",
        """\
        # %% data
        loss, limit = 0.75, 0.5
        runs = [{"seed": 1}]

        # %% check
        # claim: there-are-runs
        assert runs
        # claim: loss-is-low
        assert len(runs) == 1
        assert round(loss, 1) < limit, "as measured"
        """,
    )
    error = failure(project)
    assert error.line == 10
    assert error.message.splitlines() == [
        "cell 'check': claim 'loss-is-low' does not hold: round(loss, 1) < limit",
        "    round(loss, 1) = 0.8",
        "    limit = 0.5",
        "    loss = 0.75",
        "    as measured",
    ]


def test_a_claim_that_a_function_checks(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/claims.py",
        """\
        # %% setup
        def hold(found):
            assert all(x < found.real for x in [3]), found.conjugate()

        # %% check
        # claim: found-is-high
        hold(2)
        """,
    )
    error = failure(project)
    assert error.line == 3
    assert "claim 'found-is-high' does not hold: all((x < found.real for x in [3]))" in error.message
    assert "found.real = 2" in error.message


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("import warnings\n\nwarnings.warn('careful')", 5, "warns: UserWarning: careful"),
        ("x = 1\nimport sys\nsys.exit(3)", 5, "calls sys.exit(3)"),
        ("print('x' * 10_000_000)", 3, "prints more than 20,000 characters"),
        ("while True:\n    try:\n        print('x' * 99)\n    except Exception:\n        break", 3, "prints more than"),
        ("import sys\nsys.stderr.write('psst')", 3, "writes to sys.stderr: psst"),
        ("import os\n\nos._exit(0)", 3, "ended the process with exit code 0"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 3, "ended with signal SIGKILL"),
        ("import os, signal\n\nos.kill(os.getpid(), signal.SIGSEGV)", 5, "ended with signal SIGSEGV"),
        ("x = '''\n'''\nreturn", 5, "is not Python: 'return' outside function"),
        ("x = '\\d'", 3, "is not Python: "),
        ("raise MemoryError('all of it')", 3, "runs out of memory"),
        ("def f(n):\n    f(n)\nf(1)", 4, "raises RecursionError"),
        ("raise KeyboardInterrupt", 3, "raises KeyboardInterrupt"),
    ],
)
def test_what_a_cell_may_not_do(project: Project, write: Write, code: str, line: int, message: str) -> None:
    write("snippets/tiny/bad.py", f"\n# %% bad\n{code}\n")
    error = failure(project)
    assert message in error.message
    assert "'bad'" in error.message
    assert error.where.endswith(f"snippets/tiny/bad.py:{line}")
    assert len(str(error)) < 3000


def test_hangs(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/hangs.py",
        """\
        # ---
        # timeout: 1
        # ---
        # %% setup
        import time

        # %% hang
        while True:
            time.sleep(0.01)
        """,
    )
    start = time.monotonic()
    error = failure(project)
    assert time.monotonic() - start < 10
    assert error.message == "cell 'hang' still runs after 1 s and was stopped"
    assert error.line in (8, 9)


def test_eats_memory(project: Project, write: Write) -> None:
    write(
        "snippets/tiny/eats.py",
        """\
        # ---
        # memory: 900
        # ---
        # %% eat
        import time
        eaten = []
        while True:
            eaten.append(bytearray(20_000_000))
            time.sleep(0.01)
        """,
    )
    error = failure(project)
    assert error.message == "cell 'eat' uses more than 900 MB of memory and was stopped"
    assert error.line in (7, 8, 9)


def test_two_cells_of_one_name(project: Project, write: Write) -> None:
    write("snippets/tiny/twice.py", "# %% one\nx = 1\n\n# %% one\nx = 2\n")
    assert failure(project).line == 4


def test_the_cache_is_a_file(project: Project, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("snippets/tiny/good.py", "# %% one\nx = 1\n")
    (tmp_path / "occupied").write_text("")
    monkeypatch.setenv("REGLAB_CACHE", str(tmp_path / "occupied"))
    error = failure(project)
    assert error.file == tmp_path / "occupied"
    assert "cannot write to the cache" in error.message
    assert "REGLAB_CACHE" in str(error)


def test_the_disk_is_full(project: Project, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("snippets/tiny/good.py", "# %% one\nx = 1\n")
    write("snippets/tiny/other.py", "# %% one\nx = 1\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = failure(project)
    assert error.message == "cannot write to the cache: No space left on device"
    monkeypatch.undo()
    assert len(run(project)) == 2
    assert list(project.cache.rglob("*.tmp")) == []


# The command line


def test_the_command_runs_and_reports(
    project: Project, write: Write, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    write("snippets/tiny/good.py", "# %% one\nx = 1\n")
    write("snippets/tiny/bad.py", "# %% one\nx = \n")
    assert main(["run", "good", "--jobs", "1"]) == 0
    out, err = capfd.readouterr()
    assert out == "1 snippets are up to date\n"
    assert err.startswith("ran tiny/good in ")
    assert main(["run"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "snippets/tiny/bad.py:2: this is not Python: invalid syntax\n"
    assert main(["run", "god"]) == 1
    assert "did you mean 'good'?" in capfd.readouterr().err


def test_an_interrupt_ends_all(project: Project, write: Write, tmp_path: Path) -> None:
    write(
        "snippets/tiny/long.py",
        f"""\
        # %% wait
        import os, time
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(600)
        """,
    )
    command = [sys.executable, "-m", "reglab_site", "run"]
    for how in (signal.SIGINT, signal.SIGKILL):
        build = subprocess.Popen(command, cwd=project.root, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        build.send_signal(how)
        _, err = build.communicate(timeout=60)
        assert "Traceback" not in err
        assert build.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
        worker = int((tmp_path / "pid").read_text())
        assert ends(worker)
        (tmp_path / "pid").unlink()
