"""Cross-image models: the published forward pass against a second derivation, orders, caching, wrong files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from demo.backbones import Features
from demo.backbones.arcface import ResNetFace18
from demo.crossimage import CrossReranker, load_h2l, meeting, rerank
from demo.crossimage.networks import NETWORKS, Sizes
from demo.errors import BadPhoto, BadSetting, BadWeights, WeightsMissing

pytestmark = pytest.mark.slow

OUTPUT = 16


def published_state(kind: str = "H2L", depth: int = 1, heads: int = 2) -> dict[str, torch.Tensor]:
    """A checkpoint under the published key names, every value from a seeded generator."""
    generator = torch.Generator().manual_seed(len(kind) * 100 + depth * 10 + heads)

    def random(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * scale

    positions = {"H2L": 130, "H2": 130, "H1": 129, "V": 197}[kind]
    state = {"cls_token": random(1, 1, 512), "pos_embedding": random(1, positions, 512)}
    for i in range(depth):
        attend, feed = f"transformer.layers.{i}.0.fn", f"transformer.layers.{i}.1.fn"
        state |= {
            f"{attend}.norm.weight": random(512), f"{attend}.norm.bias": random(512),
            f"{attend}.fn.to_qkv.weight": random(3 * 64 * heads, 512, scale=0.06),
            f"{attend}.fn.to_out.0.weight": random(512, 64 * heads, scale=0.1),
            f"{attend}.fn.to_out.0.bias": random(512, scale=0.1),
            f"{feed}.norm.weight": 1 + random(512, scale=0.2), f"{feed}.norm.bias": random(512, scale=0.2),
            f"{feed}.fn.net.0.weight": random(2048, 512, scale=0.05), f"{feed}.fn.net.0.bias": random(2048, scale=0.1),
            f"{feed}.fn.net.3.weight": random(512, 2048, scale=0.03), f"{feed}.fn.net.3.bias": random(512, scale=0.1),
        }
    if kind in ("H2", "H2L"):
        state["sep"] = random(1, 1, 512)
    state |= {"mlp_head.0.weight": 1 + random(OUTPUT if kind == "H2L" else 512, scale=0.2),
              "mlp_head.0.bias": random(OUTPUT if kind == "H2L" else 512, scale=0.2),
              "loss.weight": random(7, 512)}
    if kind == "H2":
        state |= {"fc.weight": random(2, 512, scale=0.1), "fc.bias": random(2, scale=0.1)}
    if kind == "H2L":
        for n in "12":
            state |= {f"fc{n}.weight": random(OUTPUT, 32768, scale=0.01), f"fc{n}.bias": random(OUTPUT),
                      f"bn{n}.weight": 1 + random(OUTPUT, scale=0.2), f"bn{n}.bias": random(OUTPUT, scale=0.2),
                      f"bn{n}.running_mean": random(OUTPUT), f"bn{n}.running_var": 1 + random(OUTPUT).abs(),
                      f"bn{n}.num_batches_tracked": torch.tensor(3)}
    if kind == "V":
        return state | {"patch_to_embedding.weight": random(512, 192, scale=0.01),
                        "patch_to_embedding.bias": random(512, scale=0.1)}
    return state | {f"face_model.{key}": value for key, value in _face_cnn().state_dict().items()}


def _face_cnn() -> ResNetFace18:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return ResNetFace18().eval()


def write(path, state: dict[str, torch.Tensor]):
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    return path


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def h2l_file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("weights") / "best.pth", published_state(depth=2, heads=2))


@pytest.fixture(scope="module")
def h2l(h2l_file):
    return load_h2l(h2l_file, device="cpu")


# --- The oracle: the published code's forward pass, written out from the tensors alone ---------------------


def oracle_blocks(state, x, *, norm_attention=False):
    """x + attention(x), then x + MLP(LN(x)); rows of the attention sum to 1 over the keys."""
    depth = 1 + max(int(key.split(".")[2]) for key in state if key.startswith("transformer"))
    kept = []
    for i in range(depth):
        a, f = f"transformer.layers.{i}.0.fn.", f"transformer.layers.{i}.1.fn."
        y = F.layer_norm(x, (512,), state[a + "norm.weight"], state[a + "norm.bias"]) if norm_attention else x
        inner = state[a + "fn.to_qkv.weight"].shape[0] // 3
        out = []
        maps = []
        for h in range(inner // 64):
            rows = slice(64 * h, 64 * h + 64)
            q, k, v = (y @ state[a + "fn.to_qkv.weight"][n * inner:(n + 1) * inner][rows].T for n in range(3))
            scores = torch.einsum("bid,bjd->bij", q, k) / 512**0.5
            maps.append(torch.exp(scores - scores.logsumexp(2, keepdim=True)))
            out.append(torch.einsum("bij,bjd->bid", maps[-1], v))
        kept.append(torch.stack(maps, 1))
        x = x + torch.cat(out, 2) @ state[a + "fn.to_out.0.weight"].T + state[a + "fn.to_out.0.bias"]
        y = F.layer_norm(x, (512,), state[f + "norm.weight"], state[f + "norm.bias"])
        y = F.gelu(y @ state[f + "fn.net.0.weight"].T + state[f + "fn.net.0.bias"])
        x = x + y @ state[f + "fn.net.3.weight"].T + state[f + "fn.net.3.bias"]
    return x, kept


def oracle_tokens(crops):
    """Gray as OpenCV has it, scaled to -1..1, through the face CNN; (B, 64, 512), row-major."""
    gray = np.floor((crops.astype(np.int64) * [9798, 19235, 3735]).sum(-1) / 32768 + 0.5)
    with torch.no_grad():
        _, maps = _face_cnn()(torch.from_numpy((gray[:, None] - 127.5) / 127.5).float())
    grid = maps[8, 8]
    return torch.stack([grid[:, :, n // 8, n % 8] for n in range(64)], 1)


def oracle_pair(state, crops_a, crops_b):
    a, b = oracle_tokens(crops_a), oracle_tokens(crops_b)
    n = len(a)
    x = torch.cat([state["cls_token"].repeat(n, 1, 1), a, state["sep"].repeat(n, 1, 1), b], 1) + state["pos_embedding"]
    return oracle_blocks(state, x)


def relative(found, wanted) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_h2l_is_the_published_forward_pass(h2l, crops):
    state = published_state(depth=2, heads=2)
    found = h2l.compare(crops[:2], crops[2:])
    x, attention = oracle_pair(state, crops[:2], crops[2:])
    outputs = []
    for n, z in (("1", x[:, 1:65]), ("2", x[:, 66:130])):
        y = z.reshape(2, -1) @ state[f"fc{n}.weight"].T + state[f"fc{n}.bias"]
        y = (y - state[f"bn{n}.running_mean"]) / torch.sqrt(state[f"bn{n}.running_var"] + 1e-5)
        outputs.append(y * state[f"bn{n}.weight"] + state[f"bn{n}.bias"])
    f1, f2 = outputs
    assert found.f1.shape == (2, OUTPUT) and found.similarity.shape == (2,)
    assert relative(found.f1, f1) < 1e-4 and relative(found.f2, f2) < 1e-4
    assert [layer.shape for layer in found.attention] == [(2, 2, 130, 130)] * 2
    for layer, wanted in zip(found.attention, attention, strict=True):
        assert relative(layer, wanted) < 1e-4
    cosine = (f1 * f2).sum(1) / f1.norm(dim=1) / f2.norm(dim=1)
    torch.testing.assert_close(found.similarity, cosine, rtol=1e-4, atol=1e-5)


def test_h2_scores_the_class_same(tmp_path, crops):
    state = published_state("H2", heads=4)
    model = load_h2l(write(tmp_path / "h2.pth", state), device="cpu")
    x, _ = oracle_pair(state, crops[:2], crops[2:])
    y = F.layer_norm(x[:, 0], (512,), state["mlp_head.0.weight"], state["mlp_head.0.bias"])
    logits = y @ state["fc.weight"].T + state["fc.bias"]
    found = model.compare(crops[:2], crops[2:])
    assert model.kind == "H2" and found.f1 is None
    torch.testing.assert_close(found.similarity, torch.sigmoid(logits[:, 1] - logits[:, 0]), rtol=1e-3, atol=1e-5)


def test_h1_uses_the_first_65_positions_and_no_attention_norm(tmp_path, crops):
    state = published_state("H1")
    model = load_h2l(write(tmp_path / "h1.pth", state), device="cpu")
    x = torch.cat([state["cls_token"].repeat(4, 1, 1), oracle_tokens(crops)], 1) + state["pos_embedding"][:, :65]
    x, _ = oracle_blocks(state, x)
    wanted = F.layer_norm(x[:, 0], (512,), state["mlp_head.0.weight"], state["mlp_head.0.bias"])
    found = model.compare(crops[:2], crops[2:])
    assert model.kind == "H1"
    assert relative(torch.cat([found.f1, found.f2]), wanted) < 1e-4


def test_v_reads_raw_pixels_in_patches_and_norms_its_attention(tmp_path):
    state = published_state("V", depth=2, heads=8)
    model = load_h2l(write(tmp_path / "v.pth", state), device="cpu")
    crops = np.random.default_rng(2).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    patches = [crops[:, 8 * (n // 14):8 * (n // 14) + 8, 8 * (n % 14):8 * (n % 14) + 8].reshape(2, 192)
               for n in range(196)]
    tokens = torch.from_numpy(np.stack(patches, 1)).float() @ state["patch_to_embedding.weight"].T
    x = torch.cat([state["cls_token"].repeat(2, 1, 1), tokens + state["patch_to_embedding.bias"]], 1)
    x, _ = oracle_blocks(state, x + state["pos_embedding"], norm_attention=True)
    wanted = F.layer_norm(x[:, 0], (512,), state["mlp_head.0.weight"], state["mlp_head.0.bias"])
    found = model.compare(crops[:1], crops[1:])
    assert model.kind == "V" and found.grid == (14, 14)
    assert relative(torch.cat([found.f1, found.f2]), wanted) < 1e-4


def test_attention_norm_of_the_published_h2l_changes_nothing(h2l, tmp_path, crops):
    state = published_state(depth=2, heads=2)
    for i in range(2):
        state[f"transformer.layers.{i}.0.fn.norm.weight"] *= 100
    other = load_h2l(write(tmp_path / "scaled.pth", state), device="cpu")
    assert torch.equal(h2l.compare(crops[:2], crops[2:]).f1, other.compare(crops[:2], crops[2:]).f1)


def test_the_order_of_the_faces_matters(h2l, crops):
    one = h2l.compare(crops[:2], crops[2:]).similarity
    other = h2l.compare(crops[2:], crops[:2]).similarity
    assert (one - other).abs().max() > 1e-3


def test_the_face_cnn_comes_from_the_file(h2l, tmp_path, crops):
    state = published_state(depth=2, heads=2)
    state["face_model.bn4.running_mean"] += 1
    other = load_h2l(write(tmp_path / "drifted.pth", state), device="cpu")
    assert (other.compare(crops[:1], crops[1:2]).f1 - h2l.compare(crops[:1], crops[1:2]).f1).abs().max() > 1e-3


@pytest.mark.parametrize(("depth", "heads"), [(1, 1), (4, 6)])
def test_sizes_are_read_off_the_tensors(tmp_path, depth, heads):
    file = write(tmp_path / "best.pth", published_state(depth=depth, heads=heads))
    sizes = load_h2l(file, device="cpu").network.sizes
    assert (sizes.depth, sizes.heads, sizes.output, sizes.faithful) == (depth, heads, OUTPUT, True)


def test_positions_that_were_switched_off_are_zero(tmp_path, crops):
    state = published_state()
    absent = {key: value for key, value in state.items() if key != "pos_embedding"}
    state["pos_embedding"] = torch.zeros(1, 130, 512)
    found = [load_h2l(write(tmp_path / f"{n}.pth", s), device="cpu").compare(crops[:1], crops[1:2]).f1
             for n, s in enumerate((absent, state))]
    assert torch.equal(*found)


# --- Wrong input -------------------------------------------------------------------------------------------


def without(state, *keys):
    return {key: value for key, value in state.items() if key not in keys}


@pytest.mark.parametrize(("change", "says"), [
    (lambda state: without(state, "sep"), "SEP"),
    (lambda state: without(state, "fc2.weight"), "fc2.weight"),
    (lambda state: without(state, "face_model.conv1.weight"), "face_model.conv1.weight"),
    (lambda state: without(state, "transformer.layers.0.0.fn.fn.to_qkv.weight"), "to_qkv"),
    (lambda state: state | {"extra.weight": torch.zeros(2)}, "extra.weight"),
    (lambda state: state | {"fc1.bias": torch.full((OUTPUT,), torch.nan)}, "finite"),
    (lambda state: _face_cnn().state_dict(), "ArcFace ResNet-18"),
    (lambda state: {"a": torch.zeros(3)}, "no transformer"),
    (lambda state: state | {"cls_token": torch.zeros(512)}, "no transformer"),
])
def test_wrong_files_are_refused_in_one_sentence(tmp_path, change, says):
    with pytest.raises(BadWeights) as error:
        load_h2l(write(tmp_path / "wrong.pth", change(published_state())), device="cpu")
    message = str(error.value)
    assert "wrong.pth" in message and says in message and "\n" not in message


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(WeightsMissing):
        load_h2l(tmp_path / "none.pth")
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(BadWeights, match="web page"):
        load_h2l(tmp_path / "page.pth")
    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors", metadata={
        "kind": "H2L", "sizes": "{}", "backbone": "dlib", "backbone_sha256": "0", "alpha": "1"})
    with pytest.raises(BadWeights):
        load_h2l(tmp_path / "x.safetensors")


def test_wrong_crops_are_refused(h2l, crops):
    with pytest.raises(BadPhoto):
        h2l.compare(crops[:1, :100], crops[:1])
    with pytest.raises(BadSetting):
        h2l.compare(crops[:1], crops[:2])


# --- Re-ranking --------------------------------------------------------------------------------------------


def faces(count: int, seed: int, channels: int = 512) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(count, 512, generator=generator), torch.randn(count, 64, channels, generator=generator),
                    (8, 8))


@pytest.mark.parametrize("kind", ["H2L", "H2", "H1"])
def test_reranking_from_prepared_candidates_gives_what_compare_gives(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(rerank, "_BATCH", {"cpu": 2})
    model = load_h2l(write(tmp_path / "best.pth", published_state(kind, heads=2)), device="cpu")
    query, gallery = faces(1, 1), faces(5, 2)
    many = Features(query.embedding.repeat(5, 1), query.patches.repeat(5, 1, 1), (8, 8))
    forward = model.compare_features(many, gallery).similarity
    backward = model.compare_features(gallery, many).similarity
    reranker = CrossReranker(model)
    prepared = reranker.prepare(gallery)
    torch.testing.assert_close(reranker.distances(query, prepared), 1 - (forward + backward) / 2, rtol=1e-4, atol=1e-5)
    one_order = CrossReranker(model, both_orders=False).distances(query, prepared)
    torch.testing.assert_close(one_order, 1 - forward, rtol=1e-4, atol=1e-5)
    rows = [3, 0, 4]
    torch.testing.assert_close(reranker.distances(query, prepared[rows]), reranker.distances(query, prepared)[rows])


def test_what_a_face_settles_alone_is_the_same_by_the_formula(monkeypatch, tmp_path):
    q, k, v = (5 * torch.randn(2, 3, 7 + n, 8, generator=torch.Generator().manual_seed(n)) for n in (0, 1, 1))
    for ours, theirs in zip(meeting.attend(q, k, v, 0.3), meeting.attend_openly(q, k, v, 0.3), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    reranker = CrossReranker(load_h2l(write(tmp_path / "best.pth", published_state("H2L", heads=2)), device="cpu"))
    here = reranker.distances(faces(1, 1), reranker.prepare(faces(5, 2)))
    monkeypatch.setattr(meeting, "attend", meeting.attend_openly)
    torch.testing.assert_close(reranker.distances(faces(1, 1), reranker.prepare(faces(5, 2))), here)


def test_features_of_another_backbone_are_refused(h2l):
    with pytest.raises(BadSetting, match="128"):
        CrossReranker(h2l).prepare(faces(2, 3, channels=128))


@pytest.mark.parametrize("kind", ["H1", "H2", "H2L"])
def test_our_mode_applies_the_attention_norm(kind):
    torch.manual_seed(0)
    network = NETWORKS[kind](Sizes(dim=32, dim_head=8, hidden=48, output=12, channels=20, faithful=False, squeeze=4))
    a, b = torch.randn(2, 3, 64, 20)
    before = network.logit(a, b)
    network.transformer.layers[0][0].fn.norm.weight.data[:16] = 0
    assert before.shape == (3,) and (network.logit(a, b) - before).abs().max() > 1e-6
