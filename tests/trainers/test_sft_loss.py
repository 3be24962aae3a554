import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from sft_rows import PLAIN, TokenRow, Workshop, counting_rows, random_rows
from transformers import AutoModelForCausalLM

import trainers.sft.loss
from trainers.sft.batches import collate
from trainers.sft.rows import as_table
from trainers.sft.run import train_rows
from trainers.sft.settings import TrainSettings

ROWS = random_rows(4)
FORMS = {
    "accumulated": {},
    "padded": {"micro_batch": 4},
    "packed": {"packing": True},
    "packed_in_two": {"packing": True, "max_tokens": 40},
    "by_tokens": {"batch_tokens": 10_000},
}


def load(workshop: Workshop) -> Any:
    return AutoModelForCausalLM.from_pretrained(workshop.base)


def by_hand(model: Any, rows: list[TokenRow], *, context_weight: float = 0.0) -> torch.Tensor:
    """Row by row, token by token."""
    total, weight = torch.zeros(()), 0.0
    for row in rows:
        logits = model(torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        for position in range(1, len(row.input_ids)):
            of_token = row.loss_weights[position] or context_weight
            total = total - of_token * logits[position - 1, row.input_ids[position]]
            weight += of_token
    return total / weight


def norm_of(model: Any) -> float:
    return math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters() if p.grad is not None))


def first_step(workshop: Workshop, rows: list[TokenRow], **changes: Any) -> dict[str, float]:
    chosen = TrainSettings.model_validate({**PLAIN.model_dump(), "max_steps": 1, **changes})
    result = train_rows(as_table(rows), None, workshop.tokenizer, str(workshop.base), chosen, workshop.place())
    assert result.steps == 1
    return result.history[0]


@pytest.mark.parametrize("context_weight", [0.0, 0.2])
@pytest.mark.parametrize("form", FORMS)
def test_loss_and_gradient_of_a_step_are_the_weighted_mean_by_hand(
    workshop: Workshop, form: str, context_weight: float
) -> None:
    logged = first_step(workshop, ROWS, **FORMS[form], context_weight=context_weight)
    model = load(workshop)
    expected = by_hand(model, ROWS, context_weight=context_weight)
    expected.backward()
    assert logged["loss"] == pytest.approx(expected.item(), rel=1e-4)
    assert logged["grad_norm"] == pytest.approx(norm_of(model), rel=1e-3)


def test_the_way_without_logits_gives_the_same_loss(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = first_step(workshop, ROWS, packing=True)
    monkeypatch.setattr(trainers.sft.loss, "SMALL_LOGITS", 0)
    tiled = first_step(workshop, ROWS, packing=True)
    assert tiled["loss"] == pytest.approx(plain["loss"], rel=1e-4)
    assert tiled["grad_norm"] == pytest.approx(plain["grad_norm"], rel=1e-3)


def test_a_step_without_weight_is_context_and_no_target(workshop: Workshop) -> None:
    row = TokenRow([5, 6, 7, 8, 9, 10, 11, 12, 13], [0, 0, 0, 1, 1, 1, 0, 0, 0])
    others = [14, 15, 16]
    behind = replace(row, input_ids=[*row.input_ids[:6], *others])
    before = replace(row, input_ids=[*others, *row.input_ids[3:]])

    def logged(one: TokenRow, **changes: Any) -> tuple[float, float]:
        found = first_step(workshop, [one], batch_size=1, **changes)
        return found["loss"], found["grad_norm"]

    assert logged(row) == logged(behind)
    assert logged(row) != pytest.approx(logged(before), rel=1e-3)
    assert logged(row, context_weight=0.2) != pytest.approx(logged(behind, context_weight=0.2), rel=1e-3)


def test_packed_rows_of_a_trained_model_see_nothing_of_each_other(workshop: Workshop) -> None:
    out = workshop.place()
    chosen = PLAIN.model_copy(update={"packing": True, "batch_size": 8, "epochs": 4.0})
    train_rows(counting_rows(40), None, workshop.tokenizer, str(workshop.base), chosen, out)
    model = AutoModelForCausalLM.from_pretrained(out).eval()
    rows = random_rows(3, seed=7)
    pack = collate(
        [
            {
                "input_ids": [token for row in rows for token in row.input_ids],
                "loss_weights": [weight for row in rows for weight in row.loss_weights],
                "seq_lengths": [len(row.input_ids) for row in rows],
            }
        ],
        pad=0,
    )
    with torch.no_grad():
        together = model(pack["input_ids"], position_ids=pack["position_ids"], use_cache=False).logits[0]
        leaking = model(pack["input_ids"], use_cache=False).logits[0]
        alone = torch.cat([model(torch.tensor([row.input_ids])).logits[0] for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(leaking, alone, rtol=1e-2, atol=1e-2)


def test_the_validation_loss_is_the_mean_over_all_its_tokens(workshop: Workshop) -> None:
    validation = random_rows(7, seed=3)
    chosen = PLAIN.model_copy(update={"learning_rate": 1e-12, "context_weight": 0.2})
    result = train_rows(
        as_table(ROWS), as_table(validation), workshop.tokenizer, str(workshop.base), chosen, workshop.place()
    )
    assert result.metrics["eval_loss"] == pytest.approx(by_hand(load(workshop), validation).item(), rel=1e-4)
