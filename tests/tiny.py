"""A tiny random Llama with a small tokenizer, as a folder that plain transformers loads."""

from __future__ import annotations

from pathlib import Path

TEXT = (
    "The lighthouse of Orrin stands on the northern cliff, and its lamp is lit at dusk. "
    "Who keeps the lamp? Seven keepers take turns, each for fifty-two days, and write 1,200 pages a year. "
    "A user asks, an assistant answers; the system says how. Boats, nets, tides, salt and bread."
)

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_tiny(folder: Path, chat_template: bool = True) -> Path:
    """Write a Llama of two layers, about 40,000 random weights, always the same, and its tokenizer.

    Args:
        folder: made if it is not there.
        chat_template: False: a base model, without a chat template, its tokens or a pad token.

    Returns:
        `folder`.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    folder.mkdir(parents=True, exist_ok=True)
    special = ["<|endoftext|>", *(["<|im_start|>", "<|im_end|>"] if chat_template else [])]
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator([TEXT], trainer)
    end = "<|im_end|>" if chat_template else "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token=end,
        pad_token="<|endoftext|>" if chat_template else None,
        additional_special_tokens=special[1:],
        model_max_length=512,
    )
    if chat_template:
        tokenizer.chat_template = TEMPLATE
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=512,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    if bars:
        logging.enable_progress_bar()
    tokenizer.save_pretrained(folder)
    return folder
