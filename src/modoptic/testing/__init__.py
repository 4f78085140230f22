"""For your own tests: a camera without optics, a clock moved by hand, processes that certainly end.

>>> from modoptic.testing import FakeClock, FakeSource, corridor
"""

from modoptic.testing._clock import FakeClock
from modoptic.testing._corridor import Corridor, corridor, wait_until
from modoptic.testing._source import FakeSource

__all__ = ["Corridor", "FakeClock", "FakeSource", "corridor", "wait_until"]
