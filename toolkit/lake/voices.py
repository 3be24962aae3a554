"""Who says what about the same thing: graders, rewards, judges and people as voices, each with one word a unit.

A unit is a trajectory or a step. Voices: `people` (the majority of those who are sure, over all projects), `grader`
(exact match or mathematical equivalence), `reward` (the environment's own), and each judge by rubric and model. Of
several versions of one voice the newest counts. Not covered: process signals, which ask something else.
"""

from __future__ import annotations

VOICES = """
SELECT trajectory_id, step_index,
       CASE WHEN starts_with(scorer, 'judge.') THEN split_part(scorer, '@', 1)
            WHEN starts_with(scorer, 'reward@') THEN 'reward' ELSE 'grader' END AS voice,
       arg_max_null(passed, scored_at) AS passed,
       arg_max_null(details->>'reason', scored_at) FILTER (starts_with(scorer, 'judge.')) AS reason
FROM scores
WHERE starts_with(scorer, 'judge.') OR starts_with(scorer, 'reward@')
      OR starts_with(scorer, 'fact@') OR starts_with(scorer, 'math@')
GROUP BY trajectory_id, step_index, voice
UNION ALL
SELECT trajectory_id, step_index, 'people', CASE WHEN pro > contra THEN true WHEN pro < contra THEN false END, words
FROM (
    SELECT trajectory_id, step_index, count(*) FILTER (verdict IN ('accepted', 'correct')) AS pro,
           count(*) FILTER (verdict IN ('rejected', 'wrong')) AS contra,
           string_agg(comment, ' | ' ORDER BY reviewer) AS words
    FROM reviews WHERE verdict IS NOT NULL GROUP BY trajectory_id, step_index)
"""
"""One row a voice and unit; `passed` null: unsure, or divided people."""
