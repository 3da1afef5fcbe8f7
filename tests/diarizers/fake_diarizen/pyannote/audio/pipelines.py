"""As DiariZen's fork of pyannote has it."""


class SpeakerDiarization:
    def __init__(self, config: object = None, seg_duration: float | None = None, segmentation: str = "") -> None: ...
