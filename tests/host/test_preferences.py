"""Settings outlive the phone, and a damaged file costs them only."""

from __future__ import annotations

import pytest

from modoptic.errors import StorageError
from modoptic.host import _preferences
from modoptic.host._preferences import Preferences


def test_they_come_back(tmp_path):
    chosen = Preferences(auto_switch=False, full_size=True, dng_compression="jpegxl")
    _preferences.save(tmp_path / "new", chosen)
    assert _preferences.load(tmp_path / "new") == chosen


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"auto_switch": 3}', b"\xff\xfe"])
def test_a_damaged_file_means_the_defaults(tmp_path, content):
    (tmp_path / "phone.json").write_bytes(content)
    assert _preferences.load(tmp_path) == Preferences()


def test_a_file_of_a_later_version_is_read_as_far_as_known(tmp_path):
    (tmp_path / "phone.json").write_bytes(b'{"save_dng": false, "night_theme": true}')
    assert _preferences.load(tmp_path) == Preferences(save_dng=False)


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="another folder"):
        _preferences.save(tmp_path / "file" / "below", Preferences())
