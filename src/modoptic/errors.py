"""Every error that modoptic raises on purpose.

::

    ModopticError
    ├── SettingError          a value that the camera, lens or command does not have
    ├── FileError             a file that is missing, damaged, hostile or of another kind
    │   ├── RawFileError      ... a raw (DNG, headerless raw)
    │   └── PictureError      ... a picture, depth map or sidecar
    ├── StorageError          a folder that cannot be written, a full disk
    ├── LinkError             the link cannot do what was asked
    │   ├── AddressError      an address that cannot be used, and why
    │   ├── ProtocolError     the other end broke the protocol
    │   └── DetachedError     the module is not there, or went away
    ├── CaptureError          a photo that was not taken, by name
    └── MissingExtraError     an optional part is not installed; says how to install it

A message says what was wrong, what was expected and what to do. Errors are raised where bad
input enters; inside, the types are trusted.
"""

from __future__ import annotations


class ModopticError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to a person."""


class SettingError(ModopticError):
    """A value that a camera, lens or command does not have.

    Parameters
    ----------
    feature : name of the setting, as people know it
    value : what was asked for
    expected : what would have been accepted
    where : the camera, lens or command that refused, if there is one
    """

    def __init__(self, feature: str, value: object, expected: str, where: str = "") -> None:
        self.feature = feature
        self.value = value
        self.expected = expected
        self.where = where
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{feature} cannot be {value!r}; expected {expected}")


class FileError(ModopticError):
    """A file that is missing, damaged, hostile or of another kind. ``path`` names it."""

    def __init__(self, path: object, problem: str) -> None:
        self.path = str(path)
        self.problem = problem
        super().__init__(f"{self.path}: {problem}")


class RawFileError(FileError):
    """A raw file that cannot be read, or not safely."""


class PictureError(FileError):
    """A picture, depth map or sidecar that cannot be used."""


class StorageError(FileError):
    """A folder that cannot be written or a disk that is full; nothing saved before is lost."""


class LinkError(ModopticError):
    """The link cannot do what was asked."""


class AddressError(LinkError):
    """An address that cannot be used, with the reason."""


class ProtocolError(LinkError):
    """The other end broke the protocol, or a message was damaged or hostile."""


class DetachedError(LinkError):
    """The module is not there, or went away while something was under way."""


class CaptureError(ModopticError):
    """A photo that was not taken. ``shot`` is the name it would have had."""

    def __init__(self, shot: str, reason: str) -> None:
        self.shot = shot
        self.reason = reason
        super().__init__(f"{shot} was not taken: {reason}")


class MissingExtraError(ModopticError):
    """An optional part is not installed.

    ``extra`` is the name after ``modoptic[...]``.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{what} needs an optional part; in a checkout: .venv/bin/pip install '.[{extra}]', "
            f"elsewhere: pip install 'modoptic[{extra}]'"
        )
