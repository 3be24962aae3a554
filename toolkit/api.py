"""The lake with everything that Python users expect of it; `toolkit.open_lake` gives one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from toolkit.errors import MissingExtraError
from toolkit.formats.shapes import find_shape, has_tools
from toolkit.lake import lake as storage
from toolkit.lake.selections import find_selection, read_selected

if TYPE_CHECKING:
    import datasets


class Lake(storage.Lake):
    """A lake on disk, with selections as `datasets`."""

    @classmethod
    def of(cls, lake: storage.Lake) -> Self:
        """The same lake with these methods."""
        return cls(lake.path, lake.identity)

    def selection(self, name: str, *, shape: str = "trl", at: int | None = None) -> datasets.Dataset:
        """The kept trajectories of a selection, one row each, in the shape that `export` would write.

        Raises:
            InputError: there is no such selection or shape.
            MissingExtraError: `datasets` is not installed.
        """
        try:
            from datasets import Dataset
        except ImportError as error:
            raise MissingExtraError("datasets", "datasets", "Lake.selection") from error
        wanted = find_shape(shape)
        snapshot = self.snapshot(at)
        chosen = find_selection(snapshot, name)
        connection = snapshot.connect()
        schema = wanted.schema(has_tools(connection, chosen.selection_id))
        rows = [wanted.row(record, weights) for record, weights in read_selected(connection, chosen)]
        return Dataset(pa.Table.from_pylist(rows, schema=schema))


def open_lake(path: str | Path, *, create: bool = False) -> Lake:
    """Open the lake in directory `path`; with `create`, make one where there is none.

    Raises:
        InputError: there is no lake, or the directory holds something else.
        LakeFormatError: a newer toolkit wrote it.
        LakeDamagedError: `lake.json` is torn.
    """
    return Lake.of(storage.open_lake(path, create=create))
