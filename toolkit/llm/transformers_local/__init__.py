"""Models in process, by transformers: for machines without a server, and for students.

`sampling` chooses tokens, `rows` says when a sample ends, `rolling` writes rows that join and leave over
the keys and values in `slots` and `kept`, `generation` writes whole batches where that does not fit,
`batching` gathers the rows of concurrent requests, `model` loads, `llm` is the backend.
The only part of `toolkit.llm` that imports torch.
"""

from toolkit.llm.transformers_local.llm import TransformersLLM as TransformersLLM
