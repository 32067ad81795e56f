"""Which network a checkpoint file holds: every network that loads published tensors key for key, in one table."""

from __future__ import annotations

from pathlib import Path

from demo.backbones.arcface import ResNetFace18
from demo.backbones.cosface import SphereFace20
from demo.backbones.facenet import InceptionResnetV1
from demo.faces.mtcnn import Cascade
from demo.weights import Checked, check

#: Name in the weights registry → network with the published key names.
NETWORKS = {"arcface": ResNetFace18, "cosface": SphereFace20, "facenet": InceptionResnetV1, "mtcnn": Cascade}


def check_file(path: str | Path) -> Checked:
    """Verify a weights file tensor by tensor; BadWeights or WeightsMissing says in one sentence what is wrong."""
    return check(path, NETWORKS)
