"""V, H1, H2 and H2L of Face-ViT (thesis ch. 4, Tab 4.1): one image or two, CLS or two linear outputs.

Two modes. ``faithful`` is the published forward pass key for key: patches of the face CNN as they are, attention
without its LayerNorm, batch-normalised outputs. The other is ours, for training on any backbone: patches centred,
normalised and projected, pre-LayerNorm, and a narrow output head that little data can train.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.crossimage.transformer import Transformer, random_token

#: Length of a centred, normalised patch before its projection (our mode): that of the learned positions' order.
TOKEN_LENGTH = 8.0
#: Training compares candidates by this many times the cosine.
LOGIT_SCALE = 16.0
#: Side of V's patches in pixels.
PATCH = 8


#: Blocks, and anything else that is counted, of a network at most.
_MOST_BLOCKS, _MOST = 128, 1 << 16


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network; the defaults are the published H2L's.

    depth: blocks. heads, dim_head: of attention. dim: of a token. hidden: of the feed-forward layer.
    output: O, of f1 and f2. patches: P of a face. channels: C of a backbone patch. faithful: see the module.
    squeeze: numbers per patch that our output head keeps. placed: patches are centred at each place by itself.
    rows: of patches, of Model L alone.
    """

    depth: int = 1
    heads: int = 1
    dim: int = 512
    dim_head: int = 64
    hidden: int = 2048
    output: int = 512
    patches: int = 64
    channels: int = 512
    faithful: bool = True
    squeeze: int = 32
    placed: bool = False
    rows: int = 1

    def __post_init__(self):
        """ValueError for sizes that no network here has: they come from files, too."""
        for name, value in vars(self).items():
            kind, most = type(getattr(type(self), name)), _MOST_BLOCKS if name == "depth" else _MOST
            if type(value) is not kind or kind is int and not 1 <= value <= most:
                raise ValueError(f"{name} cannot be {value!r}")


@dataclass(frozen=True)
class Half:
    """Faces in their place of the pair: a special token and P patches each. Depends on no other face.

    x: (B, 1 + P, dim) tokens with positions. qkv: (B, 1 + P, 3 * heads * dim_head) of the first layer.
    """

    x: Tensor
    qkv: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index) -> Half:
        """The faces at ``index`` (a slice or rows)."""
        return Half(self.x[index], self.qkv[index])


class _Patches(nn.Module):
    """The way from patches to tokens."""

    patch_mean: Tensor
    project: nn.Module

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes
        if not sizes.faithful:
            places = (sizes.patches,) if sizes.placed else ()
            self.register_buffer("patch_mean", torch.zeros(*places, sizes.channels))
            self.project = nn.Linear(sizes.channels, sizes.dim)

    def tokens(self, patches: Tensor) -> Tensor:
        """(B, P, C) backbone patches → (B, P, dim)."""
        if self.sizes.faithful:
            return patches
        return self.project(TOKEN_LENGTH * F.normalize(patches - self.patch_mean, dim=2))


class _Network(_Patches):
    """What all four have: a CLS token, positions and the transformer."""

    face_model: nn.Module  # beside a published network, until its weights are told apart

    def __init__(self, sizes: Sizes, positions: int, norm_attention: bool):
        super().__init__(sizes)
        self.cls_token = random_token(1, 1, sizes.dim)
        self.pos_embedding = random_token(1, positions, sizes.dim)
        self.transformer = Transformer(sizes.dim, sizes.depth, sizes.heads, sizes.dim_head, sizes.hidden,
                                       norm_attention=norm_attention)


