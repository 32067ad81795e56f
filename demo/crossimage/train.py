"""Training H1, H2 and H2L of our mode on a backbone's features: hard negatives of Stage 1, a pair loss, both orders.

Each step takes some queries (any view) and for each some candidates (views that a gallery holds): one of the same
person, strangers that Stage 1 ranks high, and random strangers. Cross-entropy over the candidates' similarities
teaches what re-ranking needs. Stage 1's cosine is added to them, as in Eq. 5.1, so that a network spends itself on
what Stage 1 gets wrong. The order of the two faces alternates from step to step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from demo.crossimage.networks import LOGIT_SCALE, NETWORKS, Sizes
from demo.crossimage.start import initialise
from demo.crossimage.views import ViewSet
from demo.errors import BadSetting
from demo.files import replacing

#: Called after each step with (steps done, steps in all, loss of the step).
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Training:
    """How to train. queries, hard, random: of a step; hard strangers come from Stage 1's first ``pool``. alone: how
    often a photo is asked about that is the only one of its person, over one that is not. alpha: share of the network
    in what is compared, beside Stage 1's cosine.

    rate: of the one-cycle schedule; the layers set up from the data (``start``) learn at ``slow`` times that.
    decay: weight decay. drop: share of the patches of either face hidden in training.
    """

    seed: int = 0
    steps: int = 400
    queries: int = 16
    hard: int = 5
    random: int = 2
    pool: int = 60
    alone: float = 0.3
    alpha: float = 0.5
    rate: float = 5e-4
    slow: float = 0.02
    decay: float = 0.05
    drop: float = 0.15
    save_every: int = 50


@dataclass(frozen=True)
class Recipe:
    """How a model that comes with the app was made: its sizes, but for those that the backbone gives, and training."""

    sizes: Sizes
    training: Training


_DLIB = Sizes(depth=1, heads=4, dim=128, dim_head=32, hidden=384, output=256, faithful=False, squeeze=64)
_MOBILE = Sizes(depth=1, heads=4, dim=128, dim_head=32, hidden=256, output=192, faithful=False, squeeze=48, placed=True)
_LONG = Training(queries=64, hard=12, random=3, steps=3000, rate=3e-4, slow=1.0, drop=0.1)
#: Backbone → model → recipe.
_RECIPES = {
    "dlib": {
        "H2L": Recipe(_DLIB, Training()),
        "H2": Recipe(_DLIB, Training(steps=150, rate=2e-4, slow=0.2)),
        "H1": Recipe(_DLIB, Training(steps=150, rate=2e-4, slow=0.2)),
    },
    "mobilefacenet": {
        "H2L": Recipe(replace(_MOBILE, heads=1), replace(_LONG, rate=5e-4, slow=0.2)),
        "H2": Recipe(_MOBILE, _LONG),
        "H1": Recipe(_MOBILE, _LONG),
        "L": Recipe(_MOBILE, Training()),  # in closed form: of its sizes the output alone is chosen
    },
}
#: Models that are trained.
TRAINED = tuple(_RECIPES["dlib"])
#: Layers that ``initialise`` fits to the data.
_FITTED = ("project.", "squeeze.", "fc1.", "fc2.", "fc.")


class Batches:
    """Which views meet in a step. Same seed and step, same batch, also after a resumption."""

    def __init__(self, views: ViewSet, training: Training):
        self.training = training
        plain = views.plain.nonzero()[:, 0]
        photos, number = views.photo.unique(return_inverse=True)
        self._human = views.person // 2
        # plain views in the order of person and photo: a person's lie together, and in them those of one photo
        block = views.person * len(photos) + number
        self._mates = plain[block[plain].argsort(stable=True)]
        self._person = _span(views.person[self._mates], views.person)
        self._photo = _span(block[self._mates], block)
        self._place = torch.full_like(views.person, -1)
        self._place[self._mates] = torch.arange(len(plain), device=plain.device)
        elsewhere, here = self._person[1] - self._photo[1], self._photo[1] - (self._place >= 0).long()
        self._odds = torch.where(elsewhere > 0, 1.0, torch.where(here > 0, training.alone, 0.0))
        if len(self._human[plain].unique()) < 4 or not bool(self._odds.any()):
            raise BadSetting("Training needs at least four people, and of some of them two views that a gallery would "
                             "hold.")
        # strangers are chosen by their photo; which of its upright plain views is shown is drawn anew
        self._shown = _table(plain[views.person[plain] % 2 == 0], number, len(photos))
        self.hard = self._hard(views)

    def _hard(self, views: ViewSet) -> Tensor:
        """(N, pool) photos of the strangers nearest to each view by cosine, as rows of ``_shown``; nobody is a
        stranger to the mirror image."""
        unit = F.normalize(views.embedding.float(), dim=1)
        gallery = self._shown[:, 0]
        found = []
        for rows in torch.arange(len(unit), device=unit.device).split(4096):
            near = unit[rows] @ unit[gallery].T
            near[self._human[rows, None] == self._human[gallery]] = -2
            count = min(self.training.pool, int((near > -2).sum(1).min()))
            found.append(near.topk(count, dim=1).indices)
        return torch.cat([rows[:, :min(part.shape[1] for part in found)] for rows in found])

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Rows of the queries (q,) and of their candidates (q, 1 + hard + random), the right one first."""
        options, device = self.training, self._odds.device
        generator = torch.Generator(device).manual_seed(options.seed * 1_000_003 + step)

        def below(count: Tensor) -> Tensor:
            return (torch.rand(count.shape, generator=generator, device=device) * count).long()

        queries = torch.multinomial(self._odds, options.queries, replacement=True, generator=generator)
        start, many = self._person[:, queries]
        first, same = self._photo[:, queries]
        place = self._place[queries]
        other = start + below(many - same)
        other += same * (other >= first)
        here = first + below(same - (place >= 0).long())
        here += ((place >= 0) & (here >= place)).long()
        right = self._mates[torch.where(many > same, other, here)]

        pool = self.hard[queries]
        order = torch.rand(pool.shape, generator=generator, device=device).argsort(1)
        hard = pool.gather(1, order[:, :options.hard])
        anyone = below(torch.full((len(queries), options.random), len(self._shown), device=device))
        own = self._human[self._shown[anyone, 0]] == self._human[queries, None]
        strangers = torch.cat([hard, torch.where(own, pool[:, :1], anyone)], 1)
        shown = self._shown[strangers, below(torch.full_like(strangers, self._shown.shape[1]))]
        return queries, torch.cat([right[:, None], shown], 1)


