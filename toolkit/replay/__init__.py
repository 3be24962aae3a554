"""Recorded actions, run again: with recorded results of tools, and compared with what was observed then.

recorded_tools  tools that answer what they answered then
chance          what a program says that may come out otherwise each time
verification    one step, run again and judged
"""
