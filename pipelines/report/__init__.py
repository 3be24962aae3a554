"""`toolkit report`: one HTML page about a lake or a selection.

`queries` counts, `cards` lays out each trajectory, `page` puts both with the files of `page/` into one file.
"""
