"""Stands for the developer process: ``fake_developer.py HOW MARK DESCRIPTOR``.

``well`` answers each job once it is whole; ``crash-once`` dies on the first job ever (MARK is the
file that remembers), ``crash`` on each.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import msgspec

from modoptic.host._pipe import Abandon, DevelopJob, Kept, Pipe, Progress, Saved, ToDeveloper, Whole

how, mark, descriptor = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
jobs: dict[int, tuple[DevelopJob, bytes]] = {}
pipe = Pipe(socket.socket(fileno=descriptor))
while (received := pipe.receive()) is not None:
    message = msgspec.msgpack.decode(received[0], type=ToDeveloper)
    if isinstance(message, DevelopJob):
        if how == "crash" or (how == "crash-once" and not mark.exists()):
            mark.touch()
            os._exit(3)
        assert received[1] is not None
        jobs[message.job] = message, os.pread(received[1], 4, 0)
        os.close(received[1])
        pipe.send(Progress(job=message.job, phase="developing", fraction=0.0))
    elif isinstance(message, Whole):
        job, first = jobs[message.job]
        path = Path(job.folder) / f"{job.name}.jpg"
        path.write_bytes(first)
        pipe.send(Saved(job=job.job, jpeg=str(path), dng=None, develop_s=0.1))
    elif isinstance(message, Abandon):
        pipe.send(Kept(job=message.job, partial=None))
