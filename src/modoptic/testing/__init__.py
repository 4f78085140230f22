"""For your own tests: a camera that needs no twin, and processes that certainly end.

>>> from modoptic.testing import FakeSource, corridor
"""

from modoptic.testing._corridor import Corridor, corridor, wait_until
from modoptic.testing._source import FakeSource

__all__ = ["Corridor", "FakeSource", "corridor", "wait_until"]
