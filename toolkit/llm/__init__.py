"""Models behind one contract.

`openai_server` (any compatible endpoints), `transformers_local` and `vllm_local` (in process), `scripted` (replies from
a list). Those in process are imported by name only: they bring torch.
"""
