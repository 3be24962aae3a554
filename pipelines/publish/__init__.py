"""Publish a selection or a model on the Hugging Face Hub, and bring a selection back as a lake.

The road of a selection: `tables` (its part of the lake, as Parquet) → `configurations`
(what `load_dataset` reads, derived from these) → `facts` (every number, counted in the files)
→ `card` and `plots` → `check` (the gate, over the files) → `toolkit.hub` (upload of what changed).
`restore` is the way back. Invariant: what is uploaded is a directory that was checked as it is.
"""
