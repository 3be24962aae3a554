"""Search over passages: corpora, embedders, the index, retrievers."""
