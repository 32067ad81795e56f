"""Model cards from a command: the facts of a file, what its model gains on photos, and the cards that are shipped."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
from math import prod

import pytest
from conftest import BUNDLED, QUERIES, ROOT
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_crossimage import published_state, write

from demo.cli import card, main
from demo.cli.options import repeated
from demo.crossimage import save_model
from demo.crossimage.checkpoint import description
from demo.crossimage.facts import facts_of
from demo.crossimage.networks import NETWORKS, Sizes
from demo.errors import BadSetting
from demo.methods import METHODS, method_with
from demo.settings import settings
from demo.weights import sha256

ASSETS = ROOT / "assets"
ALPHA = r"(\d(?:\.\d+)?)"
#: Card → its models, each with how the card says its α.
CARDS = {
    "h2l-mobilefacenet": {"h2l-mobilefacenet": rf"H2L, α = {ALPHA} in Eq. 5.1"},
    "h1-h2-mobilefacenet": {"h1-mobilefacenet": rf"\n\| H1, α = {ALPHA} \|",
                            "h2-mobilefacenet": rf"\n\| H2, α = {ALPHA} \|"},
    "l-mobilefacenet": {"l-mobilefacenet": rf"by Eq. 5.1 with α = {ALPHA}"},
    "h2l-dlib": {"h2l-dlib": rf"\nα = {ALPHA} was chosen"},
    "h1-h2-dlib": {"h1-dlib": rf"α \({ALPHA} and [\d.]+\) was", "h2-dlib": rf"α \([\d.]+ and {ALPHA}\) was"},
}
MODELS = [(name, model) for name, models in CARDS.items() for model in models]
#: Of the stored numbers those that were measured, not learned.
MEASURED = ("patch_mean", "place")
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}


def shapes(path) -> dict[str, list[int]]:
    """The tensors of a file by themselves, without anything of the package."""
    with safe_open(path, "pt") as file:
        return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)


def ask(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# --- facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [model for _, model in MODELS])
def test_the_facts_are_those_of_the_tensors(model):
    path = ASSETS / f"{model}.safetensors"
    facts, stored = facts_of(path), shapes(path)
    assert facts.numbers == sum(map(prod, stored.values()))
    assert facts.parameters == sum(prod(shape) for key, shape in stored.items() if key not in MEASURED)
    assert (facts.size, facts.sha256, facts.precision) == (path.stat().st_size, sha256(path), ("half",))
    assert (facts.kind.lower(), facts.backbone) == tuple(model.split("-"))
    assert facts.backbone_fits and not facts.published
    assert stored["patch_mean"][-1] == facts.sizes.channels and stored["project.weight"][0] == facts.sizes.dim
    blocks = {key.split(".")[2] for key in stored if key.startswith("transformer.layers.")}
    if facts.kind == "L":
        assert not blocks and stored["fc.weight"] == [facts.sizes.output, facts.sizes.rows * facts.sizes.dim]
        return
    assert len(blocks) == facts.sizes.depth
    qkv = next(shape for key, shape in stored.items() if key.endswith("to_qkv.weight"))
    assert qkv[0] == 3 * facts.sizes.heads * facts.sizes.dim_head
    if facts.kind == "H2L":
        patches = prod(facts.grid)
        assert stored["fc1.weight"] == [facts.sizes.output, patches * facts.sizes.squeeze]


def test_every_model_that_is_shipped_has_its_card_here():
    found = {path.stem for path in ASSETS.glob("*.safetensors") if description(path)}
    assert found == {model for _, model in MODELS}


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_the_shipped_card_states_what_the_command_says(name, model, capsys):
    text = (ASSETS / f"{name}.md").read_text(encoding="utf-8")
    plain = " ".join(text.split())
    status, out, _ = ask(capsys, "weights", "card", ASSETS / f"{model}.safetensors", "--json")
    facts = json.loads(out)["facts"]
    assert status == 0 and json.loads(out)["measured"] is None
    named = rf"{facts['kind']}\s+" if len(CARDS[name]) > 1 else r"SHA-256:\s+"
    assert re.search(rf"\b{named}{facts['sha256']}\b", text), "the card has another hash"
    assert facts["file"] in plain.partition("SHA-256")[0]
    size, parameters = re.search(r"([\d.]+) MB(?: each)?, half precision, ([\d.]+) million parameters", plain).groups()
    assert (float(size), float(parameters)) == (round(facts["size"] / 1e6, 1), round(facts["parameters"] / 1e6, 2))
    assert float(re.search(CARDS[name][model], text)[1]) == facts["alpha"]
    rows, cols = re.search(r"(\d) ?[x×] ?(\d) (?:last )?patches", plain).groups()
    assert facts["grid"] == f"{rows}x{cols}"
    if facts["kind"] == "L":
        assert int(re.search(r"(\d+) thousand numbers", plain)[1]) == round(facts["numbers"] / 1000)
        return
    depth, heads = re.search(r"(\w+) pre-LayerNorm block\w?, (\w+) heads?", plain).groups()
    sizes = facts["sizes"]
    assert (NUMBERS[depth], NUMBERS[heads]) == (sizes["depth"], sizes["heads"])
    assert int(re.search(r"feed-forward (?:layer of )?(\d+)", plain)[1]) == sizes["hidden"]
    assert int(re.search(r"projected to (\d+)", plain)[1]) == sizes["dim"]
    if facts["kind"] == "H2L":
        assert int(re.search(r"(\d+) numbers per patch", plain)[1]) == sizes["squeeze"]
        assert int(re.search(r"linear layer per face to (\d+)", plain)[1]) == sizes["output"]


def test_the_markdown_says_the_same(capsys):
    path = ASSETS / "h2l-mobilefacenet.safetensors"
    out = ask(capsys, "weights", "card", path)[1]
    assert out.startswith("# Model card: H2L on MobileFaceNet\n") and sha256(path) in out
    for told in ("2.2 MB, half precision, 1.07 million parameters", "α = 0.3", "1 block of 1 head of 32 numbers",
                 "1,096,496 numbers, 1,071,408 of them learned", "the weights that are used here",
                 "7×7, of 512 numbers", "the query, or the first photo, as the first face",
                 "48 numbers per patch kept, one of 192"):
        assert told in out, told
    assert "Measured" not in out
    assert "sees one face at a time" in ask(capsys, "weights", "card", ASSETS / "l-mobilefacenet.safetensors")[1]


def test_a_model_of_other_sizes_and_another_grid(backbone, tmp_path, capsys):
    sizes = Sizes(depth=3, heads=2, dim=64, dim_head=16, hidden=96, output=40, patches=16, channels=128, faithful=False,
                  squeeze=24)
    path = tmp_path / "own.safetensors"
    save_model(path, "H2L", NETWORKS["H2L"](sizes), backbone, alpha=0.15, grid=(4, 4))
    facts = facts_of(path)
    assert facts.sizes == sizes and (facts.alpha, facts.grid, facts.both_orders) == (0.15, (4, 4), True)
    assert facts.numbers == sum(map(prod, shapes(path).values()))
    out = ask(capsys, "weights", "card", path)[1]
    for told in ("3 blocks of 2 heads of 16 numbers; tokens of 64, feed-forward 96", "α = 0.15", "both, averaged",
                 "4×4, of 128 numbers", "24 numbers per patch kept, one of 40"):
        assert told in out, told


def test_weights_of_a_backbone_that_are_others_or_not_here(tmp_path):
    source = ASSETS / "h1-mobilefacenet.safetensors"
    changed = described(source, tmp_path / "other.safetensors", backbone_sha256="0" * 64)
    assert facts_of(changed).backbone_fits is False
    missing = described(source, tmp_path / "arc.safetensors", backbone="arcface", backbone_sha256="0" * 64)
    assert facts_of(missing, tmp_path).backbone_fits is None


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "depth"), [("H2L", 2), ("V", 1)])
def test_a_published_checkpoint_says_what_its_tensors_show(kind, depth, tmp_path, capsys):
    state = published_state(kind, depth=depth, heads=4)
    facts = facts_of(path := write(tmp_path / "best.pth", state))
    assert (facts.kind, facts.published, facts.precision, facts.alpha) == (kind, True, ("single",), 0.7)
    assert facts.numbers == sum(value.numel() for value in state.values() if value.is_floating_point())
    assert (facts.sizes.depth, facts.sizes.heads, facts.sizes.dim) == (depth, 4, 512)
    left_out = ("running_", "loss.") + (("mlp_head.",) if kind == "H2L" else ())
    assert facts.parameters == sum(value.numel() for key, value in state.items()
                                   if value.is_floating_point() and not any(part in key for part in left_out))
    assert "which comes in the file" in ask(capsys, "weights", "card", path)[1]


# --- wrong files -------------------------------------------------------------------------------------------------


def described(source, path, **changes):
    """A copy with another description."""
    save_file(load_file(source), path, metadata=description(source) | changes)
    return path


H1 = ASSETS / "h1-mobilefacenet.safetensors"


@pytest.mark.parametrize(("make", "says"), [
    (lambda path: ASSETS / "mobilefacenet.safetensors", "it holds the weights of MobileFaceNet"),
    (lambda path: ASSETS / "visibility-mobilefacenet.safetensors", "it has no transformer"),
    (lambda path: path, "There is no weights file"),
    (lambda path: QUERIES / "person-002" / "04.jpg", "cannot be read as a checkpoint"),
    (lambda path: path.write_bytes(H1.read_bytes()[:-1000]) and path, "truncated"),
    (lambda path: described(H1, path, kind="H3"), "description cannot be read"),
    (lambda path: described(H1, path, kind="H2L"), "missing"),
    (lambda path: described(H1, path, alpha="much"), "does not say how its distance is used"),
    (lambda path: described(H1, path, backbone="eigenfaces"), "a backbone that is not known here, 'eigenfaces'"),
], ids=["backbone", "visibility", "missing", "photo", "cut", "kind", "tensors", "alpha", "unknown"])
def test_a_file_that_is_no_such_model_is_one_sentence(make, says, tmp_path, capsys):
    status, out, err = ask(capsys, "weights", "card", make(tmp_path / "own.safetensors"))
    assert (status, out) == (2, "") and says in err and err.count("\n") == 1 and "Traceback" not in err


def test_what_cannot_be_measured_is_one_sentence(tmp_path, capsys):
    other = described(H1, tmp_path / "other.safetensors", backbone_sha256="0" * 64)
    photos = ["--queries", QUERIES]
    for file, further, says in ((H1, ["--limit", 3], "--limit has no use"),
                                (H1, ["--occlude", "mask"], "--occlude has no use"),
                                (H1, [*photos, "--backbone", "dlib"], "the mobilefacenet backbone, not on dlib"),
                                (other, photos, "trained on other weights of the mobilefacenet backbone")):
        status, out, err = ask(capsys, "weights", "card", file, *further)
        assert (status, out) == (2, "") and says in err.splitlines()[-1], err


# --- measured ----------------------------------------------------------------------------------------------------


@pytest.fixture
def few(people, tmp_path):
    """A gallery of four people, and two query photos of two of them and one of somebody who is not there."""
    for person in ("person-002", "person-004", "person-032"):
        (tmp_path / "queries" / person).mkdir(parents=True)
        photo = sorted((QUERIES / person).glob("*.jpg"))[0]
        shutil.copy(photo, tmp_path / "queries" / person / photo.name)
    return people, tmp_path / "queries"


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Call it for an empty cache: what was measured before is not looked up."""
    def fresh(name: str) -> None:
        monkeypatch.setenv("DEMO_CACHE", str(tmp_path / name))
        settings.cache_clear()

    yield fresh
    settings.cache_clear()


