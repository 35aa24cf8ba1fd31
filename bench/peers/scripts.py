"""Clients that are no Python: a Luau script through ``sunsocket run`` or through Lune, and Node's ``ws``.

The style says which, and how: ``sunsocket-handlers`` (``OnMessage:Connect``), ``sunsocket-pull`` (``OnMessage:Wait``),
``lune-pull`` (``socket:next()``), ``node-handlers`` (``on("message")``).

A script has no way to ask for its CPU time or its memory, so this process looks at the script's when the script says
that the sample begins and ends; it pauses there for longer than the reading takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.peers.sample import Job, Rest, Sample, allow_descriptors, report, resident
from bench.programs import CA_FILE, LUNE, NODE_MODULES

HERE = Path(__file__).parent


def command(job: Job) -> list[str]:
    program, _, style = job.style.partition("-")
    workload = job.workload
    if workload.shape == "import":
        nothing = {"sunsocket": "nothing.luau", "lune": "nothing.luau", "node": "nothing.js"}[program]
        return [*start(program, job), str(HERE / nothing)]
    script = {"sunsocket": "client.luau", "lune": "lune.luau", "node": "node.js"}[program]
    numbers = [workload.size, workload.in_flight, workload.connections, job.seconds]
    # Only what is not repeated letters: a command line has its limits.
    text = workload.text if workload.deflate else ""
    return [*start(program, job), str(HERE / script), job.url(), style, workload.shape, *map(str, numbers), text]


def start(program: str, job: Job) -> list[str]:
    if program == "lune":
        return [str(LUNE), "run"]
    if program == "node":
        return ["node"]
    flags = ["--cacert", str(CA_FILE)] if job.workload.tls else []
    compression = "deflate" if job.workload.deflate else "none"
    return [str(Path(sys.executable).with_name("sunsocket")), "run", *flags, "--compression", compression]


def cpu_time(pid: int) -> float:
    return Rest.now(pid).cpu


def whole_life(job: Job) -> None:
    """A script that has nothing to do: how long that takes and how much memory."""
    begin = time.perf_counter()
    process = subprocess.Popen(command(job))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit("the script failed")
    report({"ms": seconds * 1e3, "MiB": usage.ru_maxrss / 1024, "cpu ms": (usage.ru_utime + usage.ru_stime) * 1e3})


def main() -> None:
    job = Job.from_arguments()
    workload = job.workload
    allow_descriptors()
    os.environ.update({"NODE_PATH": str(NODE_MODULES), "NODE_EXTRA_CA_CERTS": str(CA_FILE)})
    if workload.shape == "import":
        whole_life(job)
        return
    with subprocess.Popen(command(job), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "begin":
            raise SystemExit("the script did not begin")
        if workload.shape == "rest":
            report(Rest.watch(process.pid, max(1.0, job.seconds)))
            process.kill()
            return
        cpu, bytes_before = cpu_time(process.pid), resident(process.pid)
        _end, count, seconds = process.stdout.readline().split()
        if workload.shape == "idle":
            report({"bytes": (resident(process.pid) - bytes_before) / workload.connections})
        else:
            report(Sample(int(count), float(seconds), cpu_time(process.pid) - cpu))
        process.kill()


if __name__ == "__main__":
    main()
