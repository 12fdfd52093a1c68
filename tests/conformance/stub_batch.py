"""A batch system of one host for tests: queues, runs, holds, ends and forgets jobs.

Called as ``qsub``, ``qselect``, ``qstat``, ``qdel``, ``qrls``, ``bsub``, ``bjobs``,
``bkill`` or ``bresume``. It takes the options that our sites give and prints what
OpenPBS and LSF print. Its jobs are local processes. What it is to do otherwise lies in
``behave.json``: ``slots`` (jobs that run at once), ``hold`` (new jobs), ``reason``
(why jobs wait), ``broken`` (what all commands say instead of an answer), ``refuses``
(what submissions say).
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["STUB_BATCH"])
PENDS = "New job is waiting for scheduling;"
HOST = os.uname().nodename.partition(".")[0]


def behaviour() -> dict[str, Any]:
    """Return what it is to do."""
    path = HOME / "behave.json"
    told: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return told


def family(process: int) -> list[int]:
    """Return a process and all that it has started, as a batch system knows them."""
    spec = importlib.util.spec_from_file_location("agent", os.environ["STUB_AGENT"])
    assert spec is not None
    assert spec.loader is not None
    agent = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(agent)
    return [process, *agent.descendants(process)]


def end(job: dict[str, Any], how: str) -> None:
    """Kill all processes of a job."""
    for process in family(job["pid"]) if job.get("pid") else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    job.update(state="over", how=how, ended_s=time.time())


def start(job: dict[str, Any]) -> None:
    """Run the script of a job; its exit code will be in a file."""
    number = str(job["id"])
    names = {"PBS_JOBID": f"{number}.stub", "LSB_JOBID": number}
    env = {n: v for n, v in os.environ.items() if n not in names}
    env[job["variable"]] = names[job["variable"]]
    code = str(HOME / f"{number}.code")
    line = 'sh "$1"; echo $? >"$2"'
    process = subprocess.Popen(
        ["/bin/sh", "-c", line, "job", str(HOME / f"{number}.sh"), code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=env,
    )
    job.update(state="running", pid=process.pid, started_s=time.time())


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def tick(jobs: dict[str, dict[str, Any]], slots: int) -> None:
    """Let time go on: jobs end, are ended and begin."""
    for job in jobs.values():
        if job["state"] != "running":
            continue
        code = HOME / f"{job['id']}.code"
        if code.exists() and code.read_text().strip():
            job.update(state="over", how=code.read_text().strip(), ended_s=time.time())
        elif not alive(job["pid"]):
            end(job, "265")
        elif time.time() > job["started_s"] + job["walltime_s"]:
            end(job, "walltime")
    for job in jobs.values():
        busy = sum(other["state"] == "running" for other in jobs.values())
        if job["state"] == "queued" and busy < slots:
            start(job)


def seconds(clock: str) -> float:
    """Read ``HH:MM:SS``, or minutes."""
    parts = [float(part) for part in clock.split(":")]
    if len(parts) == 1:
        return parts[0] * 60
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


def submit(jobs: dict[str, dict[str, Any]], words: list[str], variable: str) -> str:
    """Take a job; return its number."""
    number = str(len(jobs) + 1)
    job: dict[str, Any] = {"id": number, "state": "queued", "variable": variable}
    job.update(name="", walltime_s=3600.0, submitted_s=time.time())
    for option, value in itertools.pairwise(words):
        if option in ("-N", "-J"):
            job["name"] = value
        if option == "-W":
            job["walltime_s"] = seconds(value)
        if option == "-l" and value.startswith("walltime="):
            job["walltime_s"] = seconds(value.partition("=")[2])
    if behaviour().get("hold"):
        job["state"] = "held"
    # Tests cannot wait for minutes.
    job["walltime_s"] *= behaviour().get("pace", 1.0)
    (HOME / f"{number}.sh").write_text(sys.stdin.read())
    jobs[number] = job
    return number


def date(at_s: float, form: str) -> str:
    """Write a time as the batch systems do, in UTC."""
    return time.strftime(form, time.gmtime(at_s))


def pbs(job: dict[str, Any]) -> str:
    """Tell of a job as ``qstat -f`` does."""
    form = "%a %b %d %H:%M:%S %Y"
    letter = {"queued": "Q", "held": "H", "running": "R", "over": "F"}[job["state"]]
    owner = f"{os.environ.get('USER') or 'root'}@{HOST}"
    hours, rest = divmod(int(job["walltime_s"]), 3600)
    lines = [
        f"Job_Name = {job['name']}",
        f"Job_Owner = {owner}",
        f"job_state = {letter}",
        f"ctime = {date(job['submitted_s'], form)}",
        f"qtime = {date(job['submitted_s'], form)}",
        f"Resource_List.walltime = {hours:02d}:{rest // 60:02d}:{rest % 60:02d}",
    ]
    if "started_s" in job:
        lines += [f"exec_host = {HOST}/0*2", f"stime = {date(job['started_s'], form)}"]
    if letter == "Q" and (reason := behaviour().get("reason")):
        lines.append(f"comment = {reason}")
    if letter == "F":
        code = {"walltime": "-29", "deleted": "271"}.get(job["how"], job["how"])
        lines += [f"Exit_status = {code}", f"obittime = {date(job['ended_s'], form)}"]
    return "\n".join(
        [f"Job Id: {job['id']}.stub", *(f"    {x}" for x in lines), "", ""]
    )


def lsf(job: dict[str, Any]) -> str:
    """Tell of a job as ``bjobs -o`` does."""
    # Without the year, as LSF does; with seconds, since tests cannot wait for minutes.
    form = "%b %d %H:%M:%S"
    stat = {"queued": "PEND", "held": "PSUSP", "running": "RUN"}.get(job["state"], "")
    code = reason = "-"
    if not stat:
        reasons = {
            "walltime": "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
            "deleted": "TERM_OWNER: job killed by owner",
        }
        stat = "DONE" if job["how"] == "0" else "EXIT"
        reason = reasons.get(job["how"], "-")
        code = job["how"] if job["how"].isdecimal() else "140"
    began = "started_s" in job
    values = [
        job["id"],
        stat,
        date(job["submitted_s"], form),
        date(job["started_s"], form) if began else "-",
        f"{date(job['ended_s'], form)} L" if "ended_s" in job else "-",
        str(job["walltime_s"] / 60),
        code,
        reason,
        behaviour().get("reason", PENDS) if stat == "PEND" else "-",
        f"2*{HOST}" if began else "-",
        job["name"],
    ]
    return "|".join(values) + "\n"


def answer(program: str, words: list[str], jobs: dict[str, dict[str, Any]]) -> int:
    """Do what a command does; return its exit code."""
    told, numbers = "", [word.partition(".")[0] for word in words]
    named = [jobs[number] for number in numbers if number in jobs]
    match program:
        case "qsub" | "bsub" if behaviour().get("refuses"):
            sys.stderr.write(f"{program}: {behaviour()['refuses']}\n")
            return 1
        case "qsub":
            told = f"{submit(jobs, words, 'PBS_JOBID')}.stub\n"
        case "bsub":
            number = submit(jobs, words, "LSB_JOBID")
            told = f"Job <{number}> is submitted to default queue <normal>.\n"
        case "qselect":
            name = words[words.index("-N") + 1]
            told = "".join(
                f"{j['id']}.stub\n" for j in jobs.values() if j["name"] == name
            )
        case "qstat":
            told = "".join(map(pbs, named))
        case "bjobs":
            name = words[words.index("-J") + 1]
            told = "".join(lsf(j) for j in jobs.values() if j["name"] == name)
            if not told:
                sys.stderr.write(f"Job <{name}> is not found\n")
                return 255
        case "qdel" | "bkill":
            for job in named:
                if job["state"] != "over":
                    end(job, "deleted")
        case "qrls" | "bresume":
            for job in named:
                job["state"] = "queued" if job["state"] == "held" else job["state"]
        case _:
            sys.stderr.write(f"{program}?\n")
            return 2
    sys.stdout.write(told)
    return 0


def main() -> int:
    """Be one of the commands."""
    program, words = Path(sys.argv[1]).name, sys.argv[2:]
    if behaviour().get("broken"):
        sys.stderr.write(f"{behaviour()['broken']}\n")
        return 1
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = HOME / "jobs.json"
        jobs = json.loads(path.read_text()) if path.exists() else {}
        tick(jobs, behaviour().get("slots", 4))
        code = answer(program, words, jobs)
        tick(jobs, behaviour().get("slots", 4))
        path.write_text(json.dumps(jobs))
    return code


if __name__ == "__main__":
    sys.exit(main())
