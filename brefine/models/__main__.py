"""Prints the architectures and their parameter counts as JSON: `python -m brefine.models`."""

from __future__ import annotations

import json

from brefine.config import MODEL_NAMES, ExampleConfig, FeatureConfig
from brefine.errors import run_main
from brefine.models import build_model, count_parameters


def main() -> None:
    """One object a model, counted on the default recipe."""
    counts = [
        {"name": name, "parameters": count_parameters(build_model(name, FeatureConfig(), ExampleConfig()))}
        for name in MODEL_NAMES
    ]
    print(json.dumps(counts))


if __name__ == "__main__":
    run_main(main)
