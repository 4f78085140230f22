"""The module's side: a `Source` behind the link, with the dock that hands act on."""

from modoptic.module._device import Device, DeviceDock

__all__ = ["Device", "DeviceDock"]
