from __future__ import annotations

import contextlib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar import recipe as recipes
from feldspar.errors import RecipeError
from feldspar.recipe_data import AdapterName
from feldspar.types import Leaf, Phase, Take


def load(folder: Path, text: str | bytes, *sets: str) -> recipes.Recipe:
    path = folder / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return recipes.load(path, sets)


def problems(folder: Path, text: str | bytes, *sets: str) -> str:
    with pytest.raises(RecipeError) as error:
        load(folder, text, *sets)
    return error.value.what


def test_an_empty_recipe_is_all_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, "# nothing\nteacher:\nfoundational:\n")
    assert recipe.taxonomy == tmp_path / "taxonomy"
    assert recipe.teacher.model == "embedded"
    assert recipe.generate.samples_per_leaf == 30
    assert [phase.name for phase in recipe.phases] == ["kt1", "kt2", "st"]


def test_presets_are_table_2() -> None:
    keys = ("learning_rate", "warmup_steps", "batch_size", "epochs", "context_length", "samples")
    expected = {
        "labradorite-13b": [
            (2e-5, 385, 3840, *rest) for rest in ((5, 2048, 630_000), (7, 4096, 230_000), (7, 4096, 550_000))
        ],
        "merlinite-7b": [
            (1e-6, 800, 3840, *rest) for rest in ((4, 2048, 630_000), (4, 4096, 230_000), (7, 4096, 550_000))
        ],
    }
    for name, rows in expected.items():
        assert [tuple(getattr(phase, key) for key in keys) for phase in recipes.preset(name)] == rows
    for name in recipes.PRESETS:
        assert [phase.replay for phase in recipes.preset(name)] == [(), ("kt1",), ("kt1", "kt2")]


def test_a_phase_becomes_the_noun(tmp_path: Path) -> None:
    takes = "take: [knowledge/short, {branch: compositional_skills}]"
    text = f"phases: [{{name: a, {takes}, learning_rate: 2e-5, files: [own.jsonl]}}]"
    phase = load(tmp_path, text).phases[0].phase()
    expected = (Take("knowledge", "short"), Take("compositional_skills", "all"))
    assert phase == Phase("a", expected, learning_rate=2e-5, files=(str(tmp_path / "own.jsonl"),))


def test_everything_wrong_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    text = """taxonomy: taxonomy/
teacher:
  modle: x
  endpoints: [localhost]
generate:
  holdout: "2"
  max_draws_per_sample: 0
samples_per_leaf: 3
phases:
- name: kt1
  take: [knowlege]
- name: kt2
  take: [knowledge]
  epochs: 1.5
evaluate: {benchmarks: [mmlu]}
student: tiny
"""
    told = problems(tmp_path, text)
    for line in (
        "recipe.yaml:3: `teacher.modle` is not a key: did you mean `teacher.model`?",
        "recipe.yaml:4: `teacher.endpoints.0` should be a URL such as",
        "recipe.yaml:6: `generate.holdout` should be a whole number, not '2'",
        "recipe.yaml:7: `generate.max_draws_per_sample` should be at least 1, not 0",
        "recipe.yaml:8: `samples_per_leaf` is not a key: did you mean `generate.samples_per_leaf`?",
        "recipe.yaml:11: `phases.0.take.0` should be a branch",
        "recipe.yaml:14: `phases.1.epochs` should be a whole number, not 1.5",
        "recipe.yaml:15: `evaluate.benchmarks.0` should be taxonomy, not 'mmlu'",
        "recipe.yaml:16: `student` should be a group of keys, not 'tiny'",
    ):
        assert line in told
    assert told.startswith("9 problems")
    numbers = [int(line.split("recipe.yaml:")[1].split(":")[0]) for line in told.splitlines()[1:]]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a: [", "recipe.yaml:1"),
        ("- a\n", "a recipe is a mapping"),
        ("teacher: {model: a}\nteacher: {model: b}\n", "recipe.yaml:2: `teacher` stands here twice"),
        (b"taxonomy: t\nteacher: \xff\n", "recipe.yaml:2: not UTF-8"),
        ("taxonomy: \x00\n", "not YAML"),
        ("taxonomy: &a [*a]\n", "an alias that holds itself"),
        ("phases: labtop\n", "did you mean `laptop`?"),
        ("phases: []\n", "`phases` is empty"),
        ("phases: [{name: a, take: []}]\n", "takes nothing"),
        ("phases: [{name: a, take: [knowledge], replay: [b]}]\n", "no earlier phase"),
        ("phases: [{name: ../a, take: [knowledge]}]\n", "`phases.0.name` should be small letters"),
        ("phases: [{take: [knowledge]}]\n", "`phases.0.name` is missing"),
        (
            "generate: {samples_per_leaf: {per_pasage: {a: 3}}}\n",
            "`generate.samples_per_leaf` should be a whole",
        ),
        ("taxonomy: 3\n", "`taxonomy` should be a path"),
    ],
)
def test_a_bad_recipe_gets_one_clear_line(tmp_path: Path, text: str | bytes, named: str) -> None:
    assert named in problems(tmp_path, text)


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "which no recipe has" in problems(tmp_path, "\n".join(rows))


