"""Fine-tuning a backbone: the ArcFace loss, a run that learns, resumption, and a file that loads again."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from demo.backbones import load_backbone
from demo.backbones.finetune import FineTuning, arcface_loss, finetune
from demo.cli import main
from demo.errors import BadSetting, BadWeights
from demo.gallery import Gallery
from demo.weights import sha256

pytestmark = pytest.mark.slow

SMALL = FineTuning(epochs=3, batch=4)


@pytest.fixture(scope="module")
def faces(backbone, bundled):
    """Crops of four people, three photos each, and who they are."""
    rows = list(range(12))
    names = [bundled.entries[row].identity for row in rows]
    return np.stack([bundled.crop(row, backbone) for row in rows]), np.unique(names, return_inverse=True)[1]


def test_arcface_adds_the_margin_to_the_angle():
    embedding, people = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 3.0]])
    right, wrong = 30 * math.cos(math.pi / 4 + 0.5), 30 * math.cos(math.pi / 2)
    wanted = -math.log(math.exp(right) / (math.exp(right) + math.exp(wrong)))
    found = arcface_loss(embedding, people, torch.tensor([0]), margin=0.5, scale=30)
    assert float(found) == pytest.approx(wanted, abs=1e-5)


def test_finetuning_lowers_the_loss_and_leaves_the_backbone_alone(backbone, faces, tmp_path):
    before = backbone.extract(faces[0]).embedding
    losses = finetune(backbone, *faces, tmp_path / "tuned.safetensors", checkpoint=tmp_path / "c", tuning=SMALL)
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert torch.equal(backbone.extract(faces[0]).embedding, before)
    tuned = load_backbone("dlib", weights=tmp_path / "tuned.safetensors", device="cpu")
    assert tuned.weights_sha256 != backbone.weights_sha256
    assert (tuned.extract(faces[0]).embedding - before).abs().max() > 1e-5


def test_others_may_use_the_backbone_while_a_copy_is_trained(backbone, faces, tmp_path):
    before, seen = backbone.extract(faces[0][:2]).embedding, []

    def look(done, count, loss):
        seen.append(torch.equal(backbone.extract(faces[0][:2]).embedding, before))
        seen.append(not any(weight.requires_grad for weight in backbone.network.parameters()))

    finetune(backbone, *faces, tmp_path / "tuned", checkpoint=tmp_path / "c", tuning=replace(SMALL, epochs=1),
             progress=look)
    assert len(seen) == 6 and all(seen)


def test_an_interrupted_finetuning_goes_on(backbone, faces, tmp_path):
    whole = finetune(backbone, *faces, tmp_path / "a", checkpoint=tmp_path / "ca", tuning=SMALL)

    def stop(done, count, loss):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(backbone, *faces, tmp_path / "b", checkpoint=tmp_path / "cb", tuning=SMALL, progress=stop)
    resumed = finetune(backbone, *faces, tmp_path / "b", checkpoint=tmp_path / "cb", tuning=SMALL)
    np.testing.assert_allclose(resumed, whole, rtol=1e-4)
    with pytest.raises(BadSetting, match="other settings"):
        finetune(backbone, *faces, tmp_path / "b", checkpoint=tmp_path / "cb", tuning=replace(SMALL, seed=1))


def test_wrong_input_is_refused(backbone, faces, tmp_path):
    with pytest.raises(BadSetting, match="two people"):
        finetune(backbone, faces[0], np.zeros(12, int), tmp_path / "x", checkpoint=tmp_path / "c")
    for began, said in (("facenet", "choose backbone facenet"), ("dlib", "does not fit")):
        save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"finetuned": began})
        with pytest.raises(BadWeights, match=said):
            load_backbone("dlib", weights=tmp_path / "other.safetensors")


def test_the_command_makes_a_backbone_that_evaluate_takes(people, tmp_path, capsys):
    """The whole way: photos and masked copies in, a weights file out, a gallery indexed with it."""
    out = tmp_path / "tuned.safetensors"
    asked = ["finetune", "--people", people, "--hold-out", "person-004", "--epochs", 2, "--batch", 4, "--out", out,
             "--work", tmp_path / "work", "--device", "cpu", "--backbone", "dlib"]
    assert main(list(map(str, asked))) == 0
    said = capsys.readouterr().out
    assert "12 crops of 3 people, 2 photos held out" in said
    gallery = Gallery.build(people, load_backbone("dlib", weights=out, device="cpu"), tmp_path / "index")
    assert gallery.manifest.weights_sha256 == sha256(out)
    assert main(["evaluate", "--gallery", str(tmp_path / "index"), "--weights", str(out), "--device", "cpu",
                 "--backbone", "dlib"]) == 0
    assert main(["finetune", "--singles", str(tmp_path / "nowhere")]) == 2
