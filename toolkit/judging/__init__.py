"""A model as judge: is an answer what the reference says, is a step sound, is a rollout worth learning from?

`rubric` is what a judge is told and the words that it may answer, `cases` is what it is shown of a trajectory, `judge`
puts both together for one model. Nothing here asks a model; `pipelines.judge` does.
"""
