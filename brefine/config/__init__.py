"""Recipes: TOML files, validated strictly, with every fault of a file reported at once.

A recipe is complete and readable alone: `configs/phase3.toml` trains three models, `configs/mlp.toml` the same phase with
one. There is no inheritance between files; `--set train.lr=1e-3` overrides single keys and is validated the same way.

`schema` defines the sections and their keys; `recipe` reads and writes the files.
"""

from brefine.config.recipe import (
    format_config as format_config,
    load_config as load_config,
    parse_config as parse_config,
    prepared_corpus_path as prepared_corpus_path,
    with_absolute_paths as with_absolute_paths,
    with_models as with_models,
)
from brefine.config.schema import (
    MODEL_NAMES as MODEL_NAMES,
    AlertsConfig as AlertsConfig,
    BudgetConfig as BudgetConfig,
    CorpusConfig as CorpusConfig,
    DiarizerConfig as DiarizerConfig,
    DiarizerName as DiarizerName,
    ExampleConfig as ExampleConfig,
    ExecutorConfig as ExecutorConfig,
    FeatureConfig as FeatureConfig,
    GateConfig as GateConfig,
    HypothesisConfig as HypothesisConfig,
    ModelName as ModelName,
    PhaseConfig as PhaseConfig,
    RefineConfig as RefineConfig,
    SimulationConfig as SimulationConfig,
    TrainConfig as TrainConfig,
)
