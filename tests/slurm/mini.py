"""A real Slurm on this machine: a controller and several nodes, up in a second.

As root, without systemd, cgroups or a system-wide configuration: all is in one folder,
with a key of its own. Small timeouts, so that failures show within seconds.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.slurm.database import Database, free_ports, program_path

__all__ = ["MiniSlurm", "missing", "running"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
CPUS, MEMORY_MB = 4, 8000
UP_S = 30.0

# What it starts as another user keeps this one right.
READING = (
    *("setpriv", "--securebits", "+no_setuid_fixup"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
)

NO_ACCOUNTS = "AccountingStorageType=accounting_storage/none"

CONFIGURATION = """\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=1
# Another one each time: what MPI leaves in shared memory is named by jobs.
FirstJobId={first_job}
SlurmdTimeout=5
SlurmctldTimeout=10
InactiveLimit=0
MinJobAge=300
KillWait=3
MessageTimeout=5
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
PriorityType=priority/basic
{accounting}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
{nodes}
PartitionName=normal Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=low Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 \
PreemptMode=CANCEL GraceTime=20
PartitionName=brief Nodes=ALL MaxTime=2 State=UP
PartitionName=narrow Nodes=ALL MaxNodes=1 State=UP
PartitionName=others Nodes=ALL AllowAccounts=others State=UP
"""


def missing(*more: str) -> list[str]:
    """Return what a Slurm of one's own needs and this machine lacks.

    Parameters
    ----------
    *more : str
        More programs that are needed.
    """
    found = [name for name in (*PROGRAMS, *more) if program_path(name) is None]
    return [*found, *([] if os.geteuid() == 0 else ["the rights of root"])]


class MiniSlurm:
    """A Slurm with nodes ``n1``, ``n2``, ...

    Parameters
    ----------
    folder : Path
        Of its own; short, since sockets lie in it.
    nodes : int
        How many.
    database : Database or None
        Knows accounts and their limits; None: all may do everything.
    others : bool
        Whether jobs of other users may read all: our packages may be in a home that
        only we may enter.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 4,
        database: Database | None = None,
        *,
        others: bool = False,
    ) -> None:
        self.folder = folder
        self.nodes = tuple(f"n{i + 1}" for i in range(nodes))
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self.database = database
        self._others = others
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Start it; return once all nodes are idle."""
        self._configure()
        munge = str(self.folder / "munge.sock")
        self._spawn(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={self.folder}/munge.key",
            f"--socket={munge}",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munge.seed",
            "--num-threads=2",
        )
        _until(lambda: Path(munge).exists(), "munged")
        if self.database is not None:
            for argv in self.database.daemons():
                self._spawn(*argv)
                _until(self.database.answers(argv[0], self.call), argv[0])
        self._spawn("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in self.nodes:
            self.start_node(node)
        _until(self._idle, "all nodes")

    def start_node(self, node: str) -> None:
        """Start a node, again after it crashed."""
        conf = self.environment["SLURM_CONF"]
        self._spawn("slurmd", "-D", "-N", node, "-f", conf, name=node)

    def crash(self, node: str) -> None:
        """Let a node lose its power: its daemon and all that it started die."""
        daemon = self._daemons.pop(node)
        daemon.kill()
        daemon.wait()
        for step in self._steps(node):
            for process in [*_descendants(step), step]:
                _kill(process)

    def call(self, *argv: str) -> str:
        """Run one of Slurm's commands; return what it printed."""
        done = subprocess.run(
            argv,
            env={**os.environ, **self.environment, "SLURM_TIME_FORMAT": "%s"},
            capture_output=True,
            text=True,
            timeout=60.0,
            check=True,
        )
        return done.stdout

    def down(self) -> None:
        """Stop all of it; nothing is left."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.call("scancel", "--full", "--signal=KILL", "--user=root")
            self.call("scancel", "--user=root")
        steps = [step for node in self.nodes for step in self._steps(node)]
        for name, daemon in self._daemons.items():
            if self.database is not None and name in self.database.programs:
                # Nothing of it is kept, and to end in order takes ten seconds.
                daemon.kill()
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(10.0)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for step in steps:
            for process in [*_descendants(step), step]:
                _kill(process)
        self._daemons.clear()

    def _configure(self) -> None:
        (self.folder / "state").mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        port, *ports = free_ports(1 + len(self.nodes))
        lines = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} "
            f"CPUs={CPUS} RealMemory={MEMORY_MB} State=UNKNOWN"
            for node, own in zip(self.nodes, ports, strict=True)
        ]
        text = CONFIGURATION.format(
            host=host,
            port=port,
            first_job=random.randrange(1000, 100_000),
            folder=self.folder,
            nodes="\n".join(lines),
            accounting=NO_ACCOUNTS if self.database is None else self.database.lines,
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").touch()

    def _spawn(self, program: str, *arguments: str, name: str = "") -> None:
        path = program_path(program)
        assert path is not None
        with open(self.folder / f"{name or program}.out", "ab") as out:
            self._daemons[name or program] = subprocess.Popen(
                [*(READING if self._others else ()), path, *arguments],
                env={**os.environ, **self.environment, **self._more()},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _more(self) -> dict[str, str]:
        return {} if self.database is None else self.database.environment

    def _idle(self) -> bool:
        with contextlib.suppress(subprocess.SubprocessError):
            told = self.call("sinfo", "-h", "-N", "-p", "normal", "-t", "idle", "-o%N")
            return len(set(told.split())) == len(self.nodes)
        return False

    def _steps(self, node: str) -> Iterator[int]:
        """Find what watches over the steps of a node: it outlives its daemon."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if (
                    entry.name.isdecimal()
                    and (entry / "comm").read_text() == "slurmstepd\n"
                    and self._logs_to(entry, node)
                ):
                    yield int(entry.name)

    def _logs_to(self, process: Path, node: str) -> bool:
        log = str(self.folder / f"slurmd-{node}.log")
        return any(os.readlink(fd) == log for fd in (process / "fd").iterdir())


@contextlib.contextmanager
def running(
    nodes: int = 4, *, accounts: bool = False, others: bool = False
) -> Iterator[MiniSlurm]:
    """Start a Slurm which all that is started here finds; leave nothing of it.

    Parameters
    ----------
    nodes : int
        How many.
    accounts : bool
        Whether it knows accounts.
    others : bool
        As of `MiniSlurm`.
    """
    # A short path: sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    database = Database(folder) if accounts else None
    mini = MiniSlurm(folder, nodes, database, others=others)
    before = {name: os.environ.get(name) for name in mini.environment}
    os.environ.update(mini.environment)
    try:
        mini.up()
        yield mini
    finally:
        mini.down()
        shutil.rmtree(folder)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _until(true: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + UP_S
    while not true():
        if time.monotonic() > end_s:
            raise TimeoutError(f"{what} did not come within {UP_S:.0f} s")
        time.sleep(0.05)


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [*_descendants(int(child)), int(child)]
    return found


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
