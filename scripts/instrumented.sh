#!/bin/sh
# rustc for the crates of this workspace when coverage is measured; crates of others are compiled as they always are.
exec "$@" -Cinstrument-coverage
