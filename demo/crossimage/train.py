"""Training H1, H2 and H2L of our mode on a backbone's features: hard negatives of Stage 1, a pair loss, both orders.

Each step takes some queries (any view) and for each some candidates (views that a gallery holds): one of the same
person, strangers that Stage 1 ranks high, and random strangers. Cross-entropy over the candidates' similarities
teaches what re-ranking needs. Stage 1's cosine is added to them, as in Eq. 5.1, so that a network spends itself on
what Stage 1 gets wrong. The order of the two faces alternates from step to step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
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
#: For the default backbone.
SIZES = Sizes(depth=1, heads=4, dim=128, dim_head=32, hidden=384, output=256, channels=128, faithful=False,
              squeeze=64)


@dataclass(frozen=True)
class Training:
    """How to train. queries, hard, random: of a step; hard strangers come from Stage 1's first ``pool``.

    rate: of the one-cycle schedule; the layers set up from the data (``start``) learn at ``slow`` times that.
    decay: weight decay. drop: share of the patches of either face hidden in training.
    """

    seed: int = 0
    steps: int = 400
    queries: int = 16
    hard: int = 5
    random: int = 2
    pool: int = 60
    rate: float = 5e-4
    slow: float = 0.02
    decay: float = 0.05
    drop: float = 0.15
    save_every: int = 50


#: How each model is trained by default.
RECIPES = {
    "H2L": Training(),
    "H2": Training(steps=150, rate=2e-4, slow=0.2),
    "H1": Training(steps=150, rate=2e-4, slow=0.2),
}
#: Layers that ``initialise`` fits to the data.
_FITTED = ("project.", "squeeze.", "fc1.", "fc2.")


class Batches:
    """Which views meet in a step. Same seed and step, same batch, also after a resumption."""

    def __init__(self, views: ViewSet, training: Training):
        self.views, self.training = views, training
        self.plain = views.plain.nonzero()[:, 0]
        shown = views.person[self.plain]
        self.mates = {person: self.plain[shown == person] for person in views.person.unique().tolist()}
        self.hard = self._hard()
        if min(map(len, self.mates.values())) < 2 or len(self.mates) < 4:
            raise BadSetting("Training needs at least two people with views that a gallery would hold.")

    def _hard(self) -> Tensor:
        """(N, pool) rows of the strangers nearest to each view by cosine; nobody is a stranger to the mirror image."""
        unit = F.normalize(self.views.embedding, dim=1)
        human = self.views.person // 2
        found = []
        for rows in torch.arange(len(unit)).split(512):
            near = unit[rows] @ unit[self.plain].T
            near[human[rows, None] == human[self.plain]] = -2
            count = min(self.training.pool, int((near > -2).sum(1).min()))
            found.append(self.plain[near.topk(count, dim=1).indices])
        return torch.cat([rows[:, :min(part.shape[1] for part in found)] for rows in found])

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Rows of the queries (q,) and of their candidates (q, 1 + hard + random), the right one first."""
        options, views = self.training, self.views
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)

        def draw(rows: Tensor, count: int) -> Tensor:
            return rows[torch.randperm(len(rows), generator=generator)[:count]]

        queries = torch.randint(len(views), (options.queries,), generator=generator)
        candidates = []
        for query in queries.tolist():
            mates = self.mates[int(views.person[query])]
            elsewhere = mates[views.photo[mates] != views.photo[query]]
            mates = elsewhere if len(elsewhere) else mates[mates != query]
            hard = draw(self.hard[query], options.hard)
            strangers = self.plain[torch.randint(len(self.plain), (4 * options.random + 8,), generator=generator)]
            strangers = strangers[views.person[strangers] // 2 != views.person[query] // 2]
            candidates.append(torch.cat([draw(mates, 1), hard, strangers[:options.random]]))
        return queries, torch.stack(candidates)


def train(kind: str, views: ViewSet, checkpoint: Path, *, sizes: Sizes = SIZES, training: Training | None = None,
          device: torch.device | str = "cpu", progress: Progress | None = None):
    """Train a network of NETWORKS on views; returns (network, loss of every step).

    checkpoint: file that is written every ``save_every`` steps; where it is there already, and was made with the
    same settings, training goes on from it. Raises BadSetting where it was made with others.
    """
    training = training or RECIPES[kind]
    torch.manual_seed(training.seed)
    network = NETWORKS[kind](sizes)
    initialise(network, views)
    network.to(device).train()
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
        loss = _loss(network, views, batches.at(step), step, training, device)
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


def _loss(network, views: ViewSet, rows: tuple[Tensor, Tensor], step: int, training: Training, device) -> Tensor:
    """Cross-entropy over each query's candidates; the right one is the first."""
    queries, candidates = rows
    generator = torch.Generator().manual_seed(training.seed * 1_000_003 + step)

    def patches(index: Tensor) -> Tensor:
        found = views.patches[index].float()
        hidden = torch.rand(found.shape[:2], generator=generator) < training.drop
        return torch.where(hidden[..., None], network.patch_mean.cpu(), found).to(device)

    query = patches(queries).repeat_interleave(candidates.shape[1], 0)
    candidate = patches(candidates.flatten())
    pair = (candidate, query) if step % 2 else (query, candidate)
    cosine = F.cosine_similarity(views.embedding[queries, None], views.embedding[candidates], dim=2)
    logits = network.logit(*pair).view(candidates.shape) + LOGIT_SCALE * cosine.to(device)
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=device))