def _span(keys: Tensor, asked: Tensor) -> Tensor:
    """(2, N): where each asked key begins in the sorted keys, and how often it is there."""
    start = torch.searchsorted(keys, asked.contiguous())
    return torch.stack([start, torch.searchsorted(keys, asked.contiguous(), right=True) - start])


def _table(rows: Tensor, number: Tensor, count: int) -> Tensor:
    """(count, n): of the rows those with each number, as many as every number has. BadSetting where one has none."""
    of = number[rows]
    ordered, each = rows[of.argsort(stable=True)], torch.bincount(of, minlength=count)
    if not bool(each.all()):
        raise BadSetting("A photo has no upright view that a gallery would hold: make the views again.")
    start = each.cumsum(0) - each
    return ordered[start[:, None] + torch.arange(int(each.min()), device=rows.device)]


def recipe(kind: str, backbone: str) -> Recipe:
    """The recipe of a model on a backbone by its name; on one for which none was made, that on dlib's."""
    return _RECIPES.get(backbone, _RECIPES["dlib"]).get(kind, Recipe(_DLIB, Training()))


def train(kind: str, views: ViewSet, checkpoint: Path, *, sizes: Sizes, training: Training,
          progress: Progress | None = None):
    """Train a network of NETWORKS on views, on their device; returns (network, loss of every step).

    checkpoint: file that is written every ``save_every`` steps; where it is there already, and was made with the
    same settings, training goes on from it. Raises BadSetting where it was made with others.
    """
    torch.manual_seed(training.seed)
    device = views.patches.device
    network = NETWORKS[kind](sizes).to(device).train()
    initialise(network, views)
    fitted = [parameter for name, parameter in network.named_parameters() if name.startswith(_FITTED)]
    others = [parameter for name, parameter in network.named_parameters() if not name.startswith(_FITTED)]
    rates = [training.rate, training.rate * training.slow]
    optimiser = torch.optim.AdamW([{"params": others, "lr": rates[0]}, {"params": fitted, "lr": rates[1]}],
                                  weight_decay=training.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=training.steps)
    settings = {"kind": kind, **asdict(sizes), **asdict(training), "views": len(views)}
    losses: list[float] = []
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if saved["settings"] != settings:
            raise BadSetting(f"{checkpoint.name} was written by a training with other settings: delete it, or train "
                             "with those.")
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        losses = saved["losses"]
    batches = Batches(views, training)
    for step in range(len(losses), training.steps):
        loss = _loss(network, views, batches.at(step), step, training)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if (step + 1) % training.save_every == 0 or step + 1 == training.steps:
            with replacing(checkpoint) as partial:
                torch.save({"settings": settings, "network": network.state_dict(), "optimiser": optimiser.state_dict(),
                            "schedule": schedule.state_dict(), "losses": losses}, partial)
        if progress:
            progress(step + 1, training.steps, losses[-1])
    return network.eval(), losses


def _loss(network, views: ViewSet, rows: tuple[Tensor, Tensor], step: int, training: Training) -> Tensor:
    """Cross-entropy over each query's candidates; the right one is the first."""
    queries, candidates = rows
    device = views.patches.device
    generator = torch.Generator(device).manual_seed(training.seed * 1_000_003 + step)

    def patches(index: Tensor) -> Tensor:
        found = views.patches[index].float()
        hidden = torch.rand(found.shape[:2], generator=generator, device=device) < training.drop
        return torch.where(hidden[..., None], network.patch_mean, found)

    query = patches(queries).repeat_interleave(candidates.shape[1], 0)
    candidate = patches(candidates.flatten())
    pair = (candidate, query) if step % 2 else (query, candidate)
    cosine = F.cosine_similarity(views.embedding[queries, None], views.embedding[candidates], dim=2)
    beside = LOGIT_SCALE * (1 - training.alpha) / training.alpha
    logits = network.logit(*pair).view(candidates.shape) + beside * cosine
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=device))
