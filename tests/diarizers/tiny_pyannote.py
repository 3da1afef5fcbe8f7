"""A whole pipeline of pyannote.audio 4 in a local folder, small, with random weights: what the hub would give, but for sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_CONFIG = """
dependencies: {pyannote.audio: 4.0.0}
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    segmentation: $model/segmentation
    embedding: $model/embedding
    plda: $model/plda
    embedding_batch_size: 8
    segmentation_batch_size: 4
    segmentation_step: 0.5
params:
  segmentation: {min_duration_off: 0.0}
  clustering: {method: average, min_cluster_size: 2, threshold: 0.7}
"""


def make_pipeline(folder: Path) -> Path:
    """Writes the pipeline below `folder` and returns its path."""
    import lightning
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding.xvector import XVectorSincNet
    from pyannote.audio.models.segmentation.PyanNet import PyanNet

    torch.manual_seed(0)
    hears = PyanNet(lstm={"hidden_size": 16, "num_layers": 1}, linear={"hidden_size": 16, "num_layers": 1})
    hears.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    tells = XVectorSincNet(dimension=16)
    tells.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=["A", "B"]
    )
    for model, name in ((hears, "segmentation"), (tells, "embedding")):
        model.build()
        checkpoint = {
            "state_dict": model.state_dict(),
            "hyper_parameters": dict(model.hparams),
            "pytorch-lightning_version": lightning.__version__,
        }
        model.on_save_checkpoint(checkpoint)
        if name == "segmentation":
            checkpoint["state_dict"]["classifier.weight"] *= 40.0  # so that it changes its mind now and then
        (folder / name).mkdir(parents=True)
        torch.save(checkpoint, folder / name / "pytorch_model.bin")
    (folder / "plda").mkdir()
    rng = np.random.default_rng(0)
    np.savez(folder / "plda" / "xvec_transform.npz", mean1=np.zeros(16), mean2=np.zeros(16), lda=rng.normal(size=(16, 16)))
    np.savez(folder / "plda" / "plda.npz", mu=np.zeros(16), tr=np.eye(16), psi=np.linspace(2.0, 1.0, 16))
    (folder / "config.yaml").write_text(_CONFIG)
    return folder