@pytest.mark.slow
def test_the_table_is_what_evaluate_finds(caches, capsys):
    """A few bundled queries, computed twice: the other cache knows nothing of the first."""
    file, word = ASSETS / "h2l-mobilefacenet.safetensors", method_with("H2L").word
    asked = ["--gallery", BUNDLED, "--queries", QUERIES, "--limit", 6, "--k", 30, "--seed", 4, "--jobs", 1, "--json"]
    caches("card")
    measured = json.loads(ask(capsys, "weights", "card", file, *asked, "--occlude", "none", "mask")[1])["measured"]
    caches("evaluate")
    assert [kind["occlusion"] for kind in measured["kinds"]] == [None, "mask"] and measured["k"] == 30
    for kind in measured["kinds"]:
        further = ["--occlude", kind["occlusion"]] if kind["occlusion"] else []
        status, out, _ = ask(capsys, "evaluate", "--stage2", word, "--stage2-weights", file, *asked, *further)
        found = json.loads(out)
        assert status == 0 and found["queries"] == kind["queries"] == 6 and not found["cached"]
        for name in ("stage1", "stage2", "gallery", "metrics", "left_out", "skipped"):
            assert kind[name] == found[name], name
        [mine], [theirs] = kind["settings"], found["settings"]
        assert {key: mine[key] for key in mine if key != "ms"} == {key: theirs[key] for key in theirs if key != "ms"}
    masked = measured["kinds"][1]
    assert masked["stage1"]["MAP@R"] < masked["stage2"]["MAP@R"]  # not all equal, and not for nothing
    assert masked["settings"][0]["gains"]["MAP@R"]["mean"] == pytest.approx(
        masked["stage2"]["MAP@R"] - masked["stage1"]["MAP@R"])


