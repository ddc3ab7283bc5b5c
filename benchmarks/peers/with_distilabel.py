"""distilabel: four `TextGeneration` tasks over `OpenAILLM`, which sends a whole input batch at once.

Each task is a process with a batch of its own under way, and they work side by side. Of batches of 64, 128
and 256 rows the largest did best by far, and better than four replicas of each task with batches of 64.
"""

from __future__ import annotations

import sys

import four_steps as steps
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

BATCH = int(sys.argv[4]) if len(sys.argv) > 4 else 256
"""Rows of a batch, and so the requests that a task has in flight."""


def run(url: str, count: int, folder: str) -> int:
    """Generate all rows in one pipeline."""
    with Pipeline(name="four-steps", cache_dir=folder) as pipeline:
        before = LoadDataFromDicts(data=steps.rows(count), batch_size=BATCH)
        for name, prompt, uses in zip(steps.NAMES, steps.PROMPTS, steps.USES, strict=True):
            llm = OpenAILLM(
                model=steps.MODEL,
                base_url=url,
                api_key="none",
                timeout=steps.TIMEOUT,
                generation_kwargs={"max_new_tokens": steps.MAX_TOKENS},
            )
            task = TextGeneration(
                name=name,
                llm=llm,
                template=prompt,
                columns=list(uses),
                output_mappings={"generation": name, "model_name": f"{name}_model"},
                input_batch_size=BATCH,
                add_raw_output=False,
                add_raw_input=False,
            )
            before >> task
            before = task
    made = pipeline.run(use_cache=False)["default"]["train"]
    return sum(all(row[name] for name in steps.NAMES) for row in made)


if __name__ == "__main__":
    steps.timed(run)