class OneImage(_Network):
    """H1: [CLS, patches] of one face; the embedding is LayerNorm(CLS).

    The published H1 has 129 positions and uses the first 65.
    """

    def __init__(self, sizes: Sizes, *, positions: int | None = None, norm_attention: bool | None = None):
        super().__init__(sizes, positions or 2 * sizes.patches + 1,
                         not sizes.faithful if norm_attention is None else norm_attention)
        self.mlp_head = nn.Sequential(nn.LayerNorm(sizes.dim))

    def encode(self, patches: Tensor, *, keep: bool = False) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(B, P, C) → embedding (B, dim), patch tokens (B, P, dim), attention [(B, heads, 1 + P, 1 + P)]."""
        tokens = self.tokens(patches)
        x = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1)
        x, attention = self.transformer(x + self.pos_embedding[:, :x.shape[1]], keep=keep)
        return self.mlp_head(x[:, 0]), x[:, 1:], attention

    def logit(self, first: Tensor, second: Tensor) -> Tensor:
        """What training compares: (B, P, C) patches of both faces → (B,), larger for the same person."""
        return LOGIT_SCALE * F.cosine_similarity(self.encode(first)[0], self.encode(second)[0])


class V(OneImage):
    """V: a ViT on 112 x 112 RGB pixels, 0 to 255, in 14 x 14 patches of 8 x 8. Its LayerNorms are all applied.

    A patch is flattened row by row, colours last. Faces come as (B, 196, 192) such patches (``pixel_patches``).
    """

    def __init__(self, sizes: Sizes):
        super().__init__(sizes, positions=sizes.patches + 1, norm_attention=True)
        self.patch_to_embedding = nn.Linear(sizes.channels, sizes.dim)

    def tokens(self, patches: Tensor) -> Tensor:
        return self.patch_to_embedding(patches)


def pixel_patches(pictures: Tensor) -> Tensor:
    """(B, h, w, 3) pictures → (B, P, 192) float pixels of their patches of 8 x 8, as V takes them."""
    cells = pictures.float().unflatten(2, (-1, PATCH)).unflatten(1, (-1, PATCH))  # B, row, y, column, x, colour
    return cells.transpose(2, 3).flatten(3).flatten(1, 2)


class TwoImages(_Network):
    """[CLS, patches of face 1, SEP, patches of face 2] with learned positions (Eq. 4.1)."""

    def __init__(self, sizes: Sizes):
        super().__init__(sizes, 2 * sizes.patches + 2, not sizes.faithful)
        self.sep = random_token(1, 1, sizes.dim)

    def place(self, tokens: Tensor, second: bool) -> Half:
        """``tokens(patches)`` of B faces as the first or the second of their pairs."""
        start = self.sizes.patches + 2 if second else 1
        placed = tokens + self.pos_embedding[:, start:start + self.sizes.patches]
        x = torch.cat([self.special(second).expand(len(tokens), -1, -1), placed], 1)
        return Half(x, self.transformer.project(x))

    def special(self, second: bool) -> Tensor:
        """(1, 1, dim): the token before the patches of the first or the second face, with its position."""
        token, at = (self.sep, self.sizes.patches + 1) if second else (self.cls_token, 0)
        return token + self.pos_embedding[:, at:at + 1]

    def attend(self, first: Half, second: Half, *, keep: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Pairs through the transformer: (B, 2 + 2P, dim), attention [(B, heads, 2 + 2P, 2 + 2P)].

        Either half may hold one face for all pairs."""
        pairs = max(len(first), len(second))

        def joined(a: Tensor, b: Tensor) -> Tensor:
            return torch.cat([a.expand(pairs, -1, -1), b.expand(pairs, -1, -1)], 1)

        return self.transformer(joined(first.x, second.x), joined(first.qkv, second.qkv), keep=keep)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The patch tokens z1, z2 (B, P, dim) of both faces."""
        half = self.sizes.patches + 1
        return x[:, 1:half], x[:, half + 1:]

    def meet(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, P, C) patches of both faces → (B, 2 + 2P, dim)."""
        return self.attend(self.place(self.tokens(first), False), self.place(self.tokens(second), True))[0]


class H2(TwoImages):
    """H2: LayerNorm(CLS) → two classes, "different" and "same"."""

    def __init__(self, sizes: Sizes):
        super().__init__(sizes)
        self.mlp_head = nn.Sequential(nn.LayerNorm(sizes.dim))
        self.fc = nn.Linear(sizes.dim, 2)

    def logits(self, x: Tensor) -> Tensor:
        """(B, 2 + 2P, dim) → (B, 2)."""
        return self.fc(self.mlp_head(x[:, 0]))

    def logit(self, first: Tensor, second: Tensor) -> Tensor:
        """As ``OneImage.logit``: the log odds of "same"."""
        logits = self.logits(self.meet(first, second))
        return logits[:, 1] - logits[:, 0]


