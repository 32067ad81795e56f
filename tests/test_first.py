"""The first few of a ranking by lower bounds: the same as ranking everything, ties included."""

import json

import numpy as np
import pytest
import torch
from conftest import BUNDLED, ROOT

from demo.backbones import Features
from demo.cli import main
from demo.errors import BadSetting
from demo.matching import EMDProblem, emd, emd_problem, transport
from demo.methods import Measured, first_few, load_method, rerank
from demo.methods.emd import EmdOptions

PHOTO = ROOT / "assets" / "queries" / "person-002" / "04.jpg"


def crowd(rng, count: int, *, repeats: bool = False, spread: float = 1.0) -> Features:
    """A query and candidates around it; with ``repeats`` many are the same, so that they tie."""
    rows = rng.integers(0, max(1, count // 4), count) if repeats else np.arange(count)
    patches = rng.normal(size=(1, 9, 6)) + spread * rng.normal(size=(count, 9, 6))[rows]
    embedding = rng.normal(size=(1, 5)) + spread * rng.normal(size=(count, 5))[rows]
    return Features(*(torch.tensor(one, dtype=torch.float32) for one in (embedding, patches)), (3, 3))


@pytest.mark.parametrize("seed", range(40))
def test_no_rank_changes(seed):
    """Property: random faces, weightings, alphas, counts and ties."""
    rng = np.random.default_rng(seed)
    faces = crowd(rng, int(rng.integers(2, 60)), repeats=seed % 2 == 0, spread=rng.choice([0.05, 1.0, 5.0]))
    query, others = faces[0], faces[1:]
    method = ("apc", "uniform", "sc")[seed % 3]
    alpha, count = float(rng.choice([0, 0.3, 0.7, 1])), int(rng.integers(1, 8))
    cosine = 1 - torch.nn.functional.cosine_similarity(query.embedding, others.embedding).double()
    cosine = cosine.sort().values if seed % 4 else torch.zeros_like(cosine)
    problem = emd_problem(query, others, method)
    whole = emd(query, others, method)
    few = first_few(cosine, problem.least(), lambda slots: Measured((part := problem[slots].solve()).distance, part),
                    alpha, count)
    expected = rerank(cosine, whole.distance.double(), alpha)
    assert few.slots.tolist() == expected.order[:count].tolist()
    assert torch.equal(few.combined, expected.distances[few.slots])
    assert torch.equal(few.patch, whole.distance.double()[few.slots])
    assert torch.equal(few.evidence.flow, whole.flow[few.slots]) and few.measured <= len(others)


def test_the_bound_never_exceeds_the_distance_and_is_reached():
    rng = np.random.default_rng(0)
    faces = crowd(rng, 50)
    for method in ("apc", "uniform"):
        problem = emd_problem(faces[0], faces[1:], method)
        assert (problem.least() <= emd(faces[0], faces[1:], method).distance.double() + 1e-6).all()
    # Each patch has a nearest of its own: nothing gets in each other's way.
    same = emd_problem(faces[0], faces[[0, 0]], "uniform")
    torch.testing.assert_close(same.least(), same.solve().distance.double(), atol=1e-6, rtol=0)
    # By hand: one column suits both, the other costs 1 more, and half of the mass has to go there.
    cost, half = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]), torch.tensor([[0.5, 0.5]])
    assert EMDProblem(half, half, cost, (1, 2)).least().item() == 0.5 == transport(cost, half, half).cost.item()
    # The rows' minima alone say 0.3; a fifth of the mass has to pay 0.5 more.
    cost, u, v = torch.tensor([[[0.3, 0.8], [0.3, 0.8]]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[0.8, 0.2]])
    assert EMDProblem(u, v, cost, (1, 2)).least().item() == pytest.approx(0.4)


def test_hopeless_candidates_are_not_measured():
    rng = np.random.default_rng(1)
    near, far = crowd(rng, 13, spread=0.1), crowd(rng, 200, spread=5.0)
    faces = Features(torch.cat([near.embedding, far.embedding]), torch.cat([near.patches, far.patches]), (3, 3))
    problem = emd_problem(faces[0], faces[1:], "uniform")
    asked = []

    def measure(slots):
        asked.extend(slots.tolist())
        part = problem[slots].solve()
        return Measured(part.distance, part)

    few = first_few(torch.zeros(len(problem)), problem.least(), measure, 1.0, 5)
    assert few.measured < 30 and set(few.slots.tolist()) < set(range(12))
    assert len(asked) == few.measured + 5  # and the evidence of the five


def test_methods_without_a_bound_say_so(backbone):
    faces = crowd(np.random.default_rng(2), 8)
    method = load_method("emd", backbone)
    assert method.bounded(faces[0], faces[1:], EmdOptions(weighting="uniform")) is not None
    assert method.bounded(faces[0], faces[1:], EmdOptions(solver="sinkhorn")) is None
    assert method.bounded(faces[0], faces[1:], EmdOptions(share=0.5)) is None
    assert load_method("cosine", backbone).bounded(faces[0], faces[1:]) is None


@pytest.mark.parametrize("further", [[], ["--weighting", "uniform", "--occlude", "mask"], ["--k", "7"],
                                     ["--solver", "sinkhorn"], ["--stage2", "none"]])
def test_the_command_answers_as_if_it_had_measured_all(further, capsys):
    asked = ["identify", str(PHOTO), "--gallery", str(BUNDLED), "--backbone", "dlib", "--device", "cpu", "--json"]
    asked += further if "--stage2" in further else ["--stage2", "emd", *further]
    answers = []
    for top in ("5", "10000"):
        assert main([*asked, "--top", top]) == 0
        answer = json.loads(capsys.readouterr().out)
        answers.append({part: answer[part][:5] if part.startswith("stage") else answer[part]
                        for part in answer if part != "timings_ms"})
    assert answers[0] == answers[1]


def test_none_at_all_is_refused(identifier):
    with pytest.raises(BadSetting, match="first one"):
        identifier.identify(PHOTO, first=0)
