"""What a recipe may say: every section and key, with its meaning, its range, and its default."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from brefine.core.frames import FrameGrid

ModelName = Literal["transformer", "mlp", "contrastive"]
MODEL_NAMES: tuple[ModelName, ...] = ("transformer", "mlp", "contrastive")

DiarizerName = Literal["builtin", "diarizen", "pyannote"]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
_MOST_USD = 1e12
Usd = Annotated[float, Field(ge=0.0, le=_MOST_USD)]
Count = Annotated[int, Field(ge=1, le=10**12)]


def _has_home(path: str) -> str:
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home") from None
    return path


HomePath = Annotated[str, AfterValidator(_has_home)]
"""A path that may begin with `~` or `~NAME`, the home of a user that this machine knows."""


class Section(BaseModel):
    """What every section has in common: unknown keys are refused, values are never coerced or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True, allow_inf_nan=False)


class SimulationConfig(Section):
    """Simulated conversations with exact boundaries.

    The numbers of conversations are for kind = "simulated" only; for other kinds, `corpus.synthetic_per_real` decides.
    """

    n_train: Count = 240
    """kind = "simulated": conversations to train on."""
    n_validation: Count = 40
    """kind = "simulated": conversations on which the checkpoint and the model are chosen; none of their voices is trained on."""
    n_gate: Count = 40
    """kind = "simulated": conversations behind the gate; none of their voices occurs elsewhere."""
    duration_s: Annotated[float, Field(ge=10.0, le=24 * 3600.0)] = 60.0
    """Length of one conversation. In a shorter one the first turn, which begins after up to 1.5 s, might find no room."""
    lively_probability: Probability = 0.0
    """Share of conversations that are livelier than the measured ones: with shorter turns and more overlap."""
    short_turns: tuple[Probability, Probability] = (0.0, 0.0)
    """Range of the share of turns that are only a word or two, often soft; drawn per conversation."""
    silence_factor: tuple[Positive, Positive] = (1.0, 1.0)
    """Range of the factor on the length of silences, drawn per conversation: silences in meetings are three times as long as in
    the television debates that the statistics come from."""
    n_speakers: tuple[Count, Count] = (2, 4)
    """Fewest and most speakers in a conversation."""
    voices: str = "builtin"
    """`builtin` (synthetic voices), or a folder of utterances named `SPEAKER-….flac` or laid out `SPEAKER/….wav`."""
    snr_db: tuple[float, float] = (10.0, 30.0)
    """Range of the ratio of speech to background noise."""
    noise_probability: Probability = 1.0
    """Share of conversations with background noise."""
    babble_probability: Probability = 0.2
    """Share of noisy conversations whose noise is other people's speech (voices of the same split)."""
    music_probability: Probability = 0.1
    """Share of noisy conversations without babble whose noise is music."""
    room_probability: Probability = 0.5
    """Share of conversations with a room response."""
    telephone_probability: Probability = 0.1
    """Share of conversations limited to the telephone band."""
    codec_probability: Probability = 0.1
    """Share of conversations that went through a lossy codec."""
    nonverbal_probability: Probability = 0.0
    """Share of conversations with breaths, laughter, coughs, lip smacks and knocks, which the labels do not mark."""
    bystander_probability: Probability = 0.0
    """Share of conversations in which voices from elsewhere are heard now and then, which the labels do not mark."""
    level_spread_db: NonNegative = 6.0
    """Standard deviation of the loudness between speakers."""
    bridge_pause_s: tuple[NonNegative, NonNegative] = (0.2, 0.8)
    """Range of the shortest pause that ends a turn: shorter ones within one speaker's speech do not; drawn per conversation."""
    onset_margin_s: tuple[NonNegative, NonNegative] = (0.0, 0.0)
    """Range of the room that labels leave before the first sound of a turn; drawn per conversation."""
    offset_margin_s: tuple[NonNegative, NonNegative] = (0.0, 0.0)
    """Range of the room that labels leave after the last sound of a turn; drawn per conversation."""

    @model_validator(mode="after")
    def _ranges_rise(self) -> SimulationConfig:
        for name, value in self:
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"`{name}` is a range, lowest first: got [{value[0]}, {value[1]}]")
        return self


