#!/usr/bin/env bash
# Formatters and linters, all of them strict. Runs what is on PATH (make puts the virtual environment first).
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v cargo >/dev/null; then
    cargo fmt --check
    cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
else
    echo "lint: no cargo on PATH: the Rust sources were not linted"
fi
ruff check --quiet .
ruff format --check --quiet .
mypy
python scripts/import_circles.py
python -m mypy.stubtest sunsocket._core --allowlist tests/stubtest-allowlist.txt
echo "lint: clean"
