"""Published Face-ViT checkpoints in use: checked tensor by tensor, and re-ranking on the face CNN they bring."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import BUNDLED, QUERIES
from safetensors.torch import load_file, save_file
from test_crossimage import published_state, without, write

from demo.backbones import load_backbone
from demo.checkpoints import check_file
from demo.cli import main
from demo.crossimage import load_h2l, shipped
from demo.errors import BadSetting, BadWeights
from demo.gallery import Gallery
from demo.identify import Identifier
from demo.settings import settings

pytestmark = pytest.mark.slow

PHOTO = QUERIES / "person-002" / "04.jpg"


@pytest.fixture(scope="module")
def h2l_file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("published") / "best.pth", published_state(heads=4))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEMO_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(("kind", "depth"), [("H2L", 2), ("H2", 1), ("H1", 1), ("V", 2)])
def test_a_published_file_is_named_and_counted(tmp_path, kind, depth):
    state = published_state(kind, depth=depth)
    checked = check_file(write(tmp_path / "best.pth", state))
    left_out = ("running_", "num_batches", "loss.") + (("mlp_head.",) if kind == "H2L" else ())
    learned = {key: value.numel() for key, value in state.items() if not any(part in key for part in left_out)}
    assert checked.file.name == kind.lower() and checked.published is None
    assert checked.parameters == sum(learned.values())


@pytest.mark.parametrize(("change", "says"), [
    (lambda state: without(state, "fc2.bias"), r"1 tensor missing \(fc2\.bias\)"),
    (lambda state: state | {"more": torch.zeros(1)}, "1 tensor unknown"),
    (lambda state: state | {"face_model.bn5.bias": torch.full((512,), torch.inf)}, "finite"),
    (lambda state: state | {"bn1.weight": torch.zeros(3)}, "another shape"),
])
def test_a_damaged_published_file_is_told(tmp_path, change, says):
    with pytest.raises(BadWeights, match=says):
        check_file(write(tmp_path / "best.pth", change(published_state())))


def test_our_own_file_is_checked_too(tmp_path):
    checked = check_file(shipped("H2L", "dlib"))
    state = load_file(shipped("H2L", "dlib"))
    assert "Model H2L for the dlib backbone" in checked.file.title and checked.published is None
    assert checked.parameters == sum(value.numel() for key, value in state.items() if key != "patch_mean")
    path = tmp_path / "h2l-dlib.safetensors"
    described = {"kind": "H2L", "sizes": "{}", "backbone": "dlib", "backbone_sha256": "0", "alpha": "1"}
    save_file(state, path, metadata=described)
    with pytest.raises(BadWeights, match="says it holds .*missing") as error:
        check_file(path)
    assert "\n" not in str(error.value)


def test_weights_check_on_the_command_line(h2l_file, capsys):
    assert main(["weights", "check", str(h2l_file)]) == 0
    assert "best.pth: Face-ViT Model H2L" in capsys.readouterr().out
    assert main(["weights", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"Face-ViT Model {kind}" in listed for kind in ("H2L", "H2", "H1", "V"))


def test_features_come_from_the_files_own_cnn(h2l_file, people):
    model = load_h2l(h2l_file, device="cpu")
    own = load_backbone("arcface", weights=h2l_file, device="cpu")  # the CNN alone, for rows C and D
    gallery = Gallery.build(people, model.backbone, people.parent / "index")
    found = Identifier(model.backbone, gallery, model).identify(PHOTO, stage2="h2l")
    assert found.matching.alpha == 0.7 and found.provenance["backbone"] == "h2l-cnn"
    assert found.provenance["stage2_weights_sha256"] == model.sha256
    features = own.extract(found.query.crop)
    torch.testing.assert_close(features.embedding, found.query.features.embedding, rtol=1e-4, atol=1e-4)
    match = found.stage2[-1]
    crop = gallery.crop(match.row, model.backbone)
    there, back = (model.compare(*pair).similarity for pair in
                   (([found.query.crop], [crop]), ([crop], [found.query.crop])))
    assert match.patch == pytest.approx(float(1 - (there + back) / 2), abs=5e-3)  # the gallery keeps half precision


def test_a_model_meets_no_other_backbone(h2l_file, backbone, bundled):
    model = load_h2l(h2l_file, device="cpu")
    with pytest.raises(BadSetting, match="its own h2l-cnn backbone"):
        Identifier(backbone, bundled, model)
    with pytest.raises(BadWeights, match="own face CNN"):
        load_h2l(h2l_file, device="cpu", backbone=backbone)
    own = load_backbone("arcface", weights=h2l_file, device="cpu")
    assert load_h2l(h2l_file, device="cpu", backbone=own).backbone is own


def test_identify_and_evaluate_take_a_published_file(h2l_file, people, capsys):
    asked = ["--gallery", str(people), "--stage2-weights", str(h2l_file), "--device", "cpu", "--json"]
    assert main(["identify", str(PHOTO), *asked, "--stage2", "h2l"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["settings"]["backbone"] == "h2l-cnn" and "h2l" in answer["stage2"][0]
    assert main(["evaluate", *asked, "--stage2", "h2l"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 8
    wrong = {"use it with --stage2 h2l": [], "own face CNN": ["--stage2", "h2l", "--backbone", "dlib"]}
    for says, further in wrong.items():
        assert main(["identify", str(PHOTO), *asked, *further]) == 2
        assert says in capsys.readouterr().err


def test_weights_trained_here_choose_their_backbone(people, capsys):
    asked = ["identify", str(PHOTO), "--gallery", str(BUNDLED), "--stage2", "h2l", "--device", "cpu", "--json"]
    answers = []
    for further in (["--backbone", "dlib"], ["--stage2-weights", str(shipped("H2L", "dlib"))]):
        assert main([*asked, *further]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0]["stage2"] == answers[1]["stage2"]
