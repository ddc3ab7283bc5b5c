import torch
from hypothesis import given
from hypothesis import strategies as st

from feldspar.train import Encoded, epoch_order, micro_batches, steps_of
from feldspar.train.batches import collate


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_is_every_sample_once_in_steps_of_exactly_the_batch(
    count: int, size: int, epoch: int
) -> None:
    steps = steps_of(epoch_order(count, 0, "KT/1", epoch), size)
    assert sorted(at for step in steps for at in step) == list(range(count))
    assert all(len(step) == size for step in steps[:-1])


def test_the_order_depends_on_seed_phase_and_epoch_alone() -> None:
    orders = [epoch_order(50, *key) for key in ((0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2))]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == epoch_order(50, 0, "a", 1)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 600))
def test_micro_batches_hold_each_sample_once_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = micro_batches(lengths, budget)
    assert sorted(at for group in groups for at in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[at] for at in group) * len(group) <= budget


def test_collating_marks_exactly_what_predicts_the_labels() -> None:
    batch = collate([Encoded((5, 6, 7, 8), 2), Encoded((3, 4), 0)], pad=9)
    assert batch.ids.tolist() == [[5, 6, 7, 8], [3, 4, 9, 9]]
    assert batch.mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.predicts.nonzero().tolist() == [[0, 1], [0, 2], [1, 0]]
    assert batch.targets.tolist() == [7, 8, 4]
    assert batch.targets.dtype == torch.int64
