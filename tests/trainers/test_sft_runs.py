import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from sft_rows import PLAIN, TokenRow, Workshop, counting_rows, random_rows
from tiny_model import make_tiny_model

from toolkit.chat import ChatEncoder
from toolkit.contracts import ChatMessage, CompletionRequest
from toolkit.errors import InputError, RunError
from toolkit.llm.local_weights import LocalModel
from toolkit.llm.transformers_local import TransformersLLM
from toolkit.llm.transformers_local.model import load
from toolkit.masking import load_tokenizer
from trainers.sft.checkpoints import damage, newest_whole
from trainers.sft.merging import save_merged
from trainers.sft.rows import as_table
from trainers.sft.run import Primer, memory_advice, train_rows
from trainers.sft.settings import TrainSettings

LORA = PLAIN.model_copy(
    update={"method": "lora", "lora_r": 8, "lora_alpha": 16, "packing": True, "epochs": 3.0, "learning_rate": 1e-2}
)
MUON = PLAIN.model_copy(
    update={
        "optimizer": "muon",
        "schedule": "wsd",
        "batch_tokens": 60,
        "warmup": 0.1,
        "save_steps": 4,
        "max_steps": 10,
        "epochs": 4.0,
    }
)


def run(workshop: Workshop, settings: TrainSettings, out: Path, **options: Any) -> Any:
    train = options.pop("train", None) or counting_rows(24)
    return train_rows(
        train, options.pop("validation", None), workshop.tokenizer, str(workshop.base), settings, out, **options
    )


def answers(model: LocalModel) -> list[str]:
    """What the toolkit's own backend says, greedily."""

    async def ask() -> list[str]:
        llm = TransformersLLM(model)
        try:
            await llm.prepare(prefix=False)
            found = []
            for question in ("abc", "What follows m?"):
                request = CompletionRequest((ChatMessage("user", question),), max_tokens=24, temperature=0.0)
                found += [completion.text for completion in await llm.complete(request)]
            return found
        finally:
            await llm.close()

    return asyncio.run(ask())


def test_training_learns_and_says_so(workshop: Workshop) -> None:
    result = run(workshop, PLAIN.model_copy(update={"epochs": 8.0}), workshop.place(), validation=counting_rows(6))
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert result.steps == result.plan.steps == len(losses) == 48
    assert losses[-1] < 0.5 * losses[0]
    assert result.metrics["eval_loss"] < 0.5 * losses[0]
    assert result.metrics["train_tokens"] == 24 * 12 * 8


def test_nobody_outside_is_told_of_a_training(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)  # there TRL keeps quiet by itself
    told: list[object] = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *words, **details: told.append(words))
    run(workshop, LORA.model_copy(update={"max_steps": 1}), workshop.place())
    assert told == []


def test_an_adapter_speaks_through_the_backend_as_its_merged_model_does(workshop: Workshop) -> None:
    out = workshop.place()
    result = run(workshop, LORA, out)
    assert {path.name for path in out.glob("adapter_*")} == {"adapter_config.json", "adapter_model.safetensors"}
    adapted = answers(LocalModel(str(workshop.base), out))
    assert adapted != answers(LocalModel(str(workshop.base)))
    merged = save_merged(result.trained, workshop.tokenizer, out)
    assert answers(LocalModel(str(merged))) == adapted


