"""Look at the page by hand: ``python tests/web/try_page.py`` serves the fake phone."""

import tempfile
from pathlib import Path

from fake_phone import FakeHands, FakePhone

from modoptic import web

with tempfile.TemporaryDirectory() as folder:
    phone = FakePhone(Path(folder))
    with web.serve(phone, hands=FakeHands(phone), on_ready=print) as server:
        server.wait()
