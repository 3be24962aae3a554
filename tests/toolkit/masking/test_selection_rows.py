import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chat_styles import make_tokenizer
from episodes import Fill, episode

from pipelines.filter import filter_lake
from pipelines.generate import GenerateOptions, generate
from pipelines.parts import ModelOptions
from pipelines.recipe import parse_recipe
from schemas import StepWeight, TrajectoryKind
from schemas.identity import derive_id
from toolkit.agent.chain import run_chain
from toolkit.agent.draft import Draft
from toolkit.agent.loop import run_agent
from toolkit.agent.setup import Setup
from toolkit.api import Lake, open_lake
from toolkit.chat import ChatEncoder
from toolkit.contracts import CompletionRequest, Passage
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.errors import InputError, RecordError
from toolkit.formats.shapes import SHAPES, has_tools
from toolkit.lake.records import TrajectoryRecord
from toolkit.lake.selections import find_selection, read_selected
from toolkit.llm.scripted import ScriptedLLM
from toolkit.masking import DroppedRow, EncodedRow, MaskSettings, bracketed, encode_selection, selection_table
from toolkit.masking.conversations import Conversations
from toolkit.retrieval.lexical import LexicalRetriever
from toolkit.sandbox import ProcessSandbox
from toolkit.tasks.minipedia import Minipedia
from toolkit.tools import web_search

WORLD = Minipedia(0, 200)
MASK = "mask_steps: \"error_kind <> 'none'\""


def search() -> LexicalRetriever:
    return LexicalRetriever.over(Passage(article.title, article.text) for article in WORLD.articles("train"))


def make(path: Path, *, kind: TrajectoryKind = "agent", dialect: str = "codeact", max_steps: int = 5) -> Lake:
    """A lake with a dozen of the oracle's trajectories, slips included."""
    lake = open_lake(path, create=True)
    options = GenerateOptions(ModelOptions("oracle", slips=0.3), kind=kind, dialect=dialect, max_steps=max_steps)
    tasks = list(WORLD.tasks("train", limit=12))
    asyncio.run(generate(lake, tasks, options, search(), run_kind="generate"))
    return lake


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make(tmp_path_factory.mktemp("agents") / "lake")


def select(lake: Lake, *steps: str) -> None:
    recipe = "name: v1\nsteps:\n" + "\n".join(f"  - {step}" for step in steps)
    filter_lake(lake, parse_recipe(recipe, "r"))


def rows_of(lake: Lake, settings: MaskSettings | None = None, tokenizer: Any = None) -> list[EncodedRow | DroppedRow]:
    snapshot = lake.snapshot()
    selection = find_selection(snapshot, "v1")
    return list(
        encode_selection(snapshot, selection, tokenizer or make_tokenizer("qwen2.5"), settings or MaskSettings())
    )


def kept(rows: Iterable[EncodedRow | DroppedRow]) -> list[EncodedRow]:
    return [row for row in rows if isinstance(row, EncodedRow)]


def records(lake: Lake) -> dict[str, TrajectoryRecord]:
    snapshot = lake.snapshot()
    selected = read_selected(snapshot.connect(), find_selection(snapshot, "v1"))
    return {record.trajectory.trajectory_id: record for record, _ in selected}


async def replayed(record: TrajectoryRecord, dialect: str, max_steps: int) -> list[CompletionRequest]:
    """What a student is asked while it says what `record` says, with the same tools and passages."""
    assert record.task is not None
    llm = ScriptedLLM([step.completion for step in record.steps])
    retriever = search()
    tool = web_search(retriever)
    kind = record.trajectory.kind
    async with ProcessSandbox({tool.name: tool}) as sandbox:
        setup = Setup(
            llm,
            load_dialect(dialect, max_steps=max_steps),
            ChainOfThought(),
            kind=kind,
            role="student",
            max_steps=max_steps,
            tools={tool.name: tool},
            sandbox=sandbox,
            retriever=retriever,
        )
        draft = Draft(setup, record.task, derive_id("run"))
        await (run_agent(draft) if kind == "agent" else run_chain(draft))
    return llm.requests


