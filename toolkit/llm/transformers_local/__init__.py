"""Models in process, by transformers: for machines without a server, and for students.

`sampling` chooses tokens, `generation` runs one batch, `batching` gathers the rows of concurrent
requests, `model` loads, `llm` is the backend. The only part of `toolkit.llm` that imports torch.
"""

from toolkit.llm.transformers_local.llm import TransformersLLM as TransformersLLM
