"""One stage a module: each reads tables of the lake and writes tables of the lake."""
