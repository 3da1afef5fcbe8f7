"""Recipes are refused for what would go wrong later."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine import config as recipes
from brefine.config import (
    FeatureConfig,
    format_config,
    load_config,
    parse_config,
    prepared_corpus_path,
    schema,
    with_absolute_paths,
)
from brefine.errors import ConfigError

_RECIPES = Path(__file__).parents[1] / "configs"

RECIPE = """schema = 1
[corpus]
kind = "simulated"
root = "data"
[features]
{features}
[models.mlp]
"""


@pytest.mark.parametrize("name", sorted(path.name for path in _RECIPES.iterdir()))
def test_recipes_that_ship_are_there_without_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Help and documents name them `configs/NAME.toml`; which file it is, for a copy of one's own, is told."""
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("configs") / name, ["seed=7"]) == load_config(_RECIPES / name, ["seed=7"])
    told = capsys.readouterr().err.strip().partition("installed with brefine, ")[2]
    assert Path(told).read_bytes() == (_RECIPES / name).read_bytes()
    with pytest.raises(ConfigError, match=f"there is no such recipe\n.*configs/{name}"):
        load_config(Path(name))


def test_a_recipe_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Editors on Windows put one there."""
    recipe = tmp_path / "demo.toml"
    recipe.write_text((_RECIPES / "demo.toml").read_text(), encoding="utf-8-sig")
    assert load_config(recipe) == load_config(_RECIPES / "demo.toml")


def test_an_override_of_several_lines_is_refused() -> None:
    """The keys behind its first line would be lost in silence."""
    with pytest.raises(ConfigError, match=r"train\.lr: input should be a valid number \(got '1\.0\\nseed = 3'\)"):
        load_config(_RECIPES / "demo.toml", ["train.lr=1.0\nseed = 3"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("budget.price_usd_per_hour=1e308", "less than or equal to 1000000000000"),
        ("budget.cap_usd=1e308", "less than or equal to 1000000000000"),
        ("corpus.simulation.duration_s=1e300", "less than or equal to 86400"),
    ],
)
def test_amounts_beyond_all_measure_are_refused(override: str, said: str) -> None:
    """A plan would cost infinity, which JSON does not know; a conversation of years would be worked at without end."""
    with pytest.raises(ConfigError, match=said):
        load_config(_RECIPES / "demo.toml", [override])


@pytest.mark.parametrize("overridden", [False, True])
def test_a_key_of_a_thousand_dots_is_refused(overridden: bool) -> None:
    """TOML reads it as sections in sections, deeper than anything that goes through them; an override likewise."""
    line = f"a{'.a' * 3000}=1"
    with pytest.raises(ConfigError, match=r"mine\.toml: the recipe has sections in sections without end"):
        parse_config("" if overridden else line, where="mine.toml", overrides=[line] if overridden else [])


def test_an_analysis_window_longer_than_any_example_is_refused() -> None:
    """In a recipe, and in the card of weights from elsewhere, where one of minutes would take all memory for each frame."""
    with pytest.raises(ConfigError, match=r"features.window_s: input should be less than or equal to 4 \(got 100.0\)"):
        parse_config(RECIPE.format(features="window_s = 100.0"), where="mine.toml")


def test_a_recipe_without_end_is_refused_without_reading_all_of_it() -> None:
    """What /dev/zero holds is no recipe, and no memory holds it."""
    with pytest.raises(ConfigError, match="/dev/zero: this is too large to be a recipe"):
        load_config(Path("/dev/zero"))


def test_a_recipe_that_is_here_goes_before_the_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have been changed."""
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/demo.toml").write_text(RECIPE.format(features=""))
    assert list(load_config(Path("configs/demo.toml")).models) == ["mlp"]
    assert capsys.readouterr().err == ""