class CorpusConfig(Section):
    """Where examples and the gate's recordings come from."""

    kind: Literal["simulated", "voxconverse", "folder"]
    """`simulated` conversations, the `voxconverse` corpus, or a `folder` of one's own."""
    root: str = "data"
    """Folder of prepared corpora and downloads."""
    train: str | None = None
    """kind = "folder": the corpus folder (audio/ reference/ hypothesis/ [all.uem]) to train and validate on."""
    gate: str | None = None
    """kind = "folder": the corpus folder behind the gate; none of its recordings or speakers may be in `train`."""
    known_to_differ: tuple[tuple[str, str], ...] = ()
    """kind = "folder": pairs of recordings, by name, that sound alike but are different; the gate mentions them. Names that no
    recording has are refused."""
    local_speaker_names: tuple[str, ...] = ()
    """kind = "folder": speaker names that mean somebody else in each recording, such as "agent" and "customer", as the references
    spell them; the gate mentions them. Names that no speaker has are refused. Numbered names (spk00, Speaker_A, ch0) need no
    entry."""
    validation_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the training recordings kept for validation (kinds voxconverse and folder)."""
    synthetic_per_real: NonNegative = 0.0
    """Simulated training boundaries added for each real one (2 in phase 3's recipes); kinds voxconverse and folder.

    They come from as many conversations as that takes, with the voices and rooms of [corpus.simulation], and get errors like
    those of the training recordings' own hypotheses."""
    simulation: SimulationConfig = SimulationConfig()

    @property
    def title(self) -> str:
        """What the corpus is called in headlines."""
        if self.kind == "folder":
            return f"{Path(self.train or '').name}→{Path(self.gate or '').name}"
        return "VoxConverse dev→test" if self.kind == "voxconverse" else "simulated conversations"

    @model_validator(mode="after")
    def _folders_are_named(self) -> CorpusConfig:
        if self.kind == "folder" and (self.train is None or self.gate is None):
            raise ValueError('kind = "folder" needs both `train` and `gate`')
        return self


class HypothesisConfig(Section):
    """Whose errors the refiners learn to correct."""

    source: Literal["replayed", "folder", "builtin", "diarizen", "pyannote"] = "replayed"
    """`replayed`: errors drawn from those measured on a real diarizer; `folder`: existing RTTMs; else the diarizer to run."""
    folder: str | None = None
    """source = "folder": the folder with the RTTMs of all recordings; none = each corpus folder's `hypothesis/`."""
    errors: str = "vbx-voxconverse"
    """source = "replayed": a summary that ships with brefine, or the path of one made by `python -m brefine.data errors`."""
    builtin_share: Probability = 0.0
    """source = "replayed", corpus.kind = "simulated": share of the training and validation conversations that the built-in
    diarizer processes instead, spread evenly: at 0.5 every second one. Replayed errors do not depend on the sound at a boundary;
    a diarizer's own errors do. Behind the gate all errors are replayed."""

    @model_validator(mode="after")
    def _only_replayed_errors_leave_room(self) -> HypothesisConfig:
        if self.builtin_share > 0.0 and self.source != "replayed":
            raise ValueError(f'`builtin_share` goes with source = "replayed": got "{self.source}"')
        return self


class DiarizerConfig(Section):
    """The diarizer in front of the refiner."""

    name: DiarizerName = "builtin"
    """`builtin`: brefine's own, which needs no account; or `diarizen` or `pyannote`."""
    python: str | None = None
    """Interpreter of the environment in which DiariZen is installed."""
    model: str | None = None
    """Hub id or local folder of the diarizer's weights."""


class FeatureConfig(Section):
    """Log-mel frames."""

    sample_rate_hz: Literal[16000] = 16000
    """Audio of other rates is resampled to this."""
    n_mels: Annotated[int, Field(ge=20, le=128)] = 80
    """Mel bands of one frame."""
    hop_s: Annotated[float, Field(ge=0.005, le=0.02)] = 0.01
    """From one frame to the next. For each frame, a model says how likely the boundary lies in it."""
    window_s: Annotated[float, Field(gt=0.0, le=4.0)] = 0.025
    """Analysis window of one frame; one longer than any example's context would cost memory and hours and locate nothing."""
    speech: bool = False
    """Also the probability of speech, by Silero's detector, which was trained on rooms and voices that no simulation has. Without
    it, no end moves on to where its speaker is still heard (`models.going_on`)."""
    pitch: bool = False
    """Also how clear the pitch of a voice is, and that of a second voice: mel bands do not show that two speak at once."""

    @model_validator(mode="after")
    def _frames_do_not_drift(self) -> FeatureConfig:
        if self.window_s < self.grid.hop_s:
            raise ValueError(
                f"`window_s` is at least `hop_s`, else samples would go unseen: got {self.window_s} and {self.hop_s}"
            )
        return self

    @property
    def grid(self) -> FrameGrid:
        """The frames' places in the audio."""
        return FrameGrid(self.sample_rate_hz, self.hop_s)


class ExampleConfig(Section):
    """Boundary-centred examples."""

    context_s: Annotated[float, Field(ge=0.5, le=4.0)] = 2.0
    """Seconds of audio on each side of the hypothesised boundary; also the largest shift that a model can express."""
    n_train: Count | None = None
    """Training boundaries an epoch; none = all there are."""
    match_window_s: Positive = 1.0
    """A hypothesised boundary is an example if its reference partner lies within this distance."""
    negatives_per_positive: NonNegative = 0.1
    """Boundaries without a reference partner, for each matched one; they teach "there is no boundary here"."""
    redraw_rate: Probability = 0.5
    """Share of the matched boundaries of simulated hypotheses that get a freshly drawn error in every epoch."""
    augment_rate: Probability = 0.0
    """Share of the training windows seen through another channel, with other formants, or with parts hidden."""


class TrainConfig(Section):
    """One training, the same for all models unless a model says otherwise."""

    start: Literal["random", "shipped"] = "random"
    """Weights that a training begins with: `random`, or `shipped`: those of the same model in the refiner that comes with
    brefine, for which [features] and `context_s` must be those that it was trained with."""
    epochs: Count = 50
    """Passes over the training boundaries, or over `examples.n_train` of them."""
    batch_size: Count = 32
    """Windows of one optimiser step."""
    lr: Positive = 5e-4
    """Highest learning rate of AdamW, reached after the warm-up."""
    weight_decay: NonNegative = 0.01
    """AdamW's, of matrices; biases, norms and the frames' prior do not decay."""
    warmup_fraction: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of all steps in which the learning rate rises linearly; afterwards `schedule` says how it falls."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls to a hundredth after the warm-up; `constant`: not at all."""
    patience: Count | None = None
    """Epochs without a better validation MAE after which the training ends; none = it never ends early."""
    clip_norm: Positive = 1.0
    """Largest gradient norm applied; larger gradients are scaled down to it."""
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    """Decay of the averaged weights that are validated and saved; 0 = none."""
    label_sigma_s: Positive = 0.02
    """Standard deviation of the Gaussian target around the true boundary."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What models compute in; parameters and their sums are always float32. `auto`: bfloat16 on a GPU and on CPUs that multiply
    in it, else float32. `float32` means float32 on a GPU as well, without TF32."""
    nonfinite: Literal["skip", "rollback", "stop"] = "rollback"
    """What happens on a non-finite loss or gradient: `skip` leaves the step out, `rollback` goes back to the last checkpoint and
    halves the learning rate, `stop` ends the training."""
    max_nonfinite: Count = 10
    """Non-finite steps after which the training fails."""
    log_every_s: Positive = 2.0
    """Seconds between two writes of training scalars and status."""
    capture: Literal["auto", "off"] = "auto"
    """Whether a GPU records the step once, as a CUDA graph, and replays it; `off`: it launches each kernel separately."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of one trainer; 0 = as many as `OMP_NUM_THREADS` says, or its share of the machine."""


class ModelConfig(Section):
    """One model of the phase. Keys that are left out are taken from [train]."""

    epochs: Count | None = None
    """Passes over the training boundaries."""
    batch_size: Count | None = None
    """Windows of one optimiser step."""
    lr: Positive | None = None
    """Highest learning rate."""


class RefineConfig(Section):
    """How shifts are applied to a recording."""

    min_confidence: Probability = 0.0
    """Boundaries whose shift the model is less sure of stay where they are. Any value but 0 also keeps ends from moving on where
    no boundary is heard (`models.going_on`), since there is no place to be sure of."""
    max_shift_s: Positive = 1.0
    """Largest move of one boundary."""


class SupervisorConfig(Section):
    """The process that starts and guards the trainers."""

    max_restarts: Annotated[int, Field(ge=0)] = 2
    """Restarts of one crashed trainer before it counts as failed."""
    restart_backoff_s: NonNegative = 5.0
    """Wait before the first restart; doubled each time."""
    stall_after_s: Positive = 120.0
    """A running trainer whose heartbeat is older than this is called stalled."""


class BudgetConfig(Section):
    """Money. A machine is billed by wall time, once, however many trainings share it."""

    total_usd: Usd = 999.28
    """Money that was left before the first phase in the ledger."""
    price_usd_per_hour: Usd = 0.0
    """Price of the machine; 0 for a machine of one's own."""
    priced_on: date | None = None
    """Day on which that price was seen."""
    cap_usd: Annotated[float, Field(gt=0.0, le=_MOST_USD)] | None = None
    """A phase that has spent this is checkpointed and stopped."""
    ledger: HomePath | None = None
    """Path of the ledger; none = the user's state directory."""
    terminate: str | None = None
    """The command that ends the rented machine, shown when the jobs are done."""


class AlertsConfig(Section):
    """Where alerts go besides the phase directory and the screens; the supervisor sends them, each once."""

    bell: bool = True
    """Ring the bell of every terminal that watches the phase."""
    command: str | None = None
    """A program and its arguments, run for each message: JSON on standard input, BREFINE_ALERT_TITLE and _TEXT beside it."""
    apprise: HomePath | None = None
    """Path of an Apprise configuration file (needs `pip install brefine[apprise]`). The passwords in its URLs stay there."""
    least_level: Literal["info", "warning", "error"] = "warning"
    """Alerts below this are shown, not sent."""
    per_hour: Count = 20
    """Messages an hour at most; further alerts are gathered into one message as soon as the limit allows it."""


class GateConfig(Section):
    """Gate 4: what must hold before the project goes on."""

    mae_ms: Positive = 100.0
    """`mae`: the refined boundary MAE must be below this at `window_s`, and below the MAE before by more than chance. Boundaries
    made by the cut of a recording do not count."""
    window_s: Positive = 1.0
    """Matching cap of the `mae` criterion. A launch refuses less than 5 × `mae_ms`: within it, any hypothesis is near enough."""
    der_relative: Probability = 0.10
    """`der`: the relative improvement of the DER must be above this, and its interval above 0."""
    der_collar_s: NonNegative = 0.0
    """Collar on each side of a reference boundary for `der` and `der-target`."""
    der_target: Probability = 0.03
    """`der-target`: the DER after refinement must be below this."""
    min_recordings: Count = 20
    """With fewer recordings than this a criterion is unknown; with fewer than five it always is, since there are no intervals.
    Recordings that say nothing about its figure, without a matched boundary or without an error, do not count."""
    min_recall: Probability = 0.3
    """The `mae` criterion is unknown if a smaller share of the reference boundaries than this is matched."""
    diarizer_trained_on: tuple[str, ...] = ()
    """Recordings that the diarizer was trained on, by name or by file name; the gate does not pass on them."""


class ExecutorConfig(Section):
    """Where the processes of a phase run: on this machine, or as jobs that `submitit` gives to Slurm.

    All keys but `kind` are for Slurm. There `budget.price_usd_per_hour` is the price of one GPU-hour (or of one job-hour, if
    `gpus = 0`), and jobs are billed for the time in which they have their allocation.
    """

    kind: Literal["local", "slurm"] = "local"
    """`local`: processes of this machine; `slurm`: jobs of the cluster whose login node this is."""
    partition: str | None = None
    """None = the cluster's default."""
    account: str | None = None
    """The account that Slurm charges; none = the cluster's default."""
    gpus: Annotated[int, Field(ge=0)] = 1
    """GPUs of one training. Preparation takes none."""
    cpus: Count = 4
    """CPU cores of one job."""
    memory_gb: Positive | None = None
    """None = the cluster's default."""
    time_minutes: Count = 240
    """Time limit of one job. A training that needs longer writes a checkpoint before the limit and is requeued."""
    checkpoint_ahead_s: Annotated[int, Field(ge=5)] = 120
    """How long before the limit the training is told to write that checkpoint."""
    max_timeouts: Annotated[int, Field(ge=0)] = 20
    """How often one job may be requeued at its time limit."""
    array_tasks: Count = 16
    """Tasks of a job array that works through recordings; 1 = no array."""
    poll_s: Positive = 10.0
    """Seconds between two queries to the scheduler."""
    python: str | None = None
    """The interpreter on the nodes, as a shell command; None = this one, which must lie on a shared disk."""
    setup: tuple[str, ...] = ()
    """Shell lines before the command, such as `module load cuda`."""
    directives: dict[str, str | int] = {}
    """Further `#SBATCH` directives: `qos = "short"`, `constraint = "a100"`."""


class PhaseConfig(Section):
    """A whole phase: corpus, hypotheses, examples, trainings, judgement, money."""

    version: Annotated[Literal[1], Field(alias="schema")]
    """`schema = 1`: the version of this file's format."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "phase3"
    """The part of the phase folder's name that follows the time."""
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    """For everything that is random: conversations, replayed errors, the validation split, initial weights, order of examples."""
    runs: str = "runs"
    """Folder in which phase directories are made."""
    corpus: CorpusConfig
    hypothesis: HypothesisConfig = HypothesisConfig()
    diarizer: DiarizerConfig = DiarizerConfig()
    features: FeatureConfig = FeatureConfig()
    examples: ExampleConfig = ExampleConfig()
    train: TrainConfig = TrainConfig()
    models: dict[ModelName, ModelConfig] = Field(min_length=1)
    """The models to train, `[models.NAME]` each."""
    refine: RefineConfig = RefineConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    budget: BudgetConfig = BudgetConfig()
    alerts: AlertsConfig = AlertsConfig()
    gate: GateConfig = GateConfig()
    executor: ExecutorConfig = ExecutorConfig()

    @model_validator(mode="after")
    def _conversations_of_ones_own_are_heard(self) -> PhaseConfig:
        if self.hypothesis.builtin_share > 0.0 and self.corpus.kind != "simulated":
            raise ValueError(f'`hypothesis.builtin_share` goes with corpus.kind = "simulated": got "{self.corpus.kind}"')
        return self

    def train_of(self, model: ModelName) -> TrainConfig:
        """The training section with the model's own values in place."""
        return self.train.model_copy(update=self.models[model].model_dump(exclude_none=True))
