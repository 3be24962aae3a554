"""Write the smolagents fixtures of this folder by running the real library, without a model or a network.

Not part of the test run. One virtual environment a version, then:

    pip install smolagents==1.13.0 && python make_smolagents.py     # smolagents_1_13.jsonl, agent_distillation.jsonl
    pip install smolagents==1.26.0 && python make_smolagents.py     # smolagents_1_26.jsonl

A scripted model answers from a list, a made-up encyclopedia answers `web_search`. Only the
system prompt is replaced (the library's own is 9 KB); everything else is what the library dumps.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from smolagents import CodeAgent, Model, PromptTemplates, ToolCallingAgent, tool
from smolagents.models import ChatMessage, ChatMessageToolCall
from smolagents.utils import make_json_serializable

HERE = Path(__file__).parent
VERSION = importlib.metadata.version("smolagents")
OLD = VERSION.startswith("1.13.")
SYSTEM = "You solve tasks with Python code. Tools: web_search(query) -> str, final_answer(answer)."

FACTS = {
    "Ostrel Bridge": "The Ostrel Bridge spans the river Vennal and was opened in 1912.",
    "river Vennal": "The river Vennal is 340 km long and ends in Lake Tamber.",
}


@tool
def web_search(query: str) -> str:
    """Search the encyclopedia.

    Args:
        query: the title to look up.
    """
    if query not in FACTS:
        raise KeyError(f"no article named {query!r}")
    return FACTS[query]


class ScriptedModel(Model):
    """Answers from a list, in order, and counts made-up tokens."""

    def __init__(self, replies: Iterable[str | list[tuple[str, dict[str, Any]]]]) -> None:
        super().__init__(model_id="scripted/teacher")
        self.replies = iter(replies)

    def _reply(self) -> ChatMessage:
        reply = next(self.replies)
        extra: dict[str, Any] = {}
        if not OLD:
            from smolagents.monitoring import TokenUsage

            extra["token_usage"] = TokenUsage(input_tokens=100, output_tokens=len(str(reply)) // 4)
        if isinstance(reply, str):
            return ChatMessage(role="assistant", content=reply, **extra)
        calls = [_tool_call(number, name, arguments) for number, (name, arguments) in enumerate(reply)]
        return ChatMessage(role="assistant", content=None, tool_calls=calls, **extra)

    def __call__(self, messages: Any, **options: Any) -> ChatMessage:
        return self._reply()

    def generate(self, messages: Any, **options: Any) -> ChatMessage:
        return self._reply()


def _tool_call(number: int, name: str, arguments: dict[str, Any]) -> ChatMessageToolCall:
    if OLD:
        from smolagents.models import ChatMessageToolCallDefinition as Function
    else:
        from smolagents.models import ChatMessageToolCallFunction as Function
    return ChatMessageToolCall(
        id=f"call_{name}_{number}", type="function", function=Function(name=name, arguments=arguments)
    )


def _code(thought: str, code: str, label: str = "Thought: ") -> str:
    """One turn as a model writes it: the closing tag is the stop sequence, which servers leave out."""
    return f"{label}{thought}\nCode:\n```py\n{code}\n```" if OLD else f"{label}{thought}\n<code>\n{code}\n"


BRIDGE = "How long is the river that the Ostrel Bridge spans?"
TWO_HOPS = [
    _code(
        "I need the river first,\nthen its length.",
        'passage = web_search(query="Ostrel Bridge")\nprint(passage)',
    ),
    _code("The river is the Vennal.", 'print(web_search(query="river Vennal"))'),
    _code("It is 340 km long.", 'final_answer("340 km")'),
]
EXECUTION_ERROR = [
    _code("I compute the ratio.", "print('before')\nratio = 340 / 0"),
    _code("Division by zero; I divide by two.", "final_answer(340 / 2)"),
]
PARSE_ERROR = ["Thought: I believe that the final answer is 1912 (no code needed)", *TWO_HOPS[2:]]
TOOL_ERROR = [_code("Look it up.", 'web_search(query="Ostrel bridge")'), *TWO_HOPS[1:]]
TOO_LONG = [*TWO_HOPS[:2], "The river Vennal is 340 km long."]
PLANNED = ["1. Find the river. 2. Find its length.", *TWO_HOPS[1:]]
TOOL_CALLS: list[Any] = [
    [("web_search", {"query": "Ostrel Bridge"}), ("web_search", {"query": "river Vennal"})],
    [("final_answer", {"answer": "340 km"})],
]


def _agent(kind: type, replies: list[Any], **options: Any) -> Any:
    prompt = "code_agent.yaml" if kind is CodeAgent else "toolcalling_agent.yaml"
    templates = yaml.safe_load(importlib.resources.files("smolagents.prompts").joinpath(prompt).read_text())
    templates["system_prompt"] = SYSTEM
    return kind(
        tools=[web_search],
        model=ScriptedModel(replies),
        prompt_templates=PromptTemplates(**templates),
        verbosity_level=0,
        **options,
    )


def _run(name: str, replies: list[Any], *, kind: type = CodeAgent, full: bool = False, **options: Any) -> Any:
    agent = _agent(kind, replies, **options)
    agent.run(BRIDGE)
    steps = agent.memory.get_full_steps() if full else agent.memory.get_succinct_steps()
    memory = {"system_prompt": make_json_serializable(agent.memory.system_prompt), "steps": steps}
    return {"id": name, "question": BRIDGE, "true_answer": "340 km", "memory": memory}


def _write(name: str, records: Iterable[Any]) -> None:
    lines = [json.dumps(make_json_serializable(record), ensure_ascii=False) for record in records]
    (HERE / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _memories() -> list[Any]:
    records = [
        _run("two-hops", TWO_HOPS, full=True),
        _run("execution-error", EXECUTION_ERROR),
        _run("parse-error", PARSE_ERROR),
        _run("tool-error", TOOL_ERROR),
        _run("max-steps", TOO_LONG, max_steps=2),
        _run("planning", PLANNED, planning_interval=5),
    ]
    if not OLD:  # 1.13 takes one call a turn
        records.append(_run("tool-calling", TOOL_CALLS, kind=ToolCallingAgent))
    return records


def _logged(name: str, replies: list[Any], role: Any, **options: Any) -> dict[str, object]:
    """One record in the shape of the agent-distillation 2k set.

    Its memory leaves the action steps out: what the agent did stands in `messages` only.
    """
    agent = _agent(CodeAgent, replies, **options)
    instruction = "\n\nIMPORTANT: Always provide a 'Thought:' sequence."
    answer = agent.run(BRIDGE + instruction)
    messages = [{**message, "role": role(message["role"])} for message in agent.write_memory_to_messages()]
    memory = {"system_prompt": {"system_prompt": SYSTEM}, "steps": [{"task": BRIDGE + instruction}]}
    log = {"messages": messages, "original_memory": memory, "metadata": {"agent_name": "CodeAgent"}}
    return {
        "model_id": "scripted/teacher",
        "question": BRIDGE,
        "generated_answer": str(answer),
        "true_answer": "340 km",
        "log_data": json.dumps(log),
        "cost": 0.0125,
        "score": str(answer) == "340 km",
        "explanation": name,
    }


if __name__ == "__main__":
    _write("smolagents_1_13.jsonl" if OLD else "smolagents_1_26.jsonl", _memories())
    if OLD:
        logged = [
            _logged("two hops", TWO_HOPS, lambda role: role.value),
            _logged("execution error", EXECUTION_ERROR, str),
            _logged("parse error", PARSE_ERROR, str),
            _logged("max steps", TOO_LONG, str, max_steps=2),
            _logged("planning", PLANNED, str, planning_interval=5),
        ]
        failed = {"model_id": "scripted/teacher", "question": BRIDGE, "error": "server gone", "log_data": None}
        with (HERE / "agent_distillation.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in [*logged, failed])
