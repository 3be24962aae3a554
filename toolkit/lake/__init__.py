"""A directory of immutable Parquet segments and a log of commits."""
