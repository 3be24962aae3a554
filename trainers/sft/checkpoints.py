"""Going on where a training ended: what was begun in a directory, and the newest checkpoint that is whole.

Invariant: a training goes on only with the settings, rows and base that it began with. A checkpoint that was cut off
while it was written is passed over with a word, and stays where it is.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import orjson
from safetensors import SafetensorError, safe_open

from toolkit.cli.output import note
from toolkit.errors import InputError

RECORD = "training.json"
STATES = ("optimizer.pt", "scheduler.pt")


def begin(out: Path, identity: dict[str, object], *, resume: bool) -> Path | None:
    """Mark `out` as the place of the training `identity`; the checkpoint to go on from, None: from the beginning.

    Raises:
        InputError: `out` holds something else, or another training, or this one, already done.
    """
    record = out / RECORD
    if not record.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} is not empty, and holds no training to go on with; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_record(out, {"identity": identity, "is_complete": False})
        return None
    begun = read_record(out)
    if not resume:
        raise InputError(f"{out} holds a training; leave out --no-resume to go on, or choose another --out")
    if different := _differences(begun.get("identity"), identity):
        raise InputError(f"{out} holds another training: {different}; choose another --out")
    if begun.get("is_complete"):
        raise InputError(
            f"{out} holds this training, and it is done; choose another --out to train again, or --merge the adapter"
        )
    return newest_whole(out / "checkpoints")


def is_done(out: Path, identity: dict[str, object]) -> bool:
    """Whether `out` holds the training `identity`, done."""
    if not (out / RECORD).is_file():
        return False
    begun = read_record(out)
    return bool(begun.get("is_complete")) and not _differences(begun.get("identity"), identity)


def withdraw(out: Path) -> None:
    """Take back the mark of `begin`: the training did not start."""
    (out / RECORD).unlink(missing_ok=True)
    if not any(out.iterdir()):
        out.rmdir()


def read_record(out: Path) -> dict[str, object]:
    """What `write_record` wrote.

    Raises:
        InputError: it cannot be read.
    """
    try:
        found = orjson.loads((out / RECORD).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"cannot read {out / RECORD}: {error}") from error
    return found if isinstance(found, dict) else {}


def write_record(out: Path, record: dict[str, object]) -> None:
    """Replace the record of `out`."""
    temporary = out / f".{RECORD}.tmp"
    temporary.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    temporary.replace(out / RECORD)


def _differences(begun: object, wanted: dict[str, object]) -> str:
    """What differs, as `key: was, is`; empty: nothing."""
    wanted = json.loads(json.dumps(wanted))
    if not isinstance(begun, dict):
        return "its record is damaged"
    old, new = _flat(begun), _flat(wanted)
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys[:4])


def _flat(values: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= _flat(value) if isinstance(value, dict) else {key: value}
    return flat


def newest_whole(directory: Path) -> Path | None:
    """The checkpoint with the most steps of those that can be read."""
    found = [path for path in directory.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        if (fault := damage(path)) is None:
            return path
        note(f"{path} cannot be used: {fault}; an earlier state is taken")
    return None


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint. None: nothing that shows without loading it."""
    weights = sorted(checkpoint.glob("*.safetensors"))
    if not weights:
        return "it holds no weights"
    for path in weights:
        try:
            with safe_open(path, framework="pt") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            return f"{path.name}: {error}"
    for name in STATES:
        # torch writes zip files, whose list of contents stands at the end.
        if not zipfile.is_zipfile(checkpoint / name):
            return f"{name} is missing or cut off"
    try:
        orjson.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        return f"trainer_state.json: {error}"
    return None
