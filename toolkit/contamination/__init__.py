"""Finding questions of benchmarks, and their answers, in what an agent was asked, wrote and read.

`words` makes texts comparable, `boilerplate` weighs phrases by how many questions share them, `index`
holds the benchmark questions, `scan` looks for them in a trajectory and gives `hits`.
"""
