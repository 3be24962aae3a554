"""Review by people in Label Studio (community edition): push trajectories, pull verdicts, see progress.

    push.py         a sample of trajectories → tasks of a project, batch by batch
    pull.py         annotations → rows of `reviews`, and edited trajectories
    status.py       progress by annotator

    layout.py       the labelling page, and what may be answered on it
    cards.py        a trajectory as the data of a task
    predictions.py  what graders said, as pre-filled answers
    sampling.py     which trajectories people look at
    server.py       the project on the server; its failures explained
    annotations.py  an exported task → rows
    agreement.py    how far people agree with each other, and graders with people
    edited.py       an edited action, run → a new trajectory
    commands.py     the command line

Invariant: the lake is only added to, and pushing or pulling again adds only what is new.
"""