def test_the_home_of_somebody_unknown_is_a_fault_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both paths are named, as they were written; one's own home is known, and what lies there is found."""
    text = RECIPE.format(features="") + '[budget]\nledger = "~{0}/ledger.jsonl"\n[alerts]\napprise = "~{0}/apprise.yml"\n'
    with pytest.raises(ConfigError) as refused:
        parse_config(text.format("nobody-of-this-name"), where="mine.toml")
    assert [problem.partition(": ")[2] for problem in refused.value.problems] == [
        "budget.ledger: there is no such home (got '~nobody-of-this-name/ledger.jsonl')",
        "alerts.apprise: there is no such home (got '~nobody-of-this-name/apprise.yml')",
    ]
    monkeypatch.setenv("HOME", str(tmp_path))
    config = with_absolute_paths(parse_config(text.format(""), where="mine.toml"))
    assert (config.budget.ledger, config.alerts.apprise) == (f"{tmp_path}/ledger.jsonl", f"{tmp_path}/apprise.yml")


SECTIONS = [
    kind
    for _, kind in inspect.getmembers(schema, inspect.isclass)
    if issubclass(kind, schema.Section) and kind is not schema.Section
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_explained(section: type[schema.Section]) -> None:
    """Beneath itself, or, where it is a section, by that section's own words."""
    (definition,) = ast.parse(inspect.getsource(section)).body
    assert isinstance(definition, ast.ClassDef)
    assert ast.get_docstring(definition)
    explained = {
        statement.target.id
        for statement, after in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }
    values = {name for name, field in section.model_fields.items() if field.annotation not in SECTIONS}
    assert values - explained == set()


def test_the_recipe_for_a_corpus_of_ones_own_is_one_as_it_is_written() -> None:
    """The README's lines can be copied into a recipe as they stand."""
    text = (_RECIPES.parent / "README.md").read_text(encoding="utf-8")
    lines = text.partition("say `mysite.toml`")[2].partition("\n\n")[2].splitlines()
    shown = "\n".join(itertools.takewhile(lambda line: not line or line.startswith("    "), lines))
    recipe = parse_config(f"schema = 1\n{textwrap.dedent(shown)}\n[models.mlp]\n", where="mysite.toml")
    assert (recipe.corpus.kind, recipe.corpus.train, recipe.corpus.gate) == ("folder", "mine/train", "mine/gate")
    assert recipe.hypothesis.source == "folder"


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("hop_s = 0.0123", "a hop of 0.0123 s is not a whole number of samples at 16000 Hz"),
        ("window_s = 0.005", "`window_s` is at least `hop_s`, else samples would go unseen: got 0.005 and 0.01"),
    ],
)
def test_frames_that_would_drift_or_skip_are_refused(features: str, said: str) -> None:
    """A hop that is rounded to samples leaves the clock by half a second in ten minutes; by its section, before any audio."""
    with pytest.raises(ConfigError) as refused:
        parse_config(RECIPE.format(features=features), where="mine.toml")
    assert "features: " in str(refused.value) and said in str(refused.value)


@pytest.mark.parametrize(("hop_s", "hop_samples"), [(0.005, 80), (0.01, 160), (0.0125, 200), (0.016, 256), (0.02, 320)])
def test_usual_hops_are_accepted(hop_s: float, hop_samples: int) -> None:
    """Also with a window no longer than the hop."""
    config = parse_config(RECIPE.format(features=f"hop_s = {hop_s}\nwindow_s = {hop_s}"), where="mine.toml").features
    assert isinstance(config, FeatureConfig)
    assert config.grid.hop_samples == hop_samples


def _printable(blanks: str = "") -> st.SearchStrategy[str]:
    return st.text(st.one_of(st.characters().filter(str.isprintable), st.sampled_from(" \"'\\.=[]#𠮷🎙" + blanks)))


