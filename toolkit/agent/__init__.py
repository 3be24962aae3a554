"""Rollouts: a model, a dialect, tools and a sandbox, one thought and one action at a time.

`setup` says what a rollout is made of, `loop` runs an agent, `chain` a chain of thought,
`policies` choose each action (sag by `samples`, `trials` and `vote`, as rows by `candidates`),
`runner` keeps many of them in flight.
"""
