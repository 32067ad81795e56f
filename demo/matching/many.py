"""Stage 2 of many queries at once: the distances of N faces to k candidates each, for evaluations and large devices."""

from __future__ import annotations

import torch
from torch import Tensor

from demo.backbones.base import Features
from demo.errors import BadSetting
from demo.matching.transport import transport
from demo.matching.weightings import floating, patch_weights

#: Bytes of candidates' patches that are gathered at once, by the kind of device.
_GATHERED = {"cuda": 2 << 30, "cpu": 32 << 20}


@torch.no_grad()
def emd_many(queries: Features, faces: Features, rows: Tensor, method: str = "apc", solver: str = "auto",
             share: float = 1.0) -> Tensor:
    """(N, k) Earth Mover's Distances, those of ``emd`` between query n and ``faces[rows[n]]``.

    queries: N faces. faces: those that the candidates are among, same backbone, grid and device. rows: (N, k) integers.
    method, solver, share: as of ``emd``. The queries of a part share one product of matrices and one call of the
    solver. Raises BadSetting where choices or shapes do not fit.
    """
    if rows.ndim != 2 or len(rows) != len(queries):
        raise BadSetting(f"The candidates must be a table with a row for each of the {len(queries)} queries, not of "
                         f"the shape {tuple(rows.shape)}.")
    if queries.patches.shape[1:] != faces.patches.shape[1:]:
        raise BadSetting("The queries' and the candidates' patches differ in number or length: use one backbone and "
                         "grid for both.")
    if not rows.numel():
        return floating(faces.patches).new_zeros(rows.shape)
    patches, channels = faces.patches.shape[1:]
    ours = _scales(queries.patches)
    if rows.numel() < len(faces):  # not worth it for all
        used = rows.unique()
        theirs = ours.new_zeros(faces.patches.shape[:2])
        theirs[used] = _scales(faces.patches[used])
    else:
        theirs = _scales(faces.patches)
    spent = rows.shape[1] * patches * channels * 4
    part = max(1, _GATHERED["cuda" if faces.patches.is_cuda else "cpu"] // spent)
    distances = []
    for start in range(0, len(queries), part):
        some = slice(start, start + part)
        distances.append(_distances(queries[some], faces, rows[some], ours[some], theirs, method, solver, share))
    return torch.cat(distances)


def _scales(patches: Tensor) -> Tensor:
    """(N, P, C) → (N, P), what makes each patch as long as 1."""
    return 1 / floating(patches).norm(dim=2).clamp(min=1e-12)


def _distances(queries: Features, faces: Features, rows: Tensor, ours: Tensor, theirs: Tensor, method: str,
               solver: str, share: float) -> Tensor:
    """``emd_many`` of a part. ours, theirs: 1 / length of each patch of the queries and of all faces."""
    count, k = rows.shape
    candidates = faces[rows.flatten()]
    # Rows are the candidates' patches, columns the query's: so all k candidates are one matrix.
    products = floating(candidates.patches).unflatten(0, (count, k)).flatten(1, 2) @ floating(queries.patches).mT
    cosines = products.unflatten(1, (k, -1)).flatten(0, 1)
    cosines *= theirs[rows.flatten()][:, :, None]
    cosines.unflatten(0, (count, k)).mul_(ours[:, None, None])
    ground = cosines.neg_().add_(1).clamp_(min=0)
    u, v = _weights(queries, candidates, k, method)
    return transport(ground, v, u, solver, share=share).cost.unflatten(0, (count, k)) / share


def _weights(queries: Features, candidates: Features, k: int, method: str) -> tuple[Tensor, Tensor]:
    """``patch_weights`` of each query with its k candidates: (N * k, P) and (N * k, P')."""
    def one(embedding, patches, landmarks, their_embedding, their_patches, their_landmarks):
        query = Features(embedding[None], patches[None], queries.grid,
                         landmarks=None if landmarks is None else landmarks[None])
        others = Features(their_embedding, their_patches, queries.grid, landmarks=their_landmarks)
        return patch_weights(query, others, method)

    given = (queries.embedding, queries.patches, queries.landmarks)
    parts = (candidates.embedding, candidates.patches, candidates.landmarks)
    given += tuple(None if part is None else part.unflatten(0, (len(queries), k)) for part in parts)
    u, v = torch.func.vmap(one, in_dims=tuple(None if one is None else 0 for one in given))(*given)
    return u.flatten(0, 1), v.flatten(0, 1)
