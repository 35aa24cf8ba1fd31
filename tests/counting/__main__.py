"""Prints what each face costs: ``python -m tests.counting [FACE]``."""

from __future__ import annotations

import sys

from tests.counting.counted import FACES, count
from tests.counting.traffic import COUNTS

for face in FACES:
    if sys.argv[1:] and sys.argv[1] not in face:
        continue
    for scheme in COUNTS:
        for name, counts in count(face, scheme).items():
            print(f"{face:<17}  {name:<13}  {counts}", flush=True)
