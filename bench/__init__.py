"""Side-by-side measurements against peers; run by hand, never part of the tests."""
