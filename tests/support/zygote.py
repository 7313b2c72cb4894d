"""Drivers that start at once: forked from a process that has imported everything and opened nothing.

python -m support.zygote      one request a line on standard input, the pid and then the exit code on standard output
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.faults import Fault
from support.processes import ROOT, apart

TIMEOUT = 240.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a driver ended.

    Attributes:
        code: its exit code; negative: the signal that killed it.
        said: all that it wrote.
    """

    code: int
    said: str


class Driver:
    """A running `spark-dp`, a process of its own."""

    def __init__(self, zygote: subprocess.Popen[str], log: Path, pool: Zygotes) -> None:
        self._zygote, self._log, self._pool = zygote, log, pool
        self.pid = int(self._answer())

    def wait(self) -> Ended:
        """Waits until it ends."""
        code = int(self._answer())
        self._pool._give(self._zygote)
        return Ended(code=code, said=self._log.read_text(errors="replace"))

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it, unless it has ended by itself: a machine may be quicker than a test expects."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)

    def wait_until_stopped(self) -> None:
        """Waits until it has stopped itself."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state in "TZ":
                if state == "Z":
                    raise AssertionError(f"It ended: {self._log.read_text()[-2000:]}")
                return
            time.sleep(0.02)
        raise TimeoutError(self._log.read_text()[-2000:])

    def _answer(self) -> str:
        assert self._zygote.stdout is not None
        return self._zygote.stdout.readline()


@dataclass
class Zygotes:
    """A pool of them, all for one Spark Connect server.

    Attributes:
        remote: the server's address; None: each driver starts a Spark of its own.
    """

    remote: str | None
    _free: list[subprocess.Popen[str]] = field(default_factory=list)
    _all: list[subprocess.Popen[str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self,
        *arguments: str,
        folder: Path,
        fault: Fault | None = None,
        prefix: tuple[str, ...] = (),
        **environment: str,
    ) -> Driver:
        """Starts `spark-dp ARGUMENTS` in a folder."""
        zygote = self._take(prefix)
        log = folder / f"driver-{time.monotonic_ns()}.log"
        remote = {"SPARK_REMOTE": self.remote} if self.remote else {}
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "log": str(log),
            "environment": {**remote, **environment},
            "fault": None if fault is None else asdict(fault),
        }
        assert zygote.stdin is not None
        zygote.stdin.write(json.dumps(request) + "\n")
        zygote.stdin.flush()
        return Driver(zygote, log, self)

    def run(self, *arguments: str, folder: Path, fault: Fault | None = None, **environment: str) -> Ended:
        """Runs `spark-dp ARGUMENTS` in a folder until it ends."""
        return self.start(*arguments, folder=folder, fault=fault, **environment).wait()

    def close(self) -> None:
        for zygote in self._all:
            zygote.kill()
            zygote.wait()

    def _take(self, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        with self._lock:
            if self._free and not prefix:
                return self._free.pop()
        path = f"{ROOT / 'tests'}{os.pathsep}{ROOT}"
        zygote = subprocess.Popen(
            [*prefix, sys.executable, "-m", "support.zygote"],
            env={**apart(), "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._all.append(zygote)
        return zygote

    def _give(self, zygote: subprocess.Popen[str]) -> None:
        with self._lock:
            if zygote.args[0] == sys.executable:  # type: ignore[index]
                self._free.append(zygote)


@contextmanager
def zygotes(remote: str | None) -> Iterator[Zygotes]:
    """Yields a pool that is gone afterwards."""
    pool = Zygotes(remote)
    try:
        yield pool
    finally:
        pool.close()


def _import_everything() -> None:
    import pyspark.sql.connect.functions
    import pyspark.sql.connect.session
    import scipy.optimize
    import scipy.special

    import spark_dp.cli
    import spark_dp.pipeline.describe
    import spark_dp.pipeline.runner

    del pyspark, scipy, spark_dp


def _drive(request: Mapping[str, Any]) -> None:
    """Is the driver, from here to its end."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    code = 70
    try:
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        if request["fault"] is not None:
            Fault(**request["fault"]).install()
        from spark_dp.cli import cli

        cli(list(request["arguments"]), prog_name="spark-dp")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  of a driver nothing gets out but its exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    _import_everything()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _drive(json.loads(line))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
