"""``python -m sunsocket.cli``."""

from . import main

raise SystemExit(main())
