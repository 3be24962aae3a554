"""A base model of a million weights, made from generated text: for tests, demos and probes without any download.

Reading order: `copying` and `reading` (what it reads), `vocabulary` and `tokenizer` (how it reads it), `make`.
"""