def test_a_key_that_stands_by_mistake_is_not_shown(tmp_path: Path) -> None:
    told = problems(
        tmp_path, "teacher: {api_key_env: sk-secret-1234, endpoints: ['https://u:secret-5@h/v1']}\n"
    )
    assert "name of an environment variable" in told
    assert "secret" not in told


def test_missing_and_odd_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no such recipe"):
        recipes.load(tmp_path / "x.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        recipes.load(tmp_path)


@given(st.text() | st.binary())
def test_any_bytes_are_a_recipe_or_a_recipe_error(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_bytes(raw)
    with contextlib.suppress(RecipeError):
        assert recipes.load(path).phases


def test_set_wins_and_finds_phases_by_name(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        "generate: {seed: 1}\n",
        "generate.seed=2",
        "phases.kt2.learning_rate=3e-4",
        "phases.0.epochs=9",
        "teacher.endpoints=['http://h:1/v1/']",
        "generate.samples_per_leaf={'knowledge/*': {per_passage: 3}}",
        "teacher.revision=",
    )
    assert recipe.generate.seed == 2
    assert recipe.phases[1].learning_rate == 3e-4
    assert recipe.phases[0].epochs == 9
    assert recipe.teacher.endpoints == ("http://h:1/v1",)
    learnt = Leaf("knowledge/a/b", "knowledge", "A", ())
    assert recipes.quotas_for(recipe.generate, learnt, 4) == (12, 4)
    assert recipes.quotas_for(recipe.generate, learnt, 0) == (0, 1), "no document may be learnt from"
    assert recipes.quotas_for(recipe.generate, Leaf("skills/a", "compositional_skills", "A", ()), 0) == (
        30,
        1,
    )


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("generate.sed=1", "--set generate.sed: `generate.sed` is not a key: did you mean `generate.seed`?"),
        ("generate.seed", "wants `key=value`"),
        ("generate.seed.x=1", "`generate.seed` has no `x`"),
        ("phases.kt9.epochs=1", "`phases` has no `kt9`"),
        ("generate.seed=[", "--set generate.seed"),
        ("generate.seed=x", "--set generate.seed: `generate.seed` should be a whole number, not 'x'"),
    ],
)
def test_a_bad_set_is_named_as_one(tmp_path: Path, setting: str, named: str) -> None:
    assert named in problems(tmp_path, "generate: {seed: 1}\n", setting)


FULL = """
taxonomy: taxonomy/
teacher: {model: models/x.gguf, endpoints: ["http://h/v1"], pack: my.yaml}
generate: {samples_per_leaf: {"knowledge/*": {per_passage: 2}, "*": 4}, holdout: 1}
foundational: [{path: f.jsonl, licence: CC0-1.0, cap: 10}]
student: {model: ./tuned, chat_template: t.jinja}
phases: merlinite-7b
evaluate: {questions: [q.yaml], retention: [r.yaml]}
"""


