from pathlib import Path

from scripted_rollouts import CHAIN, DIALECT, act, rollout

from schemas import Step
from schemas.identity import derive_id
from toolkit.agent.setup import Sag, Sampling, Setup
from toolkit.contracts import Tool
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.llm.scripted import ScriptedLLM
from toolkit.tools import load_tools


def test_state_lasts_and_the_answer_ends_the_rollout() -> None:
    seen: list[Step] = []
    done, _ = rollout(
        [act("x = 40\nprint(x)"), act("final_answer(x + 2)"), "never asked"], on_step=lambda step, _: seen.append(step)
    )
    assert (done.trajectory.stop_reason, done.trajectory.final_answer, done.trajectory.n_steps) == (
        "final_answer",
        "42",
        2,
    )
    assert [step.observation for step in done.steps] == ["40", None]
    assert done.steps == seen
    assert done.steps[1].is_final


def test_errors_become_observations_and_the_loop_goes_on() -> None:
    done, llm = rollout(["no code here", act("1 / 0"), act("final_answer(42)")])
    assert [step.error_kind for step in done.steps] == ["parse", "execution", "none"]
    assert (done.trajectory.parse_errors, done.trajectory.execution_errors) == (1, 1)
    shown = [message.content for message in llm.requests[2].messages if message.role == "user"]
    assert "```py" in shown[1]
    assert "ZeroDivisionError" in shown[2]


def test_the_last_step_ends_a_rollout_without_answer() -> None:
    done, _ = rollout([act("print(1)")] * 3, max_steps=3)
    assert (done.trajectory.stop_reason, done.trajectory.final_answer, done.trajectory.n_steps) == (
        "max_steps",
        None,
        3,
    )


def test_a_model_without_answer_makes_a_row_that_says_so() -> None:
    done, _ = rollout([act("print(1)")])
    assert done.trajectory.stop_reason == "error"
    assert "one more was asked for" in str(done.trajectory.error)
    assert len(done.steps) == 1


def test_a_first_thought_is_asked_to_be_continued_and_is_marked() -> None:
    thought = "To answer this, I need to add two numbers."
    prefix = f"Thought: {thought}"
    done, llm = rollout(["\nCode:\n```py\nfinal_answer(42)\n```"], thought=thought)
    assert llm.requests[0].prefix == prefix
    step = done.steps[0]
    assert step.completion == prefix + "\nCode:\n```py\nfinal_answer(42)\n```"
    assert step.completion[: step.prefix_chars] == prefix
    assert (step.thought, step.code) == (thought, "final_answer(42)")
    assert (done.trajectory.first_thought, done.trajectory.first_thought_source) == (thought, derive_id("cot"))


def test_only_the_first_request_has_the_prefix() -> None:
    _, llm = rollout(["\nCode:\n```py\nprint(1)\n```", act("final_answer(1)")], thought="First this.")
    assert [request.prefix for request in llm.requests] == ["Thought: First this.", None]
    assert llm.requests[1].messages[2].content.startswith("Thought: First this.")


def test_tool_calls_of_a_file_of_the_users_own_are_recorded(tmp_path: Path) -> None:
    file = tmp_path / "my_tools.py"
    file.write_text(
        "from toolkit.tools import tool\n\n"
        '@tool(effect="pure")\ndef double(x: int) -> int:\n    """Twice x."""\n    return 2 * x\n\n'
        '@tool\nasync def greet(name: str, loud: bool = False) -> str:\n    """A greeting."""\n'
        '    return f"hello {name}" + "!" * loud\n'
    )
    done, llm = rollout(
        [act("print(double(x=21), greet('Bo', loud=True))"), act("final_answer(42)")], tools=load_tools(file)
    )
    calls = [(call.name, call.arguments, call.result, call.step_index, call.ordinal) for call in done.tool_calls]
    assert calls == [("double", '{"x":21}', "42", 0, 0), ("greet", '{"loud":true,"name":"Bo"}', '"hello Bo!"', 0, 1)]
    assert done.trajectory.n_tool_calls == 2
    assert "double(x: int) -> int" in llm.requests[0].messages[0].content


def test_integers_of_any_length_are_recorded_as_they_were() -> None:
    async def shift(bits: int, by: int) -> int:
        return bits << by

    tool = Tool("shift", "shift(bits: int, by: int) -> int", "Shifts.", shift)
    done, _ = rollout([act("print(shift(2**70, 1))"), act("final_answer(1)")], tools={"shift": tool})
    assert [(call.arguments, call.result) for call in done.tool_calls] == [
        (f'{{"bits":{2**70},"by":1}}', str(2**71)),
    ]


def test_each_step_and_sample_has_a_seed_of_its_own() -> None:
    setup = Setup(ScriptedLLM([]), DIALECT, CHAIN)
    seeds = {setup.request_seed("t", sample, step) for sample in range(4) for step in range(5)}
    assert len(seeds) == 20
    assert setup.request_seed("t", 1, 2) == Setup(ScriptedLLM([]), DIALECT, CHAIN).request_seed("t", 1, 2)


def test_ids_follow_what_is_asked_and_not_how_it_is_run() -> None:
    base = Setup(ScriptedLLM([]), DIALECT, CHAIN)
    assert base.identity_hash == Setup(ScriptedLLM([]), load_dialect("codeact"), ChainOfThought()).identity_hash
    changed = [
        Setup(ScriptedLLM([], name="other"), DIALECT, CHAIN),
        Setup(ScriptedLLM([]), load_dialect("smolagents"), CHAIN),
        Setup(ScriptedLLM([]), DIALECT, CHAIN, sampling=Sampling(seed=1)),
        Setup(ScriptedLLM([]), DIALECT, CHAIN, kind="cot"),
        Setup(ScriptedLLM([]), DIALECT, CHAIN, sag=Sag()),
        Setup(ScriptedLLM([]), DIALECT, CHAIN, sag=Sag(4)),
        Setup(ScriptedLLM([]), DIALECT, CHAIN, sag=Sag(vote="stdout")),
        Setup(ScriptedLLM([]), DIALECT, CHAIN, first_thoughts=Setup(ScriptedLLM([]), DIALECT, CHAIN, kind="cot")),
    ]
    assert len({base.identity_hash, *(setup.identity_hash for setup in changed)}) == 9


def test_ids_of_greedy_agents_are_those_from_before_there_was_sag() -> None:
    """Only a change of the prompts or of the dialect may change these; then they are renewed here."""
    chains = Setup(ScriptedLLM([]), DIALECT, CHAIN, kind="cot")
    assert Setup(ScriptedLLM([]), DIALECT, CHAIN).identity_hash == "e4a3402deecbb198587a02a0"
    with_thoughts = Setup(ScriptedLLM([]), DIALECT, CHAIN, first_thoughts=chains)
    assert with_thoughts.identity_hash == "3d7269f2c8b9e784692a8185"