class H2L(TwoImages):
    """H2L: each face's patches, flattened, through a linear layer of its own → f1, f2 (Eq. 4.5, 4.6)."""

    def __init__(self, sizes: Sizes):
        super().__init__(sizes)
        if sizes.faithful:
            width = sizes.dim
            self.bn1, self.bn2 = nn.BatchNorm1d(sizes.output), nn.BatchNorm1d(sizes.output)
        else:
            width = sizes.squeeze
            self.squeeze = nn.Linear(sizes.dim, sizes.squeeze)
        self.fc1 = nn.Linear(sizes.patches * width, sizes.output)
        self.fc2 = nn.Linear(sizes.patches * width, sizes.output)

    def outputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2 + 2P, dim) → f1, f2 (B, O)."""
        return self.outputs_of(*self.split(x))

    def outputs_of(self, z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
        """The patch tokens (B, P, dim) of both faces → f1, f2 (B, O)."""
        if self.sizes.faithful:
            return self.bn1(self.fc1(z1.flatten(1))), self.bn2(self.fc2(z2.flatten(1)))
        return self.fc1(self.squeeze(z1).flatten(1)), self.fc2(self.squeeze(z2).flatten(1))

    def logit(self, first: Tensor, second: Tensor) -> Tensor:
        """As ``OneImage.logit``."""
        return LOGIT_SCALE * F.cosine_similarity(*self.outputs(self.meet(first, second)))


class Linear(nn.Module):
    """Not of the papers: one linear map of all patches of one face, whatever the other is. Each row of patches becomes
    what it adds to the backbone's embedding, and all rows, side by side, go through one linear layer.

    x_p = place_p * (patch_p - patch_mean_p); row_r = project(sum of x_p over the row);
    output = fc(rows / |sum of rows|).
    """

    patch_mean: Tensor
    place: Tensor

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes
        self.register_buffer("patch_mean", torch.zeros(sizes.patches, sizes.channels))
        self.register_buffer("place", torch.ones(sizes.patches, sizes.channels))
        self.project = nn.Linear(sizes.channels, sizes.dim, bias=False)
        self.fc = nn.Linear(sizes.rows * sizes.dim, sizes.output)

    def parts(self, patches: Tensor) -> Tensor:
        """(B, P, C) → (B, P, dim): what each patch adds to its row, over the length of the sum of all."""
        added = self.project(self.place * (patches - self.patch_mean))
        return added / added.sum(1, keepdim=True).norm(dim=2, keepdim=True).clamp(min=1e-6)

    def rows(self, parts: Tensor) -> Tensor:
        """(B, P, dim) → (B, rows * dim): the sum of each row."""
        return parts.unflatten(1, (self.sizes.rows, -1)).sum(2).flatten(1)

    def encode(self, patches: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As ``OneImage.encode``: (B, P, C) → embedding (B, O), patch tokens (B, P, dim), no attention."""
        parts = self.parts(patches)
        return self.fc(self.rows(parts)), parts, []

    def contributions(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, P) what each patch of the first face adds to the cosine of both outputs: f1 = sum_p (W_p z1_p + b / P),
        so the cosine is the sum over p of (W_p z1_p + b / P) · f2 / (|f1| |f2|). Some may be negative."""
        one, z, _ = self.encode(first)
        other = self.encode(second)[0]
        weight = self.fc.weight.view(len(self.fc.weight), self.sizes.rows, -1)
        shared = torch.einsum("brpd,ord->brpo", z.unflatten(1, (self.sizes.rows, -1)), weight).flatten(1, 2)
        toward = other / (one.norm(dim=1) * other.norm(dim=1))[:, None]
        return ((shared + self.fc.bias / self.sizes.patches) * toward[:, None]).sum(2)


#: Any of them.
Network = OneImage | TwoImages | Linear
#: The models of Tab 4.1 that have a transformer, by the paper's names, and the linear one beside them.
NETWORKS = {"V": V, "H1": OneImage, "H2": H2, "H2L": H2L, "L": Linear}
