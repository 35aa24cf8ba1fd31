"""What importing a package costs: ``python importing.py PACKAGE``, as a program of its own that has imported little."""

import json
import sys
import time


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


before, cpu, start = resident(), time.process_time(), time.perf_counter()
__import__(sys.argv[1])
seconds, used = time.perf_counter() - start, time.process_time() - cpu
print(json.dumps({"ms": seconds * 1e3, "MiB": (resident() - before) / 2**20, "cpu ms": used * 1e3}))
