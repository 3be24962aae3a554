"""The tools that every stage works with."""