def test_a_dumped_recipe_loads_to_the_same_from_another_folder(tmp_path: Path) -> None:
    recipe = load(tmp_path, FULL)
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    text = recipes.dump(recipe, run)
    assert str(tmp_path) not in text
    (run / "recipe.yaml").write_text(text)
    assert recipes.load(run / "recipe.yaml") == recipe
    (tmp_path / "absolute.yaml").write_text(recipes.dump(recipe))
    assert recipes.load(tmp_path / "absolute.yaml") == recipe


LICENCES = """
licences:
  also: [cc-by-nc-4.0, LicenseRef-Own]
  of: {"knowledge/a*": mit AND (CC-BY-4.0 OR zlib), "*": GPL-2.0-only WITH Classpath-exception-2.0}
"""


def test_licences_are_spdx_s_in_its_own_spelling(tmp_path: Path) -> None:
    recipe = load(tmp_path, LICENCES)
    assert recipe.licences.also == ("CC-BY-NC-4.0", "LicenseRef-Own")
    assert recipe.licences.of == {
        "knowledge/a*": "MIT AND (CC-BY-4.0 OR Zlib)",
        "*": "GPL-2.0-only WITH Classpath-exception-2.0",
    }
    (tmp_path / "again.yaml").write_text(recipes.dump(recipe, tmp_path))
    assert recipes.load(tmp_path / "again.yaml") == recipe
    assert load(tmp_path, "").licences == recipes.LicenceSettings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "also:\n  - CC BY-NC 4",
            "recipe.yaml:3: `licences.also.0` should be an SPDX identifier (did you mean `CC-BY-NC-4.0`?), "
            "not 'CC BY-NC 4'",
        ),
        ("also: [MIT OR ISC]", "`licences.also.0` should be an SPDX identifier, such as CC-BY-4.0"),
        ("also: [Classpath-exception-2.0]", "`licences.also.0` should be an SPDX identifier"),
        ("also: [4.0]", "`licences.also.0` should be an SPDX identifier, such as"),
        ("also: MIT", "`licences.also` should be a list, not 'MIT'"),
        (
            "of: {a/b: Apche-2.0}",
            "`licences.of.a/b` should be an SPDX identifier, or several with AND and OR",
        ),
        ("of: {a/b: MIT AND Apche-2.0}", "(did you mean `Apache-2.0`?), not 'MIT AND Apche-2.0'"),
        ("of: {a/b: MIT OR}", "`licences.of.a/b` should be"),
        ("of: {a/b: all rights of the author}", "`licences.of.a/b` should be"),
        ("of: {a/b: MIT WITH ISC}", "`licences.of.a/b` should be"),
        ("of: {a/b: ''}", "`licences.of.a/b` should be"),
        ("of: {a/b: " + " AND ".join(["MIT"] * 5000) + "}", "`licences.of.a/b` should be"),
        ("of: {a/b: 3}", "`licences.of.a/b` should be"),
        ("of: [MIT]", "`licences.of` should be a group of keys"),
        ("alos: []", "`licences.alos` is not a key: did you mean `licences.also`?"),
    ],
)
def test_what_is_no_licence_is_named(tmp_path: Path, text: str, named: str) -> None:
    assert named in problems(tmp_path, f"licences:\n  {text}\n")


DATASET = "foundational: [{{path: {path}, {keys}}}]\n"