@pytest.mark.parametrize(
    ("kind", "dialect", "max_steps"),
    [("agent", "codeact", 5), ("agent", "smolagents", 4), ("cot", "codeact", 5), ("cot_rag", "codeact", 5)],
)
def test_training_turns_and_ids_are_what_inference_sends(
    kind: TrajectoryKind, dialect: str, max_steps: int, tmp_path: Path
) -> None:
    lake = make(tmp_path / "lake", kind=kind, dialect=dialect, max_steps=max_steps)
    select(lake, f"where: \"kind = '{kind}'\"")
    found = records(lake)
    encoder = ChatEncoder(make_tokenizer("qwen2.5"))
    rows = kept(rows_of(lake))[:4]
    assert len(rows) == 4
    for row in rows:
        requests = asyncio.run(replayed(found[row.trajectory_id], dialect, max_steps))
        answers = [number for number, turn in enumerate(row.turns) if turn.role == "assistant"]
        assert len(requests) == len(answers)
        trained_from = 0
        for request, number in zip(requests, answers, strict=True):
            sent = [(message.role, message.content) for message in request.messages]
            assert sent == [(turn.role, turn.content) for turn in row.turns[:number]]
            prompt = encoder.prompt_ids(row.turns[:number])
            assert row.input_ids[: len(prompt)] == prompt
            assert not any(row.loss_weights[trained_from : len(prompt)])
            assert row.loss_weights[len(prompt)] == 1.0
            trained_from = len(prompt) + row.loss_weights[len(prompt) :].index(0.0) if number != answers[-1] else 0
        assert row.loss_weights[-1] == 1.0


def test_masked_steps_stay_in_the_context_without_weight(agents: Lake) -> None:
    lake = agents
    select(lake, "where: \"kind = 'agent' and execution_errors + parse_errors > 0\"", MASK)
    found = records(lake)
    tokenizer = make_tokenizer("qwen2.5")
    rows = kept(rows_of(lake, tokenizer=tokenizer))
    assert rows
    for row in rows:
        steps = found[row.trajectory_id].steps
        shown = bracketed(tokenizer, row)
        for step in steps:
            assert (f"⟦{step.completion}<|im_end|>⟧" in shown) == (step.error_kind == "none")
            assert step.completion in shown


def test_injected_first_thoughts_are_trained_or_not(agents: Lake) -> None:
    lake = agents
    select(lake, "where: \"kind = 'agent'\"")
    found = records(lake)
    tokenizer = make_tokenizer("qwen2.5")
    for with_prefix, without in zip(
        kept(rows_of(lake, tokenizer=tokenizer)),
        kept(rows_of(lake, MaskSettings(prefix_loss=False), tokenizer)),
        strict=True,
    ):
        step = found[with_prefix.trajectory_id].steps[0]
        injected = step.completion[: step.prefix_chars]
        assert injected.startswith("Thought: ")
        assert with_prefix.input_ids == without.input_ids
        silent = [
            token
            for token, on, off in zip(
                with_prefix.input_ids, with_prefix.loss_weights, without.loss_weights, strict=True
            )
            if on and not off
        ]
        text = tokenizer.decode(silent)
        # All of it but, perhaps, a token on the border.
        assert injected.startswith(text)
        assert len(injected) - len(text) < 12


