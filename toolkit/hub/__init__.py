"""The Hugging Face Hub as a place for publications: `repository` talks to it, `manifest` says what is there.

`published` reads a published selection without restoring it.
"""