@pytest.mark.parametrize(
    ("path", "keys", "named"),
    [
        ("f.jsonl", "columns: {user: q, assistant: a}", "`columns`, which `adapter: auto` does not read"),
        ("f.jsonl", "adapter: columns", "wants `columns: {user: …, assistant: …}`"),
        ("f.jsonl", "adapter: columns, columns: {user: q}", "wants `columns: {user: …, assistant: …}`"),
        ("f.jsonl", "adapter: columns, columns: {who: q}", "should map user, assistant, system, context"),
        ("f.jsonl", "adapter: columns, columns: q", "should map user, assistant, system, context"),
        ("f.jsonl", "revision: main", "a `revision`, which only datasets on Hugging Face have"),
        ("f.jsonl.gz", "config: mined", "a `config`, and a single file has none"),
        ("f.parquet", "split: test", "a `split`, and a single file has none"),
        ("o/n", "revision: ../../x", "`foundational.0.revision` should be a name of letters"),
        ("o/n", "revision: --help", "`foundational.0.revision` should be a name of letters"),
        ("o/n", "adapter: alpaca", "`foundational.0.adapter` should be auto, messages, sharegpt,"),
        ("o/n", "branch: skills", "`foundational.0.branch` should be knowledge, foundational_skills or"),
        ("o/n", "holdout: -1", "`foundational.0.holdout` should be at least 0"),
        ("o/n", "licence: MIT}, {path: o/n, cap: 3", "two datasets are called `o/n`"),
        ("a/f.jsonl", "licence: MIT}, {path: b/f.jsonl.gz, cap: 3", "two datasets are called `f`"),
    ],
)
def test_keys_of_a_dataset_that_do_not_fit_are_refused(
    tmp_path: Path, path: str, keys: str, named: str
) -> None:
    told = problems(tmp_path, DATASET.format(path=path, keys=keys))
    assert named in told
    assert "recipe.yaml:1: " in told


def test_a_dataset_s_path_is_what_exists_else_an_id(tmp_path: Path) -> None:
    (tmp_path / "data" / "sums").mkdir(parents=True)
    text = """foundational:
- {path: data/sums, config: a}
- {path: data/sums.jsonl}
- {path: ./o/n}
- {path: TIGER-Lab/MathInstruct, adapter: mathinstruct, cap: 5000, holdout: 20, revision: 2}
- {path: Open-Orca/FLAN, config: cot_zsopt_data, split: test, branch: knowledge}
- {path: /nowhere/at/all}
"""
    recipe = load(tmp_path, text)
    assert [entry.path for entry in recipe.foundational] == [
        tmp_path / "data" / "sums",
        tmp_path / "data" / "sums.jsonl",
        tmp_path / "o" / "n",
        "TIGER-Lab/MathInstruct",
        "Open-Orca/FLAN",
        Path("/nowhere/at/all"),
    ]
    assert [entry.name for entry in recipe.foundational][:5] == [
        "sums/a",
        "sums",
        "n",
        "TIGER-Lab/MathInstruct",
        "Open-Orca/FLAN/cot_zsopt_data/test",
    ]
    # A dumped path cannot be taken for an id, whatever becomes of the folder.
    (tmp_path / "data" / "sums").rmdir()
    (tmp_path / "again.yaml").write_text(recipes.dump(recipe, tmp_path))
    assert recipes.load(tmp_path / "again.yaml") == recipe


def test_adapters_are_those_of_the_mixing() -> None:
    from feldspar.mix.sources import ADAPTER_NAMES

    assert get_args(AdapterName) == ADAPTER_NAMES


def test_a_dataset_of_an_earlier_version_has_the_digest_it_had(tmp_path: Path) -> None:
    recipe = load(tmp_path, FULL, "foundational.0.adapter=messages")
    assert recipes.part(recipe, "3-phases")["foundational"] == [
        {"path": "f.jsonl", "adapter": "messages", "licence": "CC0-1.0", "cap": 10}
    ]
    assert "foundational" not in recipes.part(recipe, "1-leaves")


def digests(recipe: recipes.Recipe) -> dict[str, str]:
    return {stage: recipes.part_digest(recipe, stage) for stage in recipes.STAGES}


def changed(folder: Path, *sets: str) -> list[str]:
    before, after = digests(load(folder, FULL)), digests(load(folder, FULL, *sets))
    return [stage for stage in recipes.STAGES if before[stage] != after[stage]]


