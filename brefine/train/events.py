"""The curves of a training: plain TensorBoard event files, written so that every reader takes them in the right order.

Readers order the files of a folder by name. `SummaryWriter` names them by second, process id and a counter without leading
zeros: two files of one second may change places, and the session that voids the curves of a killed process may come first.
Here a file's second is the clock's, or the one after the newest file's, whichever is later.

A record is written whole into a buffer of this process; `flush` hands the buffer to the operating system. There is no thread:
ten scalars cost less than waking one, and a full disk is noticed where it can be reported.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from brefine.io.folders import make_folder

_FLUSH_S = 2.0
"""Seconds by which a curve on disk may lag."""


class EventWriter:
    """Writes one event file into `folder`.

    Args:
        start_step: voids events after this step in earlier files, which a killed process has left; 0 = all events.
    """

    def __init__(self, folder: Path, *, start_step: int) -> None:
        make_folder(folder)
        self._file = (folder / _next_name(folder)).open("xb", buffering=1 << 16)
        self._records = RecordWriter(self._file)
        self._flushed_s = time.monotonic()
        self._write(Event(file_version="brain.Event:2"))
        purge_step = start_step + 1 if start_step else 0
        self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
        self.flush()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def scalars(self, values: Mapping[str, float | None], step: int) -> None:
        """Writes the values that are not None, one record each, which all readers read fastest."""
        for tag, value in values.items():
            if value is not None:
                self._write(Event(step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])))
        if time.monotonic() - self._flushed_s >= _FLUSH_S:
            self.flush()

    def text(self, tag: str, text: str, step: int) -> None:
        """Writes words, which TensorBoard shows under Text, and flushes them at once."""
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode("utf-8")])
        self._write(Event(step=step, summary=Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])))
        self.flush()

    def flush(self) -> None:
        """Hands what was written to the operating system, so that it outlasts a kill of this process."""
        self._file.flush()
        self._flushed_s = time.monotonic()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def _next_name(folder: Path) -> str:
    parts = [path.name.split(".") for path in folder.glob("events.out.tfevents.*")]
    seconds = [int(part[3]) for part in parts if len(part) > 3 and part[3].isdigit()]
    return f"events.out.tfevents.{max([int(time.time()), *(second + 1 for second in seconds)]):010d}.brefine"
