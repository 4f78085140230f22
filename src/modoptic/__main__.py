"""``python -m modoptic``."""

import sys

from modoptic.cli import main

sys.exit(main())
