"""sdg-hub: a flow of its own blocks, as its bundled flows are made, with `max_concurrency` at the slots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import four_steps as steps
import pandas
import yaml
from sdg_hub import Flow


def flow_file(folder: Path) -> Path:
    """Write the flow: for each step a prompt, the asynchronous chat block, and the reply's content."""
    blocks: list[dict[str, Any]] = []
    for name, prompt, uses in zip(steps.NAMES, steps.PROMPTS, steps.USES, strict=True):
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump([{"role": "user", "content": prompt}]), encoding="utf-8")
        parts = (
            ("PromptBuilderBlock", list(uses), f"{name}_messages", {"prompt_config_path": file.name}),
            (
                "LLMChatBlock",
                f"{name}_messages",
                f"{name}_reply",
                {"async_mode": True, "max_tokens": steps.MAX_TOKENS},
            ),
            (
                "LLMResponseExtractorBlock",
                f"{name}_reply",
                None,
                {"extract_content": True, "field_prefix": f"{name}_"},
            ),
            ("RenameColumnsBlock", {f"{name}_content": name}, None, {}),
        )
        for kind, taken, given, more in parts:
            made = {"block_name": f"{kind}_{name}", "input_cols": taken, **more}
            blocks.append(
                {"block_type": kind, "block_config": made | ({"output_cols": given} if given else {})}
            )
    metadata = {"name": "Four steps", "description": "Skills.", "version": "1.0.0", "author": "benchmark"}
    file = folder / "flow.yaml"
    file.write_text(yaml.safe_dump({"metadata": metadata, "blocks": blocks}), encoding="utf-8")
    return file


def run(url: str, count: int, folder: str) -> int:
    """Generate all rows in one call."""
    flow = Flow.from_yaml(str(flow_file(Path(folder))))
    model = f"hosted_vllm/{steps.MODEL}"
    flow.set_model_config(model=model, api_base=url, api_key="none", timeout=steps.TIMEOUT)
    made = flow.generate(pandas.DataFrame(steps.rows(count)), max_concurrency=steps.CONCURRENCY)
    return int(made[list(steps.NAMES)].notna().all(axis=1).sum())


if __name__ == "__main__":
    steps.timed(run)
