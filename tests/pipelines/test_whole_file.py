from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.whole_file import replace_file


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"a longer text of before")
    replace_file(path, (part for part in (b"new", b" text")))
    assert path.read_bytes() == b"new text"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_in_the_middle_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("the rest cannot be made")

    path = tmp_path / "page.html"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="the rest"):
        replace_file(path, parts())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
