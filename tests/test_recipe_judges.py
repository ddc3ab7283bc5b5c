"""What a recipe says of judges and prompts, and the models that come of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from feldspar import models
from feldspar import recipe as recipes
from feldspar.errors import RecipeError, TeacherError
from feldspar.generate import load_pack
from feldspar.recipe import Recipe
from feldspar.teacher import Request, scripted_server
from feldspar.types import Message

TEACHER = "teacher: {model: t, endpoints: ['http://127.0.0.1:9/v1']}\n"


def load(folder: Path, text: str, *sets: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(TEACHER + text, "utf-8")
    return recipes.load(path, sets)


def problems(folder: Path, text: str, *sets: str) -> str:
    with pytest.raises(RecipeError) as error:
        load(folder, text, *sets)
    return error.value.what


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("judges: [{model: q}]", "recipe.yaml:2: judge `q` has no endpoints"),
        ("judges:\n- endpoints: ['http://a/v1']", "`judges.0.model` is missing"),
        (
            "judges:\n- model: q\n  endpiont: ['http://a/v1']",
            "recipe.yaml:4: `judges.0.endpiont` is not a key: did you",
        ),
        ("judges:\n- model: q\n  endpoints: ['ftp://a']", "`judges.0.endpoints.0` should be a URL"),
        (
            "judges:\n- {model: q, endpoints: ['http://a/v1']}\n- {model: q, endpoints: ['http://b/v1']}",
            "recipe.yaml:4: `q` judges twice",
        ),
        ("generate: {judges_agree: most}", "`generate.judges_agree` should be"),
        ("generate: {prompts: 3}", "recipe.yaml:2: `generate.prompts` should be keys of a prompt pack"),
        ("generate: {prompts: {a.b: 1, a: 2}}", "gives `a` twice"),
        ("generate: {prompts: {a: 1, a.b: 2}}", "gives `a` twice"),
        ("generate: {prompts: {a.b: 1, a.b.c: 2}}", "gives `a.b` twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in problems(tmp_path, text)


def test_prompts_given_in_two_ways_are_put_together_in_either_order(tmp_path: Path) -> None:
    dotted = "freeform.steps.precise.temperature: 0.5"
    group = "freeform: {shown_seeds: 2, steps: {precise: {max_tokens: 90}, creative: {temperature: 1}}}"
    ways = [
        load(tmp_path, f"generate: {{prompts: {{{one}, {two}}}}}").generate.prompts
        for one, two in ((dotted, group), (group, dotted))
    ]
    steps = {"precise": {"temperature": 0.5, "max_tokens": 90}, "creative": {"temperature": 1}}
    assert ways == [{"freeform": {"shown_seeds": 2, "steps": steps}}] * 2
    # A setting of the command line counts before the file's, however that is written.
    over = load(
        tmp_path,
        f"generate: {{prompts: {{{dotted}}}}}",
        "generate.prompts.freeform.steps.precise.temperature=0",
    )
    assert over.generate.prompts == {"freeform": {"steps": {"precise": {"temperature": 0}}}}


def test_a_served_name_is_a_name_beside_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "q").mkdir()
    made = load(tmp_path, "judges: [{model: q, endpoints: ['http://a/v1']}]\nstudent: {model: q}")
    assert (made.teacher.model, made.judges[0].model) == ("t", "q")
    assert made.student.model == str(tmp_path / "q"), "a student can be a folder"


def test_no_samples_of_any_leaf_are_refused(tmp_path: Path) -> None:
    told = "recipe.yaml:3: `generate.samples_per_leaf` should be 1 or more"
    assert told in problems(tmp_path, "generate:\n  samples_per_leaf: 0")
    some = load(tmp_path, "generate: {samples_per_leaf: {'knowledge/*': 0}}")
    assert some.generate.samples_per_leaf == {"knowledge/*": 0}


def test_an_address_that_is_a_key_by_mistake_is_not_shown(tmp_path: Path) -> None:
    assert "sk-1234" not in problems(tmp_path, "judges: [{model: q, endpoints: [sk-1234]}]")


def test_a_prompt_s_key_can_be_dotted_nested_or_set(tmp_path: Path) -> None:
    ways = [
        load(tmp_path, "generate:\n  prompts:\n    freeform.steps.pair_judge.parse.score.keep: 3"),
        load(tmp_path, "generate: {prompts: {freeform: {steps: {pair_judge: {parse: {score: {keep: 3}}}}}}}"),
        load(tmp_path, "", "generate.prompts.freeform.steps.pair_judge.parse.score.keep=3"),
    ]
    digests = {load_pack("default", recipe.generate.prompts).digest for recipe in ways}
    assert len(digests) == 1
    assert load_pack("default").digest not in digests
    both = load(
        tmp_path, "generate: {prompts: {freeform.steps.precise.temperature: 0, freeform.shown_seeds: 2}}"
    )
    assert both.generate.prompts == {"freeform": {"steps": {"precise": {"temperature": 0}}, "shown_seeds": 2}}


def test_prompts_and_judges_survive_being_written_and_read(tmp_path: Path) -> None:
    text = (
        "judges:\n- {model: judge.gguf}\n- {model: org/q, endpoints: ['http://a/v1'], revision: 2}\n"
        "generate:\n  judges_agree: mean\n  prompts:\n    attempts: 3\n"
        "    freeform.steps.pair_judge.user: |-\n      /no_think\n      {question}\n      {answer}\n"
        "    knowledge.checks.instruction.forbid: [the passage, '/etc/x']\n"
    )
    recipe = load(tmp_path, text)
    assert recipe.judges[0].model == str(tmp_path / "judge.gguf")
    assert recipe.generate.prompts["freeform"]["steps"]["pair_judge"]["user"].startswith("/no_think\n")
    again = tmp_path / "again.yaml"
    again.write_text(recipes.dump(recipe, tmp_path), "utf-8")
    assert str(tmp_path) not in again.read_text("utf-8")
    assert recipes.load(again) == recipe
    part = recipes.part(recipe, "2-samples")
    assert part["generate"]["prompts"]["freeform"]["steps"]["pair_judge"]["user"].startswith("/no_think\n")
    assert recipes.difference(json.loads(json.dumps(part)), part) == []


def test_what_old_runs_do_not_know_changes_no_digest_of_theirs(tmp_path: Path) -> None:
    part = recipes.part(load(tmp_path, ""), "2-samples")
    assert "judges" not in part
    assert not {"prompts", "judges_agree"} & set(part["generate"])


def test_a_changed_judge_is_a_named_difference_and_a_moved_one_none(tmp_path: Path) -> None:
    one = "judges: [{model: q, endpoints: ['http://a/v1']}]\n"
    before = load(tmp_path, one)
    for text, told in (
        (one.replace("//a", "//b").replace("}]", ", max_in_flight: 4, api_key_env: OTHER}]"), []),
        (one.replace("model: q", "model: r"), ["judges.0.model was q and is r"]),
        (one.replace("}]", ", revision: 2}]"), ["judges.0.revision was empty and is 2"]),
        (one + "generate: {judges_agree: mean}", ["generate.judges_agree is new (mean)"]),
        (
            one + "generate: {prompts: {freeform.steps.pair_judge.parse.score.keep: 3}}",
            ["generate.prompts.freeform.steps.pair_judge.parse.score.keep is new (3)"],
        ),
    ):
        after = load(tmp_path, text)
        parts = [recipes.part(recipe, "2-samples") for recipe in (before, after)]
        assert recipes.difference(*parts) == told
        same = recipes.part_digest(before, "2-samples") == recipes.part_digest(after, "2-samples")
        assert same == (not told)
        inputs = [models.judge_inputs(models.plan_judges(r, models.plan_teacher(r))) for r in (before, after)]
        assert (inputs[0] == inputs[1]) == ("judges.0" not in " ".join(told))


def test_a_judge_s_weights_are_part_of_what_it_is(tmp_path: Path) -> None:
    recipe = load(tmp_path, "judges: [{model: judge.gguf}]")
    teacher = models.plan_teacher(recipe)
    with pytest.raises(TeacherError, match=r"judges\.0\.model .*there is no such file"):
        models.plan_judges(recipe, teacher)
    inputs = []
    for weights in (b"GGUF one", b"GGUF two"):
        (tmp_path / "judge.gguf").write_bytes(weights)
        inputs.append(models.judge_inputs(models.plan_judges(recipe, teacher)))
    assert inputs[0] != inputs[1]
    assert str(tmp_path) not in str(inputs)


def test_teacher_and_judges_are_opened_over_one_journal(tmp_path: Path) -> None:
    request = Request((Message("user", "Hello."),))
    journal = tmp_path / "journal.sqlite"

    async def asked() -> list[tuple[str, bool]]:
        async with (
            scripted_server(lambda _: "teacher", models=["t"]) as one,
            scripted_server(lambda _: "judge", models=["q"]) as two,
        ):
            text = (
                f"judges:\n- {{model: q, endpoints: ['{two.url}'], revision: 7}}\n"
                f"- {{model: t, endpoints: ['{one.url}']}}\n"
            )
            recipe = load(tmp_path, text, f"teacher.endpoints=['{one.url}']")
            plan = models.plan_teacher(recipe)
            judges = models.plan_judges(recipe, plan)
            assert [judge.is_teacher for judge in judges] == [False, True]
            async with models.open_teachers(recipe, plan, judges, journal) as opened:
                # The teacher's own model is the teacher: one queue, one limit.
                assert opened.judges[1] is opened.teacher
                assert [teacher.identity for teacher in opened.judges] == ["q@7", "t"]
                replies = [await teacher.ask(request) for teacher in (opened.teacher, *opened.judges)]
            async with models.open_teachers(recipe, plan, (), journal) as alone:
                replies.append(await alone.teacher.ask(request))
            return [(reply.text, reply.stored) for reply in replies]

    assert asyncio.run(asked()) == [
        ("teacher", False),
        ("judge", False),
        ("teacher", True),
        ("teacher", True),
    ]


def test_a_judge_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def opened() -> None:
        async with scripted_server(lambda _: "", models=["t"]) as one:
            judge = f"judges: [{{model: other, endpoints: ['{one.url}']}}]"
            recipe = load(tmp_path, judge, f"teacher.endpoints=['{one.url}']")
            plan = models.plan_teacher(recipe)
            async with models.open_teachers(
                recipe, plan, models.plan_judges(recipe, plan), tmp_path / "journal.sqlite"
            ):
                pass

    with pytest.raises(TeacherError, match="other") as error:
        asyncio.run(opened())
    assert "judges.0.model" in error.value.mend
    assert "teacher.model" not in str(error.value)
