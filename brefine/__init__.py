"""Train, watch, judge and deploy boundary refiners for speaker diarization."""
