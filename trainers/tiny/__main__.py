"""`python -m trainers.tiny`: make the tiny base model."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.cli.output import note
from trainers.tiny.make import make_base


def main() -> None:
    """Read the command line and make the model."""
    parser = argparse.ArgumentParser(prog="python -m trainers.tiny", description="Make the tiny base model.")
    parser.add_argument("--out", type=Path, required=True, help="directory for the model")
    parser.add_argument("--tokens", type=int, default=4_000_000, help="tokens to read")
    parser.add_argument("--start", type=Path, help="an earlier model, which is to read on; give another --seed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    done = make_base(options.out, tokens=options.tokens, seed=options.seed, start=options.start)
    note(f"{options.out}: {done.steps:,} steps, {done.metrics}")


if __name__ == "__main__":
    main()
