"""Candidates start from one state, the vote decides, and the losers never were."""

from __future__ import annotations

import pytest
from scripted_rollouts import act, rollout

from schemas import Candidate, Step
from toolkit.agent.draft import Finished
from toolkit.agent.setup import Sag
from toolkit.contracts import Tool

THREE = Sag(3)


class World:
    """Two tools, and the calls that really reached them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def tools(self) -> dict[str, Tool]:
        async def look(word: str) -> str:
            self.calls.append(f"look {word}")
            return f"{word} number {len(self.calls)}"

        async def send(text: str) -> str:
            self.calls.append(f"send {text}")
            return f"sent {text}"

        return {
            "look": Tool("look", "look(word: str) -> str", "Look a word up.", look, "read"),
            "send": Tool("send", "send(text: str) -> str", "Send a text.", send, "write"),
        }


def played(*steps: list[str], sag: Sag = THREE, world: World | None = None) -> Finished:
    """A rollout whose candidates of each step are these codes; `no code` does not parse."""
    script = [act(code) if code != "no code" else "nothing to run" for codes in steps for code in codes]
    done, _ = rollout(script, sag=sag, max_steps=len(steps), tools=(world or World()).tools())
    return done


def ballots(done: Finished, step_index: int = 0) -> list[tuple[str, int, bool]]:
    rows = [row for row in done.candidates if row.step_index == step_index]
    return [(row.status, row.votes, row.chosen) for row in rows]


def test_three_candidates_that_count_up_from_ten_see_eleven_and_so_does_the_trajectory() -> None:
    count = ["total += 1\nprint(total)", "total = total + 1\nprint(total)", "total -= -1\nprint(total)"]
    done = played(["total = 10"] * 3, count, ["final_answer(total)"] * 3)
    assert [row.observation for row in done.candidates if row.step_index == 1] == ["11"] * 3
    assert done.steps[1].observation == "11"
    assert done.trajectory.final_answer == "11"


@pytest.mark.parametrize(
    ("before", "loser", "winners", "probe", "expected"),
    [
        ("x = 1", "leak = 1\ndel x", ["x", "x + 0"], "final_answer(('leak' in globals(), x))", "(False, 1)"),
        (
            "import itertools\nc = itertools.count(5)",
            "next(c)\nnext(c)\nprint('b')",
            ["next(c)\nprint('a')", "a = next(c)\nprint('a')"],
            "final_answer(next(c))",
            "6",
        ),
        (
            "import random\nrandom.seed(3)",
            "random.seed(9)\nprint('b')",
            ["x = random.random()\nprint('a')", "random.random()\nprint('a')"],
            "final_answer(random.random())",
            "0.5442292252959519",
        ),
        (
            "items = {'a': [1]}",
            "items['a'].clear()\nitems",
            ["items['a'].append(2)\nitems", "items['a'] += [2]\nitems"],
            "final_answer(items)",
            "{'a': [1, 2]}",
        ),
    ],
)
def test_a_loser_leaves_no_state_behind(before: str, loser: str, winners: list[str], probe: str, expected: str) -> None:
    done = played([before] * 3, [loser, *winners], [probe] * 3)
    assert ballots(done, 1) == [("ok", 1, False), ("ok", 2, True), ("ok", 2, False)]
    assert done.trajectory.final_answer == expected


def test_equal_prints_do_not_hide_different_answers() -> None:
    codes = ["print('done')\nfinal_answer(7)", "print('done')\nfinal_answer(5)", "print('done')\nfinal_answer(10 / 2)"]
    by_outcome, by_print = played(codes), played(codes, sag=Sag(3, "stdout"))
    assert by_outcome.trajectory.final_answer == "5"
    assert by_print.trajectory.final_answer == "7"
    assert ballots(by_outcome) == [("ok", 1, False), ("ok", 2, True), ("ok", 2, False)]
    assert ballots(by_print) == [("ok", 3, True), ("ok", 3, False), ("ok", 3, False)]


def test_equal_actions_run_once_and_each_has_a_vote() -> None:
    clock = "import time\nprint(time.perf_counter_ns())"
    done = played([clock, clock, "print('other')"])
    first, second, _ = done.candidates
    assert first.observation == second.observation
    assert ballots(done) == [("ok", 2, True), ("ok", 2, False), ("ok", 1, False)]


def test_reads_are_made_once_for_all_and_only_the_winners_are_rows() -> None:
    world = World()
    done = played(
        ["print(look('a'))", "print(look(word='a'))", "look('b')\nprint(look('a'), 'x')"],
        ["final_answer(1)"] * 3,
        world=world,
    )
    assert sorted(world.calls) == ["look a", "look b"]
    assert [(call.step_index, call.name, call.arguments) for call in done.tool_calls] == [(0, "look", '{"word":"a"}')]
    assert done.trajectory.n_tool_calls == 1


def test_a_writing_candidate_that_loses_never_writes() -> None:
    world = World()
    done = played(["send('hello')\nprint('sent')", "print(1)", "print(1.0)"], world=world)
    assert world.calls == []
    assert ballots(done) == [("held", 1, False), ("ok", 2, True), ("ok", 2, False)]
    assert (done.candidates[0].observation, done.tool_calls) == (None, [])


def test_a_writing_candidate_that_wins_writes_once_and_goes_on() -> None:
    world = World()
    done = played(
        ["x = send('hello')\nprint(x)", "print(0)", "print(send('hello'))\nx = 5"],
        ["final_answer(x)"] * 3,
        world=world,
    )
    assert world.calls == ["send hello"]
    assert ballots(done) == [("held", 2, True), ("ok", 1, False), ("held", 2, False)]
    assert (done.steps[0].observation, done.trajectory.final_answer) == ("sent hello", "sent hello")
    assert [(call.name, call.result) for call in done.tool_calls] == [("send", '"sent hello"')]


def test_a_winner_that_fails_after_its_write_is_observed_with_its_error() -> None:
    world = World()
    done = played(["send('a')\n1 / 0", "send(text='a')\n[][1]", "print(0)"], ["final_answer(1)"] * 3, world=world)
    assert world.calls == ["send a"]
    assert done.steps[0].error_kind == "execution"
    assert "ZeroDivisionError" in str(done.steps[0].observation)
    assert done.trajectory.execution_errors == 1
    assert ballots(done)[0] == ("held", 2, True)


def test_one_action_without_rival_runs_in_place_and_may_write() -> None:
    world = World()
    done = played(["send('a')"] * 2 + ["no code"], world=world)
    assert world.calls == ["send a"]
    assert ballots(done) == [("ok", 2, True), ("ok", 2, False), ("parse_error", 0, False)]


def test_the_only_action_leaves_nothing_if_it_fails_and_loses_to_a_completion_that_does_not_parse() -> None:
    done = played(["no code"] + ["x = 1\n1 / 0"] * 2, ["final_answer('x' in globals())"] * 3)
    assert ballots(done) == [("parse_error", 0, True), ("execution_error", 0, False), ("execution_error", 0, False)]
    assert (done.steps[0].error_kind, done.trajectory.final_answer) == ("parse", "False")


def test_the_only_action_that_writes_wins_over_a_completion_that_does_not_parse_and_is_recorded() -> None:
    world = World()
    done = played(["no code"] + ["send('a')\n1 / 0"] * 2, ["final_answer(1)"] * 3, world=world)
    assert world.calls == ["send a"]
    assert ballots(done) == [("parse_error", 0, False), ("held", 2, True), ("held", 2, False)]
    assert [(call.name, call.result) for call in done.tool_calls] == [("send", '"sent a"')]
    assert done.steps[0].error_kind == "execution"


def test_where_all_fail_the_first_is_observed_and_goes_on() -> None:
    done = played(["x = 1\n1 / 0", "undefined", "no code"], ["final_answer(x)"] * 3)
    assert ballots(done) == [("execution_error", 0, True), ("execution_error", 0, False), ("parse_error", 0, False)]
    assert (done.steps[0].error_kind, done.trajectory.final_answer) == ("execution", "1")
    assert "ZeroDivisionError" in str(done.steps[0].observation)


def test_where_all_fail_and_the_first_does_not_parse_no_action_goes_on() -> None:
    done = played(["no code", "x = 1\n1 / 0", "x = 2\nundefined"], ["final_answer('x' in globals())"] * 3)
    assert ballots(done)[0] == ("parse_error", 0, True)
    assert (done.steps[0].error_kind, done.trajectory.final_answer) == ("parse", "False")


def test_failures_are_dropped_before_the_vote() -> None:
    done = played(["1 / 0", "no code", "print(3)"], sag=THREE)
    assert ballots(done) == [("execution_error", 0, False), ("parse_error", 0, False), ("ok", 1, True)]
    assert done.steps[0].observation == "3"
    assert "There is no code block" in str(done.candidates[1].error)


def test_of_equally_large_groups_the_one_that_began_earlier_wins() -> None:
    done = played(["print(1)", "print(2)", "print(2.0)", "print('1')"], sag=Sag(4))
    assert ballots(done) == [("ok", 2, True), ("ok", 2, False), ("ok", 2, False), ("ok", 2, False)]


def test_a_candidate_that_kills_its_interpreter_only_loses() -> None:
    done = played(["x = 2"] * 3, ["import os\nos._exit(1)", "print(x)", "print(x + 0)"], ["final_answer(x)"] * 3)
    assert done.trajectory.final_answer == "2"
    assert ballots(done, 1)[0][1:] == (0, False)


def test_a_first_thought_is_continued_by_every_candidate() -> None:
    rest = ["\nCode:\n```py\nprint(1)\n```", "\nCode:\n```py\nprint(1.0)\n```", " Hm."]
    done, llm = rollout([*rest, *[act("final_answer(1)")] * 3], sag=THREE, thought="Add them.")
    prefix = "Thought: Add them."
    assert [(request.n, request.prefix) for request in llm.requests] == [(3, prefix)] * 3 + [(3, None)] * 3
    assert [row.completion for row in done.candidates[:3]] == [prefix + text for text in rest]
    assert done.steps[0].completion == done.candidates[0].completion
    assert (done.steps[0].prefix_chars, done.candidates[0].thought) == (len(prefix), "Add them.")


def test_who_looks_on_sees_the_candidates_with_their_step() -> None:
    seen: list[tuple[Step, list[Candidate]]] = []
    script = [act(code) for code in ("print(1)", "final_answer(1)")]
    done, _ = rollout(script, sag=Sag(1), on_step=lambda step, candidates: seen.append((step, candidates)))
    assert [(step.step_index, len(candidates)) for step, candidates in seen] == [(0, 1), (1, 1)]
    assert [row for _, candidates in seen for row in candidates] == done.candidates


def test_a_greedy_rollout_has_no_candidates() -> None:
    done, _ = rollout([act("final_answer(1)")])
    assert done.candidates == []
    assert '"policy":"greedy"' in str(done.trajectory.sampling)


def test_the_trajectory_says_how_it_was_sampled() -> None:
    done = played(["final_answer(1)"] * 3, sag=Sag(3, "stdout"))
    assert '"n":3,"policy":"sag"' in str(done.trajectory.sampling)
    assert '"vote":"stdout"' in str(done.trajectory.sampling)