@pytest.mark.parametrize("flags", [
    [], ["--queries", "Q", "--limit", "3"], ["--exclude-source-photo"],
    ["--no-exclude-source-photo", "--metrics", "paper"],
    ["--backbone-option", "alignment=five-point", "--backbone-option", "flip=true"],
    ["--occlude", "none", "crop", "--framing", "kept", "--k", "5", "--detector", "hog"],
], ids=" ".join)
def test_flags_are_repeated_as_they_were_given(flags):
    parser = argparse.ArgumentParser()
    card.add(parser.add_subparsers())
    words = ["card", "FILE", *flags]
    parsed = parser.parse_args(words)
    inner = parsed.run.args[0]
    again = ["card", "FILE", *repeated(inner, parsed)]
    assert vars(parser.parse_args(again)) == vars(parsed) and sorted(again) == sorted(words)


def test_the_command_of_a_card_repeats_it(few, caches, capsys):
    gallery, queries = few
    caches("card")
    status, out, _ = ask(capsys, "weights", "card", H1, "--gallery", gallery, "--queries", queries, "--limit", 3,
                         "--jobs", 1, "--occlude", "sunglasses", "--no-exclude-source-photo")
    assert status == 0
    command = out.split("```\n")[1]
    assert shlex.split(command)[3:] == [
        "weights", "card", str(H1), "--gallery", str(gallery), "--queries", str(queries), "--limit", "3",
        "--no-exclude-source-photo", "--occlude", "sunglasses"]
    again = ask(capsys, *shlex.split(command)[3:], "--json")[1]
    [kind] = json.loads(again)["measured"]["kinds"]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("| sungl")]
    [setting] = kind["settings"]
    told = {"Stage 1": kind["stage1"]["intervals"], "H1, α = 0.3": setting["intervals"], "gained": setting["gains"]}
    for row, (name, values) in zip(rows, told.items(), strict=True):
        sign = "+" if name == "gained" else ""
        assert row == ["sunglasses", name, *(
            f"{one['mean']:{sign}.1f} ({one['low']:{sign}.1f} to {one['high']:{sign}.1f})" for one in values.values())]
    assert "Corrected metrics, k = 100." in out and "- skipped person-032/" in out
    assert "- sunglasses: 2 photos of 2 people against 8; a query's own photo was left out 0 times; 1 skipped" in out


def test_a_gallery_alone_leaves_one_out_and_nobody_known_is_told(few, caches, tmp_path, capsys):
    gallery, queries = few
    caches("card")
    out = ask(capsys, "weights", "card", ASSETS / "l-mobilefacenet.safetensors", "--gallery", gallery, "--jobs", 1,
              "--occlude", "none")[1]
    assert "- unaltered: 8 photos of 4 people against 8; a query's own photo was left out 8 times; 0 skipped" in out
    shutil.rmtree(queries / "person-002")
    shutil.rmtree(queries / "person-004")
    status, out, err = ask(capsys, "weights", "card", H1, "--gallery", gallery, "--queries", queries, "--jobs", 1)
    assert (status, out) == (2, "") and "No query could be used: No photo of person-032" in err.splitlines()[-1]


def test_a_model_of_every_kind_has_its_method():
    for method in METHODS.values():
        if method.trained:
            assert method_with(method.name) is method
    with pytest.raises(BadSetting, match="No method uses Model H3"):
        method_with("H3")
