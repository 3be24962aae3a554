"""Run in a process of its own: the `datasets` client against HF_ENDPOINT; prints what it loaded as JSON."""

import json
import sys

from datasets import load_dataset

for configuration in ("default", "steps", "messages"):
    loaded = load_dataset(sys.argv[1], configuration)
    features = {name: str(kind) for name, kind in loaded["train"].features.items()}
    rows = {split: len(data) for split, data in loaded.items()}
    sys.stdout.write(json.dumps([configuration, rows, features, loaded["train"][0]], default=str) + "\n")
