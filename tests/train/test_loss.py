from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import make_tiny

from feldspar.train import Encoded, load_student, micro_batches
from feldspar.train.batches import collate
from feldspar.train.loss import label_logits, loss_sum, settle_precision

SAMPLES = [
    Encoded(tuple(range(3, 3 + n)), n - labels) for n, labels in ((9, 3), (14, 2), (5, 4), (21, 8), (9, 1))
]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return load_student(str(make_tiny(tmp_path / "tiny"))).model


def one_by_one(model: Any) -> torch.Tensor:
    """The textbook loss: each sample alone, full logits, labels masked by hand."""
    total = torch.zeros(())
    for sample in SAMPLES:
        ids = torch.tensor([sample.ids])
        labels = ids.clone()
        labels[:, : sample.labels_from] = -100
        logits = model(ids).logits[:, :-1].reshape(-1, model.config.vocab_size)
        total = total + torch.nn.functional.cross_entropy(logits, labels[:, 1:].flatten(), reduction="sum")
    return total


def gradients(model: Any) -> list[torch.Tensor]:
    found = [value.grad.clone() for value in model.parameters()]
    model.zero_grad()
    return found


@pytest.mark.parametrize("budget", [1, 30, 1000])
def test_whatever_the_micro_batches_loss_and_gradients_are_those_of_the_plain_loss(
    model: Any, budget: int
) -> None:
    plain = one_by_one(model)
    plain.backward()
    wanted = gradients(model)
    total = 0.0
    for group in micro_batches([len(sample.ids) for sample in SAMPLES], budget):
        loss = loss_sum(model, collate([SAMPLES[at] for at in group], pad=0))
        loss.backward()
        total += loss.item()
    assert total == pytest.approx(plain.item(), rel=1e-5)
    for got, want in zip(gradients(model), wanted, strict=True):
        assert torch.allclose(got, want, atol=1e-4)


def test_logits_exist_for_labels_alone_and_the_model_is_left_as_it_was(model: Any) -> None:
    batch = collate(SAMPLES, pad=0)
    assert label_logits(model, batch).shape == (sum(sample.labels for sample in SAMPLES), 400)
    assert model(batch.ids).logits.shape[:2] == batch.ids.shape


def test_what_a_model_does_to_its_logits_afterwards_is_kept() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, final_logit_softcapping=0.05, pad_token_id=0,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    batch = collate(SAMPLES, pad=0)
    full = model(input_ids=batch.ids, attention_mask=batch.mask).logits[batch.predicts]
    got = label_logits(model, batch)
    assert torch.allclose(got, full, atol=1e-5)
    assert got.abs().max() <= 0.05


def test_a_wish_for_a_precision_is_kept() -> None:
    cpu = torch.device("cpu")
    assert settle_precision("float32", cpu) == "float32"
    assert settle_precision("bfloat16", cpu) == "bfloat16"
    assert settle_precision("auto", cpu) in {"float32", "bfloat16"}
