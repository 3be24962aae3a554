"""Process signals: how an agent came to its answer, as scores of steps and trajectories.

    unrecovered_errors   a step failed, and no later step succeeded
    repeated_calls       a call that was made before, word for word
    unused_retrieval     a retrieved text of which nothing was ever used
    grounded             the answer was observed or computed, or was not
    idle_code            code that computes nothing
    hard_coded           the answer stands in the code as a literal, and came from nowhere
    thought_mismatch     the thought announces one thing, the action searches for or computes another
    loops                the same steps once more, with the same observations
    steps_ratio          steps against the best solution of the same task
    tokens_ratio         tokens written against the best solution of the same task

`signals` lists them, each with name, version and function; `toolkit score --signals` writes them. Invariant: a signal
is a pure function of one `Episode` (the ratios: of it and the task's best), and accuses only on evidence that stands in
the details. Each errs on the side of silence: what it cannot see is `undecided` or `not_applicable`, not a fault.
Not covered: whether a thought is true, a plan sensible, a search well worded; that needs a judge.
"""