@pytest.mark.parametrize("method", ["lora", "full"])
def test_generation_settings_of_a_student_end_texts_where_turns_end(method: str, tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", teachable=True)
    # As some models are published; transformers refuses to save such settings once they were changed.
    contradictory = {"eos_token_id": 2, "do_sample": False, "temperature": 0.6}
    (base / "generation_config.json").write_text(json.dumps(contradictory))
    tokenizer = load_tokenizer(str(base))
    own, turn_end = tokenizer.eos_token_id, ChatEncoder(tokenizer).turn_end_id
    settings = LORA.model_copy(update={"method": method, "max_steps": 1})
    out = tmp_path / "student"
    result = train_rows(counting_rows(4), None, tokenizer, str(base), settings, out)
    found = json.loads((out / "generation_config.json").read_text())
    assert found["eos_token_id"] == [own, turn_end] == [2, 0]
    assert end_tokens(LocalModel(str(base))) == {own}
    if method == "full":
        assert "temperature" not in found
        assert end_tokens(LocalModel(str(out))) == {own, turn_end}
    else:
        assert end_tokens(LocalModel(str(base), out)) == {own, turn_end}
        merged = save_merged(result.trained, tokenizer, out)
        assert end_tokens(LocalModel(str(merged))) == {own, turn_end}


def end_tokens(model: LocalModel) -> frozenset[int]:
    """What ends a text of the toolkit's own backend."""
    return load(model, dtype="auto", device="cpu").end_tokens


def test_an_adapter_for_another_base_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    out = workshop.place()
    run(workshop, LORA.model_copy(update={"max_steps": 1}), out)
    other = make_tiny_model(tmp_path / "other")
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"hidden_size": 128', '"hidden_size": 64'))
    with pytest.raises(InputError, match=r"cannot load .*other"):
        answers(LocalModel(str(other), out))


@pytest.mark.parametrize("settings", [MUON, PLAIN.model_copy(update={"save_steps": 4, "epochs": 2.0})])
def test_going_on_from_a_checkpoint_gives_the_weights_of_an_uninterrupted_run(
    workshop: Workshop, settings: TrainSettings
) -> None:
    whole, resumed = workshop.place(), workshop.place()
    options = {"primer": Primer(as_table(random_rows(6)), 2, 0.2)} if settings.batch_tokens else {}
    first = run(workshop, settings, whole, **options)
    assert first.steps > 8
    shutil.copytree(whole / "checkpoints" / "checkpoint-8", resumed / "checkpoints" / "checkpoint-8")
    second = run(workshop, settings, resumed, resume_from=newest_whole(resumed / "checkpoints"), **options)
    assert [row["step"] for row in second.history if "loss" in row] == list(range(9, first.steps + 1))
    expected, found = (load_file(out / "model.safetensors") for out in (whole, resumed))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_rates_warm_up_hold_and_fall(workshop: Workshop) -> None:
    settings = MUON.model_copy(update={"warmup": 0.2, "decay_share": 0.4})
    result = run(workshop, settings, workshop.place())
    rates = [row["learning_rate"] for row in result.history if "learning_rate" in row]
    peak = settings.muon_learning_rate
    assert rates[0] < peak
    assert rates[3:6] == [pytest.approx(peak)] * 3
    assert rates[-4:] == sorted(rates[-4:], reverse=True)
    assert rates[-1] < 0.6 * peak


def test_early_stop_ends_the_training_and_keeps_the_best_weights(workshop: Workshop) -> None:
    # What is validated contradicts what is trained, so that it gets worse with every step behind the first ones.
    validation = as_table([TokenRow(list(range(30, 18, -1)), [0.0] + [1.0] * 11)])
    settings = PLAIN.model_copy(update={"epochs": 20.0, "eval_steps": 2, "early_stop": 2})
    out = workshop.place()
    result = run(workshop, settings, out, validation=validation)
    losses = [row["eval_loss"] for row in result.history if "eval_loss" in row]
    assert result.steps < result.plan.steps
    assert result.metrics["eval_loss"] == pytest.approx(min(losses))
    kept = PLAIN.model_copy(update={"learning_rate": 1e-12, "max_steps": 1})
    again = train_rows(counting_rows(4), validation, workshop.tokenizer, str(out), kept, workshop.place())
    assert again.metrics["eval_loss"] == pytest.approx(min(losses), rel=1e-3)


def test_a_checkpoint_cut_in_half_is_passed_over(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    out = workshop.place()
    run(workshop, MUON.model_copy(update={"max_steps": 8}), out)
    checkpoints = out / "checkpoints"
    assert newest_whole(checkpoints) == checkpoints / "checkpoint-8"
    for name in ("model.safetensors", "optimizer.pt", "trainer_state.json"):
        whole = (checkpoints / "checkpoint-8" / name).read_bytes()
        (checkpoints / "checkpoint-8" / name).write_bytes(whole[: len(whole) // 2])
        assert name in str(damage(checkpoints / "checkpoint-8"))
        assert newest_whole(checkpoints) == checkpoints / "checkpoint-4"
        assert "an earlier state is taken" in capsys.readouterr().err
        (checkpoints / "checkpoint-8" / name).write_bytes(whole)


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([], {}, "no row to train on"),
        ([TokenRow([3, 4, 5], [0, 0, 0])], {}, "every weight is 0"),
        ([TokenRow([3, 4, 5000], [0, 0, 1])], {}, "holds? token 5,000"),
        ([TokenRow([3] * 17_000, [1] * 17_000)], {"max_tokens": 20_000}, "longest row has 17,000"),
        (random_rows(3), {"primer": Primer(as_table(random_rows(2)), 1)}, "a primer needs batch_tokens"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_before_anything_is_written(
    workshop: Workshop, rows: list[TokenRow], changes: dict[str, Any], message: str
) -> None:
    out = workshop.place()
    table: pa.Table = as_table(rows)
    options = {"primer": changes["primer"]} if "primer" in changes else {}
    settings = PLAIN.model_copy(update={key: value for key, value in changes.items() if key != "primer"})
    with pytest.raises(InputError, match=message):
        train_rows(table, None, workshop.tokenizer, str(workshop.base), settings, out, **options)
    assert not out.exists()


def test_out_of_memory_says_which_settings_to_lower() -> None:
    # Asked for more than any machine has: torch's own refusal.
    several = LORA.model_copy(update={"micro_batch": 4})
    for settings, advice in (
        (several, r"lower micro_batch \(now 4\) or max_tokens \(now 10,240\)"),
        (MUON, r"lower batch_tokens \(now 60\); .*set method: lora"),
    ):
        with pytest.raises(RunError, match=advice), memory_advice(settings):
            torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_are_not_taken_for_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_advice(PLAIN):
        raise RuntimeError("shape mismatch")