@pytest.mark.parametrize(
    ("setting", "stages"),
    [
        ("teacher.endpoints=[]", []),
        ("teacher.api_key_env=OTHER", []),
        ("teacher.max_in_flight=3", []),
        ("train.threads=1", []),
        ("taxonomy=elsewhere/taxonomy", []),
        ("teacher.model=elsewhere/x.gguf", []),
        ("teacher.revision=2", ["2-samples"]),
        ("generate.max_draws_per_sample=9", ["2-samples"]),
        ("generate.holdout=3", ["1-leaves", "2-samples"]),
        ("licences.also=[CC-BY-NC-4.0]", ["1-leaves"]),
        ("licences.of={'knowledge/*': MIT}", ["1-leaves"]),
        ("mix.short_tokens=40", ["3-phases"]),
        ("phases.kt1.learning_rate=0.5", ["4-checkpoints"]),
        ("phases.kt1.samples=5", ["3-phases"]),
        ("train.seed=1", ["4-checkpoints"]),
        ("foundational.0.cap=11", ["3-phases"]),
        ("foundational.0.adapter=flan", ["3-phases"]),
        ("foundational.0.holdout=3", ["1-leaves", "3-phases"]),
    ],
)
def test_a_setting_touches_the_stages_that_depend_on_it(
    tmp_path: Path, setting: str, stages: list[str]
) -> None:
    assert changed(tmp_path, setting) == stages


def test_digests_do_not_know_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert digests(load(tmp_path / "a", FULL)) == digests(load(tmp_path / "b", FULL))


def test_a_difference_is_said_in_words(tmp_path: Path) -> None:
    old = load(tmp_path, FULL)
    new = load(tmp_path, FULL, "phases.kt1.epochs=9", "generate.seed=1", "foundational=[]")
    words = recipes.difference(old, new)
    assert "phases.kt1.epochs was 4 and is 9" in words
    assert "generate.seed was 0 and is 1" in words
    assert recipes.difference(old, old) == []
    filled: dict[str, object] = {"prompts": {"x": {"y": 1}}}
    assert recipes.difference({"prompts": {}}, filled) == ["prompts.x.y is new (1)"]
    assert recipes.difference(filled, {"prompts": {}}) == ["prompts.x.y is gone (it was 1)"]


def test_the_example_writes_the_laptop_preset_out() -> None:
    example = recipes.load(Path(__file__).parents[1] / "examples" / "first-lab" / "recipe.yaml")
    assert example.phases == recipes.preset("laptop")


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (["generate.promps.x=1"], "--set generate.promps.x: `generate.promps` is not a key: did you mean"),
        (
            ["generate.promps.x=1", "generate.promps.y=1"],
            "--set generate.promps.x, --set generate.promps.y: `generate.promps` is not a key",
        ),
        (["trane.seed=1"], "--set trane.seed: `trane` is not a key: did you mean `train`?"),
        (["teacher.price.promt=1"], "--set teacher.price.promt: `teacher.price.promt` is not a key: did you"),
        (
            ["phases.kt1.epochss=1"],
            "--set phases.kt1.epochss: `phases.kt1.epochss` is not a key: did you mean `phases.kt1.epochs`?",
        ),
        (["phases.kt9.epochs=1"], "--set phases.kt9.epochs: `phases` has no `kt9`: it has kt1, kt2, st"),
        (["generate.seed.x=1"], "--set generate.seed.x: `generate.seed` has no `x`: it is a value"),
        (
            ["foundational.0.columns.user=x"],
            "recipe.yaml:4, --set foundational.0.columns.user: `foundational",
        ),
    ],
)
def test_what_set_gives_is_told_as_it_was_given(sets: list[str], told: str, tmp_path: Path) -> None:
    text = "generate:\n  seed: 1\nfoundational:\n  - {path: a.jsonl, licence: CC0-1.0}\n"
    assert problems(tmp_path, text, *sets).removeprefix(f"{tmp_path}/").startswith(told)
