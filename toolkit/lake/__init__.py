"""A directory of immutable Parquet segments and a log of commits; DuckDB and Polars read it.

`lake` opens, reads and writes; `snapshot` is one moment; `views` says which rows are current,
`proofs` where that needs no look; `query` and `predicate` take SQL of strangers; `commits`,
`segments` and `writing` are the disk; `compaction`, `vacuum` and `check` keep it.
"""
