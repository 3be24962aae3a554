"""Conversations as token ids, by a tokenizer's chat template: one way for training and for inference.

    ChatEncoder(tokenizer).prompt_ids(messages)          what a model is asked with
    ChatEncoder(tokenizer).rows(conversation)            what it is trained on, each token with a weight

Invariants: the special tokens of a prompt are those that the template put there, for texts are tokenized with
special tokens disabled; what stands in front of a trained turn is, id for id, what the model is asked with before
it writes that turn.
"""

from __future__ import annotations

from toolkit.chat.encoder import ChatEncoder, Encoded
from toolkit.chat.turns import Turn

__all__ = ["ChatEncoder", "Encoded", "Turn"]
