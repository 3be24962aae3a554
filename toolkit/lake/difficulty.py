"""How hard a question was for those who answered it, and who they were, beside every trajectory.

    where: "samples >= 4 and pass_rate between 0.25 and 0.75 and teacher = 'my-model'"

The pass rate of a question is counted among trajectories of one kind and role, by their verdicts: chains of thought say
nothing about agents, students nothing about teachers. Invariant: it is a fact of the whole lake, not of the rows that a
recipe still has in, so that `where: correct` before it changes nothing. Not covered: how sure a rate of few samples is.
"""

from __future__ import annotations


def with_difficulty(scored: str, graded: str) -> str:
    """SELECT of all rows and columns of the query `scored`, and beside them `teacher`, `samples` and `pass_rate`.

    `graded` is a query of the same trajectories with `task_id`, `kind`, `role` and `correct`.

    `teacher`: name of the model. Null: not known. `samples`: trajectories of the same question, kind and role that have
    a verdict. `pass_rate`: share of them that is right, in [0, 1]. Null: none has a verdict.
    """
    # The last join is with one row a key by GROUP BY, so that DuckDB leaves it out where a query does not need it. Of
    # joins below, DuckDB 2.0 leaves out none: the costliest comes last.
    return f"""
        SELECT s.*, m.teacher, coalesce(d.samples, 0) AS samples, d.pass_rate FROM ({scored}) s
        LEFT JOIN (SELECT model_id, first(name) AS teacher FROM models GROUP BY model_id) m USING (model_id)
        LEFT JOIN (
            SELECT task_id, kind, role, count(correct) AS samples, avg(CAST(correct AS INTEGER)) AS pass_rate
            FROM ({graded}) GROUP BY task_id, kind, role
        ) d USING (task_id, kind, role)"""
