"""The view `contamination`: what `decontaminate` found, one row a hit, out of the evidence of decisions.

Invariant: it shows the hits that the evidence lists, of kept and dropped trajectories alike. Where there are many, the
evidence lists the first of them, and its `n_hits` says how many there were.
"""

CONTAMINATION = """
SELECT selection, selection_id, trajectory_id, kept, rule,
       hit->>'$.benchmark' AS benchmark, hit->>'$.id' AS benchmark_id, hit->>'$.kind' AS kind, hit->>'$.match' AS match,
       hit->>'$.fate' AS fate, hit->>'$.place' AS place, (hit->>'$.step_index')::BIGINT AS step_index,
       (hit->>'$.start')::BIGINT AS start_char, (hit->>'$.end')::BIGINT AS end_char, hit->>'$.text' AS overlap,
       hit->>'$.answer' AS answer, (hit->>'$.measure')::DOUBLE AS measure
FROM (
    SELECT * EXCLUDE (found), unnest(found) AS hit FROM (
        SELECT selection, selection_id, trajectory_id, kept, rule, (evidence->'$.hits')::JSON[] AS found
        FROM decisions WHERE rule LIKE '%: decontaminate'
        UNION ALL
        SELECT selection, selection_id, trajectory_id, kept, reporting,
               json_extract(evidence, '$.reported."' || reporting || '".hits')::JSON[]
        FROM (SELECT *, unnest(json_keys(evidence, '$.reported')) AS reporting FROM decisions
              WHERE contains(evidence, '"reported"'))
        WHERE reporting LIKE '%: decontaminate'
    )
)
"""
