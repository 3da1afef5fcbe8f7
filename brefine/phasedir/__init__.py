"""The phase directory: every path and every JSON schema, in one place for writers and readers.

    runs/<utc>-phase3/
      phase.toml  manifest.json  supervisor.{json,lock,log}  decisions.jsonl  alerts.jsonl  alerts.sent
      control/<nanoseconds>-<action>[-<model>].json            requests, consumed atomically by the supervisor
      progress/<stage>.{json,lock}  logs/<stage>.log           prepare, evaluate, integrate; the gate's gate4.lock beside them
      jobs/<model or stage>.json  <model or stage>.word.json   on a cluster: what the scheduler says of a job, and its node
      <model>/status.json  events.out.tfevents.*  train.{log,lock}
      <model>/checkpoints/{last,best}.{safetensors,json}  {last,previous}.state
      evaluation/<model>/<split>.json  <split>.boundaries.csv  <split>.posteriors.npz    of `best`
      evaluation/<model>/<split>@<checkpoint>.json  …                                   of another checkpoint
      evaluation/<model>/heard/<recording>.<weights>.reading.safetensors     on a cluster, until the evaluation has taken it in
      selection.json  integration.json  integration/<recording>.rttm  <recording>.reading.safetensors
      looks.jsonl  verdicts.jsonl  gate4.json  gate4.md  report.html

One writer a file; whoever looks at the gate split appends to looks.jsonl. All but events and logs are replaced atomically. Every
JSON document carries `"schema"`. A reader ignores keys that it does not know and refuses a schema that it does not know.

A module for each writer; `document` has what they share, `folders` the paths.
"""

from brefine.phasedir.calibration import Calibration, HeldOut
from brefine.phasedir.corpus import SPLITS, AudioFile, CorpusManifest, CorpusRecording
from brefine.phasedir.document import SCHEMA, Document, Part, SealedDocument, UnixTime
from brefine.phasedir.evaluation import (
    BoundaryFigures,
    BoundaryRow,
    CalibrationBin,
    Comparison,
    EvaluationReport,
    Look,
    LookedAt,
    LookRecord,
    RecordingBoundaries,
    SelectionRecord,
    Speed,
    WindowFigures,
)
from brefine.phasedir.folders import (
    PhaseDir,
    RunDir,
    find_phase,
    folder_argument,
    is_phase,
    list_phases,
    named_folder,
    phase_of_weights,
    phases_beside,
    run_model,
    runs_folder,
)
from brefine.phasedir.gate import Decision, FiledVerdict, GateCriterion, GateRecord
from brefine.phasedir.integration import DerComparison, DerFigures, IntegrationReport, RecordingChange, Scored
from brefine.phasedir.lines import Lines
from brefine.phasedir.operation import (
    Alert,
    AlertKind,
    AlertLevel,
    ControlRequest,
    JobRecord,
    JobWord,
    LockHolder,
    Manifest,
    Progress,
    Stage,
    SupervisorState,
)
from brefine.phasedir.sources import corrected_labels, label_digests, source_folders
from brefine.phasedir.training import (
    CARD_KEY,
    TRAINERS_VARIABLE,
    CheckpointCard,
    RunState,
    RunStatus,
    Tag,
    Validation,
    read_statuses,
)
from brefine.phasedir.weights import way_to_first_checkpoint, way_to_weights
