#!/usr/bin/env bash
# How much the tests run: every line and branch of the Python package, the lines of `wire`. Fails below the gates. The
# tool for Rust (tarpaulin, which needs no part of a toolchain but cargo) is built into target/tools the first time.
set -euo pipefail
cd "$(dirname "$0")/.."
python_gate=${PYTHON_GATE:-97}
wire_gate=${WIRE_GATE:-98}
mkdir -p target/coverage
rm -f target/coverage/data*
python -m coverage run -m pytest -q -n $(($(nproc) * 2)) --ignore tests/attacks
python -m coverage combine -q
python -m coverage report --fail-under="$python_gate"

if ! command -v cargo >/dev/null; then
    echo "coverage: no cargo on PATH: wire was not measured"
    exit 0
fi
tarpaulin=target/tools/bin/cargo-tarpaulin
if [ ! -x "$tarpaulin" ]; then
    echo "coverage: building tarpaulin, once; this takes some minutes"
    cargo install --quiet --locked --root target/tools --no-default-features cargo-tarpaulin@0.37.5
fi
"$tarpaulin" tarpaulin --package sunsocket-wire --engine ptrace --target-dir target/tarpaulin --skip-clean --out Json \
    --output-dir target/coverage >target/coverage/tarpaulin.log 2>&1 || { tail -20 target/coverage/tarpaulin.log; exit 1; }
python - "$wire_gate" <<'PYTHON'
"""The share of wire's lines; what the report says of the crates beside it is not what was tested."""

import json
import sys
from pathlib import Path

covered = total = 0
for file in json.loads(Path("target/coverage/tarpaulin-report.json").read_text())["files"]:
    path = "/".join(file["path"])
    if "crates/wire/src" not in path:
        continue
    missed = [trace["line"] for trace in file["traces"] if not trace["stats"]["Line"]]
    covered += file["covered"]
    total += file["coverable"]
    if missed:
        print(f"coverage: {path[path.index('crates/'):]}: not run: {', '.join(map(str, missed))}")
share = 100 * covered / total
print(f"coverage: wire: {covered} of {total} lines, {share:.1f} %")
sys.exit(share < float(sys.argv[1]))
PYTHON