@given(text=_printable("\n\t"), directives=st.dictionaries(_printable(), _printable("\n\t") | st.integers(-(2**63), 2**63 - 1)))
def test_a_recipe_of_any_printable_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, directives: dict[str, str | int]
) -> None:
    """Beyond U+FFFF too, and in keys: what was written as TOML is read as it was, from memory and from a file."""
    plain = parse_config(RECIPE.format(features=""), where="mine.toml")
    executor = plain.executor.model_copy(update={"directives": directives, "setup": (text,)})
    config = plain.model_copy(update={"runs": text, "executor": executor})
    assert parse_config(format_config(config), where="phase.toml") == config
    path = tmp_path_factory.getbasetemp() / "phase.toml"
    path.write_text(format_config(config), encoding="utf-8")
    assert load_config(path) == config


@pytest.mark.parametrize("unprintable", ["\x7f", "\x1b", "\r", "\u2028", "\udcff"])
def test_text_that_cannot_be_printed_is_told_as_such(unprintable: str) -> None:
    """It is valid TOML that is refused, by its key; not a file that is said to be torn."""
    config = parse_config(RECIPE.format(features=""), where="mine.toml").model_copy(update={"runs": f"a{unprintable}b"})
    with pytest.raises(ConfigError, match=r"runs: .* holds characters that cannot be printed"):
        parse_config(format_config(config), where="phase.toml")


def test_keys_named_by_way_of_example_exist() -> None:
    """The override of the module's own words is taken, and what is expected of a broken one names no section at all."""
    (example,) = re.findall(r"--set (\S+?)`", recipes.__doc__ or "")
    assert parse_config(RECIPE.format(features=""), where="mine.toml", overrides=[example]).train.lr == 1e-3
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        parse_config(RECIPE.format(features=""), where="mine.toml", overrides=["train.lr"])


@pytest.mark.parametrize(
    ("hypothesis", "said"),
    [
        ('source = "builtin"\nbuiltin_share = 0.5', '`builtin_share` goes with source = "replayed": got "builtin"'),
        ("builtin_share = 0.5", '`hypothesis.builtin_share` goes with corpus.kind = "simulated": got "voxconverse"'),
        ("builtin_share = 1.5", "hypothesis.builtin_share: input should be less than or equal to 1 (got 1.5)"),
    ],
)
def test_the_built_in_diarizer_hears_a_share_of_simulated_conversations_alone(hypothesis: str, said: str) -> None:
    """Another source has no share to give away, and a real recording's errors are nobody else's."""
    recipe = RECIPE.format(features="").replace("simulated", "voxconverse")
    with pytest.raises(ConfigError) as refused:
        parse_config(f"{recipe}[hypothesis]\n{hypothesis}\n", where="mine.toml")
    assert said in str(refused.value)


@pytest.mark.parametrize(("name", "folder"), [("demo", "simulated-4d484ae2a489"), ("phase3", "voxconverse-e5881dc4c14e")])
def test_corpora_that_were_prepared_before_keep_their_folders(name: str, folder: str) -> None:
    """A later key at its default makes no other corpus: preparing one anew may take a diarizer hours."""
    assert prepared_corpus_path(load_config(_RECIPES / f"{name}.toml")).name == folder


@pytest.mark.parametrize("path", sorted(_RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_say_how_many_conversations_where_it_counts(path: Path) -> None:
    """Beside real recordings the number follows from theirs; one that does nothing would still cost a new preparation."""
    corpus = tomllib.loads(path.read_text(encoding="utf-8"))["corpus"]
    numbers = {"n_train", "n_validation", "n_gate"}
    assert numbers & {*corpus["simulation"]} == (numbers if corpus["kind"] == "simulated" else set())


def test_another_share_for_the_built_in_diarizer_is_another_corpus() -> None:
    """Its folder is named after it."""
    recipe = RECIPE.format(features="")
    shares = ([], ["hypothesis.builtin_share=0.0"], ["hypothesis.builtin_share=0.5"])
    names = [prepared_corpus_path(parse_config(recipe, where="mine.toml", overrides=own)).name for own in shares]
    assert (names[0] == names[1], names[0] == names[2]) == (True, False)
