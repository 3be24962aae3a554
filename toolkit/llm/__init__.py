"""Models behind one contract: `openai_server` (any compatible endpoint) and `scripted` (replies from a list)."""
