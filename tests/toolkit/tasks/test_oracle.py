import asyncio

import pytest

from schemas import Task
from schemas.identity import derive_id
from toolkit.contracts import ChatMessage, CompletionRequest
from toolkit.dialects import load_dialect
from toolkit.errors import InputError, ModelError
from toolkit.tasks.minipedia import Compute, Lookup, Minipedia, Plan
from toolkit.tasks.oracle import OracleTeacher

DIALECT = load_dialect("codeact")
HOPS = Plan(
    operations=(
        Lookup(question="Who wrote Dunes?", query="author of Dunes", title="Dunes", answer="Bo Ra"),
        Lookup(question="When was #1 born?", query="birth year of #1", title="Bo Ra", answer="1920"),
        Compute(expression="2000 - #2", answer="80"),
    )
)
TASK = Task(
    task_id=derive_id("t"), dataset="d", question="How old?", answers=["80"], domain="math", plan=HOPS.model_dump_json()
)


def turn(
    *later: str,
    system: str = "call final_answer(x)",
    seed: int = 0,
    slips: float = 0.0,
    prefix: str | None = None,
    recall: float = 0.0,
) -> str:
    roles = ("assistant", "user")
    messages = [ChatMessage("system", system), ChatMessage("user", TASK.question)]
    messages += [ChatMessage(roles[index % 2], text) for index, text in enumerate(later)]  # type: ignore[arg-type]
    oracle = OracleTeacher([TASK], DIALECT, slips=slips, recall=recall)
    (completion,) = asyncio.run(oracle.complete(CompletionRequest(tuple(messages), seed=seed, prefix=prefix)))
    return completion.text


def test_it_searches_for_what_it_does_not_know() -> None:
    assert "print(web_search('author of Dunes'))" in turn()


def test_it_uses_what_it_was_shown_and_only_that() -> None:
    text = turn("searched", "[1] Dunes\nDunes is a novel by Bo Ra.")
    assert "birth year of Bo Ra" in text
    assert "Bo Ra" not in turn("searched", "[1] Dunes\nDunes is a novel.")


def test_it_says_what_it_has_learned_once() -> None:
    first = turn("searched", "[1] Dunes\nDunes is a novel by Bo Ra.")
    assert "Who wrote Dunes? Bo Ra (result 1). " in first
    last = turn("searched", "[1] Dunes\nDunes is a novel by Bo Ra.", first, "Bo Ra was born in 1920.")
    assert "When was Bo Ra born? 1920 (result 2). " in last
    assert "Who wrote" not in last


def test_each_search_says_what_is_left_to_do() -> None:
    told = 'Then "When was (result 1) born?". Then I calculate 2000 - (result 2).'
    assert f"Who wrote Dunes? {told}" in turn()
    second = turn("searched", "[1] Dunes\nDunes is a novel by Bo Ra.")
    assert "When was Bo Ra born? Then I calculate 2000 - (result 2)." in second


def test_a_value_inside_a_longer_word_is_not_known() -> None:
    assert "birth year of" not in turn("searched", "by Bo Rasmussen")


def test_it_leaves_calculations_to_python() -> None:
    assert "final_answer(2000 - 1920)" in turn("a", "by Bo Ra", "b", "born in 1920")


def test_it_tries_other_words_and_then_gives_up() -> None:
    first = "print(web_search('author of Dunes'))"
    assert "web_search('Who wrote Dunes?')" in turn(first, "nothing")
    assert 'final_answer("unknown")' in turn(first, "nothing", "print(web_search('Who wrote Dunes?'))", "nothing")


def test_a_chain_of_thought_opens_with_a_plan_and_knows_no_facts() -> None:
    text = turn(system="Think step by step.")
    assert "Bo Ra" not in text
    assert "1920" not in text
    assert "Who wrote Dunes?" in text.split("\n\n")[0]
    assert text.endswith("Final answer: unknown")


def test_a_chain_of_thought_states_what_it_remembers_but_not_in_its_first_paragraph() -> None:
    text = turn(system="Think step by step.", recall=1.0)
    assert text.endswith("The calculation is 2000 - 1920.\n\nFinal answer: 80")
    assert "When was Bo Ra born? 1920." in text
    assert "1920" not in text.split("\n\n")[0]


def test_an_agent_remembers_nothing() -> None:
    assert turn(recall=1.0) == turn()


def test_recall_is_a_share_of_all_facts_and_the_same_for_equal_seeds() -> None:
    tasks = list(Minipedia(0, 500).tasks("train", 400))

    def answered(recall: float) -> list[bool]:
        oracle = OracleTeacher(tasks, DIALECT, slips=0.0, recall=recall)
        asked = [(ChatMessage("system", "Think."), ChatMessage("user", task.question)) for task in tasks]

        async def say() -> list[str]:
            return [(await oracle.complete(CompletionRequest(messages)))[0].text for messages in asked]

        said = asyncio.run(say())
        return [text.endswith(f"Final answer: {task.answers[0]}") for text, task in zip(said, tasks, strict=True)]

    facts = [index for index, task in enumerate(tasks) if task.evidence]
    shares = []
    for recall in (0.0, 0.5, 1.0):
        right = answered(recall)
        shares.append(sum(right[index] for index in facts) / len(facts))
    assert shares[0] == 0
    assert 0.1 < shares[1] < 0.5  # several facts must all be remembered
    assert shares[2] == 1
    assert answered(0.5) == answered(0.5)


def test_it_continues_a_prefix() -> None:
    text = turn(prefix="Thought: First this.")
    assert DIALECT.parse("Thought: First this." + text).thought == "First this."
    assert text.startswith("\nCode:")


def test_slips_depend_on_the_seed_and_on_nothing_else() -> None:
    turns = [turn(seed=seed, slips=0.9) for seed in range(40)]
    assert turns == [turn(seed=seed, slips=0.9) for seed in range(40)]
    assert len(set(turns)) > 3
    assert any(DIALECT.parse(text).code is None for text in turns)


def test_a_question_without_plan_is_refused() -> None:
    with pytest.raises(InputError, match="needs a plan"):
        OracleTeacher([TASK.model_copy(update={"plan": None})], DIALECT)
    with pytest.raises(ModelError, match="no plan for the question"):
        asyncio.run(OracleTeacher([], DIALECT).complete(CompletionRequest((ChatMessage("user", "Who?"),))))


def test_every_minipedia_plan_can_be_followed() -> None:
    assert OracleTeacher(Minipedia(0, 100).tasks("ood", limit=200), DIALECT).identity["slips"] == 0.1
