"""Files that people and programs read while they are made anew: the old one is whole until the new one is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def replace_file(path: Path, parts: Iterable[bytes]) -> None:
    """Make `path` consist of `parts`, which may be made on the way; whatever fails leaves it as it was.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):  # which nobody has asked for
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