def test_rows_over_the_maximum_are_cut_behind_a_step_or_dropped_and_named(agents: Lake) -> None:
    lake = agents
    select(lake, "where: \"kind = 'agent'\"")
    whole = {row.trajectory_id: row for row in kept(rows_of(lake))}
    lengths = sorted(len(row.input_ids) for row in whole.values())
    limit = lengths[len(lengths) // 2]
    end = make_tokenizer("qwen2.5").convert_tokens_to_ids("<|im_end|>")
    cut = rows_of(lake, MaskSettings(max_tokens=limit))
    assert [row.trajectory_id for row in cut] == list(whole)
    for row in cut:
        full = whole[row.trajectory_id]
        if isinstance(row, DroppedRow):
            assert row.n_tokens == len(full.input_ids) > limit
            first_end = full.input_ids.index(end, full.loss_weights.index(1.0)) + 1
            assert first_end > limit
            continue
        assert len(row.input_ids) <= limit
        assert row.input_ids == full.input_ids[: len(row.input_ids)]
        assert (row.input_ids[-1], row.loss_weights[-1]) == (end, 1.0)
        steps = sum(turn.role == "assistant" for turn in full.turns)
        assert sum(turn.role == "assistant" for turn in row.turns) == steps - row.n_steps_cut
        assert (row.n_steps_cut > 0) == (len(full.input_ids) > limit)
        following = [at for at in range(len(row.input_ids) + 1, len(full.input_ids)) if full.input_ids[at] == end]
        assert not row.n_steps_cut or following[1] + 1 > limit
    assert any(row.n_steps_cut for row in kept(cut))
    dropped = rows_of(lake, MaskSettings(max_tokens=limit, over_long="drop"))
    assert {row.trajectory_id for row in kept(dropped)} == {
        name for name, row in whole.items() if len(row.input_ids) <= limit
    }


def test_the_recorded_prompt_is_kept_where_asked_for_or_where_no_student_has_another(fill: Fill, agents: Lake) -> None:
    lake = agents
    select(lake, "where: \"kind = 'agent'\"")
    recorded = {name: record.system_prompt for name, record in records(lake).items()}
    for row in kept(rows_of(lake, MaskSettings(prompt="recorded"))):
        assert row.turns[0].content == recorded[row.trajectory_id]
    for row in kept(rows_of(lake)):
        assert row.turns[0].content != recorded[row.trajectory_id]
        assert "web_search(query: str) -> str" in row.turns[0].content
    imported = fill([replace(episode("who"), system_prompt="Search, then finish."), episode("what")])
    select(imported, 'where: "true"')
    first, second = sorted(kept(rows_of(imported)), key=lambda row: len(row.turns))
    assert [turn.role for turn in first.turns] == ["user", "assistant", "user", "assistant"]
    assert second.turns[0].content == "Search, then finish."


def test_tools_that_stand_in_the_prompt_are_not_handed_to_trainers_a_second_time(agents: Lake) -> None:
    select(agents, "where: \"kind = 'agent'\"")
    snapshot = agents.snapshot()
    selection = find_selection(snapshot, "v1")
    assert all(record.tools for record in records(agents).values())
    assert not has_tools(snapshot.connect(), selection.selection_id)
    for record in records(agents).values():
        assert "tools" not in SHAPES["trl"].row(record, {})
        assert "tools" not in SHAPES["openai"].row(record, {})


def test_generated_trajectories_without_recorded_tools_are_dropped_and_say_so(agents: Lake) -> None:
    select(agents, "where: \"kind = 'agent'\"")
    record = next(iter(records(agents).values()))
    with pytest.raises(RecordError, match="its tools are not recorded"):
        Conversations(MaskSettings(), {}).turns(replace(record, tools=None), {})
    recorded = Conversations(MaskSettings(prompt="recorded"), {}).turns(replace(record, tools=None), {})
    assert recorded[0].content == record.system_prompt


def test_what_cannot_be_trained_on_is_dropped_with_its_reason(fill: Fill) -> None:
    lake = fill([replace(episode("calls"), dialect="tool-calls"), episode("masked", "masked"), episode("kept")])
    select(lake, "mask_steps: \"completion like '%masked%'\"")
    rows = rows_of(lake)
    reasons = sorted(row.reason for row in rows if isinstance(row, DroppedRow))
    assert len(kept(rows)) == 1
    assert "none of its steps is trained" in reasons
    assert any("structured" in reason for reason in reasons)


def test_the_table_holds_labels_where_there_is_weight_and_the_summary_counts_them(agents: Lake) -> None:
    lake = agents
    select(lake, "where: \"kind = 'agent'\"", MASK)
    snapshot = lake.snapshot()
    tokenizer = make_tokenizer("qwen2.5")
    table, summary = selection_table(snapshot, find_selection(snapshot, "v1"), tokenizer, MaskSettings())
    assert table.num_rows == summary.rows
    trained = tokens = 0
    for row in table.to_pylist():
        tokens += len(row["input_ids"])
        for token, label, weight in zip(row["input_ids"], row["labels"], row["loss_weights"], strict=True):
            assert label == (token if weight else -100)
            trained += weight > 0
    assert (tokens, trained) == (summary.tokens, summary.trained_tokens)
    assert json.loads(json.dumps(summary.as_json()))["rows"] == table.num_rows


def test_a_weight_between_0_and_1_reaches_every_token_of_its_step(fill: Fill) -> None:
    lake = fill([episode("who", searches=2)])
    select(lake, 'mask_steps: "step_index = 0"')
    selection = find_selection(lake.snapshot(), "v1")
    (trajectory_id,) = records(lake)
    with lake.write("by hand") as batch:
        batch.add(
            [
                StepWeight(
                    selection="v1",
                    selection_id=selection.selection_id,
                    trajectory_id=trajectory_id,
                    step_index=1,
                    weight=0.5,
                    rule="by hand",
                )
            ]
        )
    tokenizer = make_tokenizer("qwen2.5")
    (row,) = kept(rows_of(lake, tokenizer=tokenizer))
    shown = bracketed(tokenizer, row)
    assert "⟦0.5: Thought: about search[who 1]\nAction: search[who 1]<|im_end|>⟧" in shown
    assert "⟦Thought: about finish[yes]" in shown
    assert shown.count("⟦") == 2


def test_a_selection_is_not_read_with_attempts_that_its_rules_have_not_seen(fill: Fill) -> None:
    lake = fill([episode("a"), episode("b")])
    select(lake, 'where: "true"')
    before = lake.snapshot()
    with lake.write("retry") as batch:
        table = lake.sql("SELECT * REPLACE (1 AS attempt, repeat('e', 24) AS content_hash) FROM trajectories LIMIT 1")
        batch.add_arrow("trajectories", table.to_arrow_table())
    with pytest.raises(InputError, match="tried again since it was made .* `--at` reads it as it was"):
        rows_of(lake)
    with pytest.raises(InputError, match="tried again"):
        lake.selection("v1")
    assert len(lake.selection("v1", at=before.number)) == 2
