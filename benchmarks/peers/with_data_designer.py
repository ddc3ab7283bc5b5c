"""Data Designer: four text columns, each over those before it, with `max_parallel_requests` at the slots."""

from __future__ import annotations

import data_designer.config as dd
import four_steps as steps
import pandas
from data_designer.interface import DataDesigner

ROW_GROUP = 2000
"""Its `buffer_size`; the guide advises 2,000 to 5,000 for a fast server and one model."""


def run(url: str, count: int, folder: str) -> int:
    """Generate all rows in one call."""
    settings = dd.ChatCompletionInferenceParams(
        max_parallel_requests=steps.CONCURRENCY, max_tokens=steps.MAX_TOKENS, timeout=steps.TIMEOUT
    )
    model = dd.ModelConfig(
        alias="teacher",
        model=steps.MODEL,
        provider="simulated",
        inference_parameters=settings,
        skip_health_check=True,
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.DataFrameSeedSource(df=pandas.DataFrame(steps.rows(count))))
    for name, prompt in zip(steps.NAMES, steps.PROMPTS, strict=True):
        builder.add_column(dd.LLMTextColumnConfig(name=name, model_alias="teacher", prompt=prompt))
    provider = dd.ModelProvider(name="simulated", endpoint=url, api_key="none")
    designer = DataDesigner(artifact_path=folder, model_providers=[provider])
    designer.set_run_config(dd.RunConfig(buffer_size=ROW_GROUP, otel_metrics_port=None))
    made = designer.create(builder, num_records=count).load_dataset()
    return int(made[list(steps.NAMES)].notna().all(axis=1).sum())


if __name__ == "__main__":
    steps.timed(run)
