"""The phase directory: every path and every JSON schema, in one place for writers and readers.

    runs/<utc>-phase3/
      phase.toml  manifest.json  supervisor.{json,lock,log}  decisions.jsonl  alerts.jsonl  alerts.sent
      control/<nanoseconds>-<action>[-<model>].json            requests, consumed atomically by the supervisor
      progress/<stage>.{json,lock}  logs/<stage>.log           prepare, evaluate, integrate; also gate4.lock for the gate
      jobs/<model or stage>.json  <model or stage>.word.json   on a cluster: what the scheduler says of a job, and its node
      <model>/status.json  events.out.tfevents.*  train.{log,lock}
      <model>/checkpoints/{last,best}.{safetensors,json}  {last,previous}.state
      evaluation/<model>/<split>.json  <split>.boundaries.csv  <split>.posteriors.npz    of `best`
      evaluation/<model>/<split>@<checkpoint>.json  …                                   of another checkpoint
      evaluation/<model>/heard/<recording>.<weights>.reading.safetensors     on a cluster, until the evaluation has taken it in
      selection.json  integration.json  integration/<recording>.rttm  <recording>.reading.safetensors
      looks.jsonl  verdicts.jsonl  gate4.json  gate4.md  report.html

Each file has one writer, except looks.jsonl, to which every scoring of the gate split appends. All files but events, logs and
*.jsonl are replaced atomically. Every JSON document carries `"schema"`. A reader ignores keys that it does not know and refuses a
schema that it does not know.

There is a module for each writer; `document` has what they share, `folders` the paths.
"""

from brefine.phasedir.calibration import Calibration as Calibration, HeldOut as HeldOut, refuse_unusable as refuse_unusable
from brefine.phasedir.corpus import (
    CORPUS_FILE as CORPUS_FILE,
    SPLITS as SPLITS,
    SUMMARY_FILE as SUMMARY_FILE,
    AudioFile as AudioFile,
    CorpusManifest as CorpusManifest,
    CorpusRecording as CorpusRecording,
)
from brefine.phasedir.document import (
    SCHEMA as SCHEMA,
    Document as Document,
    Part as Part,
    SealedDocument as SealedDocument,
    UnixTime as UnixTime,
)
from brefine.phasedir.evaluation import (
    BoundaryFigures as BoundaryFigures,
    BoundaryRow as BoundaryRow,
    CalibrationBin as CalibrationBin,
    Comparison as Comparison,
    EvaluationReport as EvaluationReport,
    Look as Look,
    LookedAt as LookedAt,
    LookRecord as LookRecord,
    RecordingBoundaries as RecordingBoundaries,
    SelectionRecord as SelectionRecord,
    Speed as Speed,
    WindowFigures as WindowFigures,
)
from brefine.phasedir.folders import (
    PhaseDir as PhaseDir,
    RunDir as RunDir,
    find_phase as find_phase,
    folder_argument as folder_argument,
    is_phase as is_phase,
    list_phases as list_phases,
    named_folder as named_folder,
    phase_of_weights as phase_of_weights,
    phases_beside as phases_beside,
    run_model as run_model,
    runs_folder as runs_folder,
)
from brefine.phasedir.gate import (
    Decision as Decision,
    FiledVerdict as FiledVerdict,
    GateCriterion as GateCriterion,
    GateRecord as GateRecord,
)
from brefine.phasedir.integration import (
    DerComparison as DerComparison,
    DerFigures as DerFigures,
    IntegrationReport as IntegrationReport,
    RecordingChange as RecordingChange,
    Scored as Scored,
)
from brefine.phasedir.lines import Lines as Lines
from brefine.phasedir.operation import (
    Alert as Alert,
    AlertKind as AlertKind,
    AlertLevel as AlertLevel,
    ControlRequest as ControlRequest,
    JobRecord as JobRecord,
    JobWord as JobWord,
    LockHolder as LockHolder,
    Manifest as Manifest,
    Progress as Progress,
    Stage as Stage,
    SupervisorState as SupervisorState,
    Wish as Wish,
)
from brefine.phasedir.sources import (
    corrected_labels as corrected_labels,
    label_digests as label_digests,
    source_folders as source_folders,
)
from brefine.phasedir.training import (
    CARD_KEY as CARD_KEY,
    OTHER_WEIGHTS as OTHER_WEIGHTS,
    TRAINERS_VARIABLE as TRAINERS_VARIABLE,
    CheckpointCard as CheckpointCard,
    RunState as RunState,
    RunStatus as RunStatus,
    Tag as Tag,
    Validation as Validation,
    read_statuses as read_statuses,
)
from brefine.phasedir.weights import (
    FoundWeights as FoundWeights,
    find_all_weights as find_all_weights,
    find_weights as find_weights,
    way_to_first_checkpoint as way_to_first_checkpoint,
    way_to_weights as way_to_weights,
)
