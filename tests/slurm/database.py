"""What a Slurm of our own needs to know accounts: slurmdbd over its own MariaDB."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["Database", "free_ports", "program_path"]

CONFIGURATION = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounts
CommitDelay=1
"""

LINES = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.sock
AccountingStorageEnforce=associations,limits,qos,safe"""


class Database:
    """Accounts of a Slurm: up in ten seconds.

    Parameters
    ----------
    folder : Path
        That of the Slurm.

    Attributes
    ----------
    lines : str
        For ``slurm.conf``.
    environment : dict of str to str
        Of its daemons.
    """

    programs = ("mariadbd", "slurmdbd")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (port,) = free_ports(1)
        self._socket = folder / "mysql.sock"
        self.lines = LINES.format(port=port, folder=folder)
        # There is no setting for it.
        self.environment = {"MYSQL_UNIX_PORT": str(self._socket)}
        self._configuration = CONFIGURATION.format(port=port, folder=folder)

    def daemons(self) -> Iterator[tuple[str, ...]]:
        """Yield the words that start a daemon, each after the one before answers."""
        data = self.folder / "mysql"
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", "--user=root"),
                *(f"--datadir={data}", "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            capture_output=True,
            timeout=60.0,
        )
        yield (
            *("mariadbd", "--no-defaults", "--user=root", "--skip-networking"),
            *(f"--datadir={data}", f"--socket={self._socket}"),
            *(f"--pid-file={self.folder}/mariadbd.pid", "--performance-schema=0"),
            *("--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"),
            "--innodb-flush-log-at-trx-commit=0",
        )
        path = self.folder / "slurmdbd.conf"
        path.write_text(self._configuration)
        path.chmod(0o600)
        yield ("slurmdbd", "-D")

    def answers(self, program: str, call: Callable[..., str]) -> Callable[[], bool]:
        """Return what says whether a daemon answers.

        Parameters
        ----------
        program : str
            The daemon.
        call : callable
            Runs a command of Slurm's.
        """

        def mariadb() -> bool:
            return self._socket.exists()

        def slurmdbd() -> bool:
            with contextlib.suppress(subprocess.SubprocessError):
                call("sacctmgr", "-n", "list", "cluster")
                call("sacctmgr", "-i", "add", "cluster", "mini")
                return True
            return False

        return mariadb if program == "mariadbd" else slurmdbd


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def program_path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
