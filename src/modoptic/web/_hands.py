"""Hands on the twin, moved from the page. They block, so one thread of their own does it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from modoptic.errors import ModopticError, SettingError
from modoptic.web._contracts import HandsLike
from modoptic.web._messages import HandsRequest

_SCENE_ASKED_EVERY_S = 0.25


class HandsDesk:
    """Does what pages ask the hands to do, one after the other.

    ``changed`` is called in the loop with the new state of the hands.
    """

    def __init__(self, hands: HandsLike, changed: Callable[[dict[str, Any]], None]) -> None:
        self._hands = hands
        self._changed = changed
        self._thread = ThreadPoolExecutor(1, "web-hands")
        self.last: dict[str, Any] = {}
        self._waiting: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read the hands' state and tell the pages."""
        loop = asyncio.get_running_loop()
        try:
            self.last = await loop.run_in_executor(self._thread, self._state)
        except (ModopticError, OSError):
            self.last = {}
        self._changed(self.last)

    async def do(self, request: HandsRequest) -> None:
        """Do what was asked.

        Raises
        ------
        SettingError : a number or name that hands cannot use
        ModopticError, OSError : the twin refused, or is gone
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._do, request)
        if request.hands != "turn_ring":
            await self.refresh()
        if request.hands == "set_scene":
            self._waiting = asyncio.create_task(self._until_lit())

    def close(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _until_lit(self) -> None:
        # hands have no events: ask until the new scene stands before the lens
        while self.last.get("scene_loading"):
            await asyncio.sleep(_SCENE_ASKED_EVERY_S)
            await self.refresh()

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = msgspec.to_builtins(dict(self._hands.state()))
        return state

    def _do(self, request: HandsRequest) -> None:
        match request.hands:
            case "seat":
                self._hands.seat()
            case "pull":
                self._hands.pull()
            case "tilt":
                self._hands.tilt(max(-90.0, min(90.0, request.degrees)))
            case "turn_ring":
                if request.focus_distance_m < 0:
                    raise SettingError("focus distance", request.focus_distance_m, "metres, or 0")
                self._hands.turn_ring(request.focus_distance_m or math.inf)
            case "set_scene":
                self._hands.set_scene(request.scene)
            case "set_line":
                self._hands.set_line(request.bits_per_s)
