"""The default backbone against dlib's own network, and the interface that all backbones share."""

import dlib
import numpy as np
import pytest
import torch
from conftest import BUNDLED

from demo.backbones import available, load_backbone, parse_grid
from demo.backbones.dlib_resnet import FILE, centre
from demo.errors import BadPhoto, BadSetting, BadWeights
from demo.faces import align, find_face, load_photo
from demo.weights import find


@pytest.fixture(scope="module")
def crops(backbone):
    photos = [load_photo(file) for file in sorted(BUNDLED.glob("person-00*/01.jpg"))]
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    return np.stack([*(align(photo, find_face(photo), backbone) for photo in photos), noise])


def test_descriptor_is_dlibs_own(backbone, crops):
    oracle = dlib.face_recognition_model_v1(str(find(FILE.name)))
    expected = np.array([oracle.compute_face_descriptor(crop) for crop in crops])
    np.testing.assert_allclose(backbone.descriptor(crops).numpy(), expected, atol=1e-5)


def test_embedding_is_the_descriptor_minus_its_mean(backbone, crops):
    expected = backbone.descriptor(crops).numpy() - centre()
    np.testing.assert_allclose(backbone.extract(crops).embedding.numpy(), expected, atol=1e-6)


def test_grids_are_row_major(backbone):
    """A bright square in the upper right corner excites patches of the first rows and last columns."""
    crop = np.full((150, 150, 3), 120, np.uint8)
    changed = crop.copy()
    changed[10:40, 100:140] = (250, 30, 200)
    before, after = backbone.extract(np.stack([crop]))[0], backbone.extract(np.stack([changed]))[0]
    for grid in ((8, 8), (4, 4)):
        rows, cols = grid
        difference = (after.at(grid).patches - before.at(grid).patches)[0].norm(dim=1).reshape(rows, cols)
        top, bottom = difference[:rows // 2], difference[rows // 2:]
        elsewhere = [top[:, :cols // 2], bottom[:, :cols // 2], bottom[:, cols // 2:]]
        assert all(top[:, cols // 2:].sum() > 1.5 * quarter.sum() for quarter in elsewhere)


def test_every_grid_has_its_shape(backbone, crops):
    features = backbone.extract(crops)
    assert features.patches.shape == (len(crops), 64, 128)
    assert features.at((4, 4)).patches.shape == (len(crops), 16, 256)
    assert features.at((2, 2)).patches.shape == (len(crops), 4, 128)  # by average pooling
    assert torch.isfinite(features.patches).all() and (features.patches >= 0).all()


def test_a_batch_gives_what_single_crops_give(backbone, crops):
    together = backbone.extract(crops, batch=4)
    alone = backbone.extract(crops[3])
    torch.testing.assert_close(together[3].embedding, alone.embedding, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together[3].at((4, 4)).patches, alone.at((4, 4)).patches, atol=1e-4, rtol=1e-4)


def test_pooling_to_a_coarser_grid_averages_cells(backbone, crops):
    features = backbone.extract(crops[:1])
    pooled = features.at((2, 4)).patches.reshape(2, 4, 128)
    cells = features.patches.reshape(8, 8, 128)
    torch.testing.assert_close(pooled[1, 2], cells[4:8, 4:6].mean((0, 1)))


def test_wrong_input_is_named(backbone):
    with pytest.raises(BadPhoto, match="150, 150"):
        backbone.extract(np.zeros((1, 128, 128, 3), np.uint8))
    with pytest.raises(BadPhoto, match="float64"):
        backbone.extract(np.zeros((1, 150, 150, 3)))
    with pytest.raises(BadSetting, match="3x3"):
        backbone.extract(np.zeros((150, 150, 3), np.uint8)).at((3, 3))
    with pytest.raises(BadSetting, match="ROWSxCOLS"):
        parse_grid("8")


def test_a_wrong_file_is_refused(tmp_path):
    half = find(FILE.name).read_bytes()[:10**6]
    for name, content in (("empty.dat", b""), ("text.dat", b"hello"), ("cut.dat", half)):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(BadWeights, match=name):
            load_backbone("dlib", weights=file)


def test_unknown_names_are_refused():
    with pytest.raises(BadSetting, match="Unknown backbone"):
        load_backbone("resnet-9000")
    with pytest.raises(BadSetting, match="no option"):
        load_backbone("dlib", flavour="mint")
    with pytest.raises(BadSetting, match="Unknown device"):
        load_backbone("dlib", device="abacus")
    assert [info.name for info in available() if info.ready][:2] == ["mobilefacenet", "dlib"]
