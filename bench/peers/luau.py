"""A Luau script through ``sunsocket run``: ``handlers`` (``OnMessage:Connect``) and ``pull`` (``OnMessage:Wait``).

A script has no way to ask for its CPU time, so this process reads the clock of the script's process (all threads) when
the script says that the sample begins and ends; it pauses there for longer than the reading takes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.peers.sample import Job, Sample, report

SCRIPT = Path(__file__).with_name("client.luau")


def cpu_time(pid: int) -> float:
    # The number that clock_getcpuclockid gives for a process on Linux.
    return time.clock_gettime(~pid << 3 | 2)


def main() -> None:
    job = Job.from_arguments()
    workload = job.workload
    arguments = [job.url, job.style, workload.shape, workload.size, workload.in_flight, job.seconds]
    command = [str(Path(sys.executable).with_name("sunsocket")), "run", str(SCRIPT), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "begin":
            raise SystemExit("the script did not begin")
        cpu = cpu_time(process.pid)
        _end, count, seconds = process.stdout.readline().split()
        report(Sample(int(count), float(seconds), cpu_time(process.pid) - cpu))


if __name__ == "__main__":
    main()
