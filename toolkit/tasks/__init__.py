"""Question sets, and the plans that lead to their answers."""
