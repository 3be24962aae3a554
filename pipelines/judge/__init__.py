"""`toolkit judge`: a model's word on answers, steps and rollouts, as scores.

`wanted` finds in the lake what there is to judge and what is known already, `judging` asks, `foreseen` says what that
would take, `command` is the command.
"""
