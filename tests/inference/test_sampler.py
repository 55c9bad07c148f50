"""Images of noise: each a function of its seed alone; blended, summed and walked through as the formulas say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

import i2i
from i2i.config import parse_setting
from i2i.data import files
from i2i.engine.config import compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import start
from i2i.errors import UserError
from i2i.inference import Sampler, load_sampler
from i2i.inference.latents import LatentSpace, lerp, slerp
from i2i.inference.runs import read_tensors
from i2i.inference.sampler import Pictures
from i2i.inference.samples import Grid, plan_samples, plan_strip, write_samples, write_strip
from i2i.nn import DCGANGeneratorConfig, InferencePolicy, MLPGeneratorConfig, build_noise_generator
from i2i.optim import Precision

SPACE = LatentSpace(20)
CODED = LatentSpace(6, "normal", (3, 2), 2)
FLAT = LatentSpace(20, "uniform")


def sampler_of(
    space: LatentSpace = SPACE, classes: tuple[str, ...] = (), channels: int = 3, dropout: float = 0.0
) -> Sampler:
    torch.manual_seed(0)
    config = DCGANGeneratorConfig(ngf=4, dropout=dropout, init="kaiming")
    network = build_noise_generator(config, space.width, channels, 8, len(classes))
    policy = InferencePolicy(dropout="sample" if dropout else "off")
    return Sampler(network, space, classes=classes, channels=channels, size=8, policy=policy, precision=Precision())


def test_noise_follows_from_the_seed_alone() -> None:
    together = CODED.draw([5, 0, 2**63 - 1])
    np.testing.assert_array_equal(CODED.draw([2**63 - 1, 7, 5])[[2, 0]], together[[0, 2]])
    assert len({tuple(vector) for vector in CODED.draw(range(100))}) == 100


def test_noise_is_the_same_everywhere() -> None:
    """Recorded once: who types a seed gets the image that another showed."""
    np.testing.assert_array_equal(
        LatentSpace(3).draw([1])[0], np.array([-0.64197135, 0.034321245, -0.014448375], np.float32)
    )


@pytest.mark.parametrize(("space", "std", "end"), [(SPACE, 1.0, 6.0), (FLAT, 1 / np.sqrt(3), 1.0)])
def test_noise_has_the_priors_distribution(space: LatentSpace, std: float, end: float) -> None:
    values = space.draw(range(1000))
    assert abs(values.mean()) < 0.03
    assert values.std() == pytest.approx(std, rel=0.02)
    assert np.abs(values).max() <= end


def test_codes_are_one_hot_and_uniform() -> None:
    vectors = CODED.draw(range(2000))
    assert vectors.shape == (2000, 6 + 3 + 2 + 2)
    for places, size in ((slice(6, 9), 3), (slice(9, 11), 2)):
        assert set(vectors[:, places].ravel()) == {0, 1}
        np.testing.assert_array_equal(vectors[:, places].sum(axis=1), 1)
        np.testing.assert_allclose(vectors[:, places].mean(axis=0), 1 / size, atol=0.04)
    assert np.abs(vectors[:, 11:]).max() <= 1
    assert vectors[:, 11:].std() == pytest.approx(1 / np.sqrt(3), rel=0.05)


def test_truncation_redraws_what_lies_beyond() -> None:
    whole, cut = CODED.draw(range(500)), CODED.draw(range(500), 0.7)
    within = np.abs(whole[:, :6]) <= np.float32(0.7)
    assert np.abs(cut[:, :6]).max() <= np.float32(0.7)
    np.testing.assert_array_equal(cut[:, :6][within], whole[:, :6][within])
    np.testing.assert_array_equal(cut[:, 6:], whole[:, 6:])
    # the standard deviation of N(0, 1) between -t and t is sqrt(1 - 2 t phi(t) / (2 Phi(t) - 1))
    assert cut[:, :6].std() == pytest.approx(0.3918, rel=0.03)
    np.testing.assert_array_equal(CODED.draw([9], 0.7), CODED.draw([8, 9], 0.7)[1:])


@pytest.mark.parametrize(("space", "bound"), [(FLAT, 0.5), (SPACE, 0.0), (SPACE, -1.0), (SPACE, float("nan"))])
def test_what_cannot_be_truncated_is_refused(space: LatentSpace, bound: float) -> None:
    with pytest.raises(UserError, match="--truncation"):
        space.draw([0], bound)


def test_slerp_turns_one_vector_into_the_other() -> None:
    """Against a rotation in the plane of both: angle and length change as they should, nothing else does."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50)).astype(np.float32)
    share = np.linspace(0, 1, 9)
    points = slerp(a, b, share)
    np.testing.assert_array_equal(points[[0, -1]], [a, b])

    unit_a, unit_b = (v / np.linalg.norm(v) for v in (a.astype(float), b.astype(float)))
    angle = np.arctan2(np.linalg.norm(unit_b - (unit_a @ unit_b) * unit_a), unit_a @ unit_b)
    across = unit_b - (unit_a @ unit_b) * unit_a
    across /= np.linalg.norm(across)
    equal = slerp(unit_a.astype(np.float32), unit_b.astype(np.float32), share)
    expected = np.cos(share * angle)[:, None] * unit_a + np.sin(share * angle)[:, None] * across
    np.testing.assert_allclose(equal, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(equal, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(lerp(a, b, share)[4]) < 0.8 * np.linalg.norm(points[4])


@pytest.mark.parametrize("factor", [2.0, -0.5, 0.0])
def test_slerp_of_one_direction_is_the_straight_line(factor: float) -> None:
    a = np.arange(1, 4, dtype=np.float32)
    share = np.linspace(0, 1, 3)
    np.testing.assert_array_equal(slerp(a, np.float32(factor) * a, share), lerp(a, np.float32(factor) * a, share))


def test_the_path_follows_the_prior_unless_told() -> None:
    for space, expected in ((SPACE, slerp), (FLAT, lerp)):
        a, b = space.draw([1, 2])
        np.testing.assert_array_equal(space.between(a, b, 5), expected(a, b, np.linspace(0, 1, 5)))
    a, b = CODED.draw([1, 2])
    blended = CODED.between(a, b, 5)
    np.testing.assert_array_equal(blended[:, 6:], lerp(a, b, np.linspace(0, 1, 5))[:, 6:])
    np.testing.assert_array_equal(CODED.between(a, b, 5, "linear"), lerp(a, b, np.linspace(0, 1, 5)))


def test_arithmetic_sums_the_noise_alone() -> None:
    vectors = CODED.draw([3, 7, 12])
    total = CODED.total([1, -1, 1], vectors)
    np.testing.assert_allclose(total[:6], vectors[0, :6] - vectors[1, :6] + vectors[2, :6], atol=1e-6)
    np.testing.assert_array_equal(total[6:], vectors[0, 6:])


@pytest.mark.parametrize(
    ("axis", "changed", "values"),
    [("4", 4, (-2, 0, 2)), ("c2", 11, (-2, 0, 2)), ("c3", 12, (-2, 0, 2))],
)
def test_traversal_changes_one_value_alone(axis: str, changed: int, values: tuple[float, ...]) -> None:
    (vector,) = CODED.draw([1])
    walk = CODED.traverse(axis, vector, 3)
    np.testing.assert_array_equal(walk[:, changed], values)
    np.testing.assert_array_equal(np.delete(walk, changed, 1), np.delete(np.tile(vector, (3, 1)), changed, 1))


def test_traversal_goes_through_categories() -> None:
    (vector,) = CODED.draw([1])
    for axis, places in (("c0", range(6, 9)), ("c1", range(9, 11))):
        walk = CODED.traverse(axis, vector)
        np.testing.assert_array_equal(walk[:, places], np.eye(len(places)))
        np.testing.assert_array_equal(
            np.delete(walk, places, 1), np.delete(np.tile(vector, (len(places), 1)), places, 1)
        )
        assert CODED.is_categorical(axis)
    assert not CODED.is_categorical("c2")


def test_traversal_keeps_to_uniform_noise() -> None:
    np.testing.assert_array_equal(FLAT.traverse("0", FLAT.draw([1])[0], 3)[:, 0], [-1, 0, 1])


@pytest.mark.parametrize("axis", ["6", "-1", "c4", "c", "1.5", "", "٣"])
def test_axes_that_are_not_there(axis: str) -> None:
    with pytest.raises(UserError, match="has the axes 0 to 5, and the codes c0, c1, c2, c3"):
        CODED.traverse(axis, CODED.draw([1])[0])


def test_a_categorical_code_has_its_own_number_of_steps() -> None:
    with pytest.raises(UserError, match="3 categories; leave --steps out"):
        CODED.traverse("c0", CODED.draw([1])[0], 5)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_images_are_the_same_whatever_is_made_with_them(dropout: float) -> None:
    sampler = sampler_of(dropout=dropout)
    seeds = list(range(37))
    images = sampler.sample(seeds)
    assert images.dtype == np.uint8
    assert images.shape == (37, 8, 8, 3)
    assert images.std() > 5
    assert len(np.unique(images.reshape(37, -1), axis=0)) == 37
    np.testing.assert_array_equal(sampler.sample(seeds[::-1])[::-1], images)
    for cut in (1, 5, 20):
        parts = [sampler.sample(seeds[at : at + cut]) for at in range(0, 37, cut)]
        np.testing.assert_array_equal(np.concatenate(parts), images)


def test_floats_do_not_depend_on_the_batch_either() -> None:
    """With layers wide enough that matrix products round otherwise at other sizes of a batch."""
    space = LatentSpace(100)
    torch.manual_seed(0)
    network = build_noise_generator(MLPGeneratorConfig(), 100, 1, 28)
    sampler = Sampler(network, space, channels=1, size=28, policy=InferencePolicy(), precision=Precision())
    vectors = torch.from_numpy(space.draw(range(37)))
    images = sampler.forward(vectors)
    for at, count in ((0, 1), (30, 3), (36, 1), (10, 20)):
        assert torch.equal(images[at : at + count], sampler.forward(vectors[at : at + count]))


def test_torchs_own_draws_go_on_as_if_nothing_had_been() -> None:
    sampler = sampler_of(dropout=0.5)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    sampler.sample([1])
    assert torch.equal(torch.rand(1), expected)


def test_classes_by_name_and_number() -> None:
    sampler = sampler_of(classes=("cat", "dog", "0"))
    by_name = sampler.sample([4, 4, 4], ["cat", "dog", "0"])
    np.testing.assert_array_equal(by_name, sampler.sample([4, 4, 4], [0, 1, 2]))
    assert [sampler.label_of(name) for name in ("cat", "dog", "0", "1", 0)] == [0, 1, 2, 1, 0]
    assert len(np.unique(by_name.reshape(3, -1), axis=0)) == 3
    with pytest.raises(UserError, match="there is no class 'dogs'; did you mean 'dog', or a number from 0 to 2"):
        sampler.sample([0], ["dogs"])
    with pytest.raises(UserError, match="there is no class '3'"):
        sampler.sample([0], [3])
    with pytest.raises(UserError, match="name those to make: cat, dog, 0"):
        sampler.sample([0])
    with pytest.raises(UserError, match="has no classes; leave --classes out"):
        sampler_of().sample([0], [0])


@pytest.mark.parametrize(("seeds", "labels"), [([], []), ([1, 2], [0]), ([1], [0, 0])])
def test_seeds_and_labels_come_in_pairs(seeds: list[int], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="labels"):
        sampler_of(classes=("cat", "dog")).sample(seeds, labels)


def test_interpolation_ends_at_the_seeds_own_images() -> None:
    for space in (SPACE, FLAT, CODED):
        sampler = sampler_of(space)
        way = sampler.interpolate(3, 7, 6)
        assert len(way) == 6
        np.testing.assert_array_equal(way[[0, -1]], sampler.sample([3, 7]))
    labelled = sampler_of(classes=("cat", "dog"))
    np.testing.assert_array_equal(
        labelled.interpolate(3, 7, 6, label="dog")[[0, -1]], labelled.sample([3, 7], ["dog"] * 2)
    )


def test_arithmetic_shows_its_operands_and_what_cancels_is_gone() -> None:
    sampler = sampler_of()
    images = sampler.arithmetic([(1, 3), (-1, 3), (1, 12)])
    np.testing.assert_array_equal(images[:3], sampler.sample([3, 3, 12]))
    np.testing.assert_array_equal(images[3], images[2])


def test_a_traversal_is_that_of_the_seed() -> None:
    sampler = sampler_of(CODED)
    (vector,) = CODED.draw([5])
    np.testing.assert_array_equal(sampler.traverse("c0", 5), sampler.render(CODED.traverse("c0", vector)))


def test_bf16_is_close() -> None:
    plain = sampler_of()
    fast = Sampler(
        plain.network, SPACE, channels=3, size=8, policy=InferencePolicy(), precision=Precision("bf16")
    ).sample([1])
    assert np.abs(fast.astype(int) - plain.sample([1])).mean() < 5


class OutOfMemory(nn.Module):
    def forward(self, vectors: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_memory_that_does_not_suffice_is_explained() -> None:
    sampler = Sampler(OutOfMemory(), SPACE, channels=3, size=8, policy=InferencePolicy(), precision=Precision())
    with pytest.raises(UserError, match="cpu has not enough memory for 16 images of 8 pixels; try --precision bf16"):
        sampler.sample([1])


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_grids_show_every_image_in_its_place(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 7, channels), np.uint8)
    grid = Grid(2, 3, (5, 7, channels))
    for index, image in enumerate(images):
        grid.put(index, image)
    shown = 3 if channels >= 3 else 1
    assert grid.picture.shape == (2 + 2 * 7, 2 + 3 * 9, shown)
    np.testing.assert_array_equal(grid.picture[9:14, 11:18], images[4, ..., :shown])
    assert (grid.picture[7:9] == 255).all()


def test_a_grid_that_is_too_large_is_refused_before_the_work(tmp_path: Path) -> None:
    sampler = sampler_of()
    with pytest.raises(UserError, match="a grid of 1000 x 1000 images of 8x8 would have 10,002 x 10,002 pixels"):
        plan_samples(sampler, tmp_path / "grid.png", range(1_000_000), [], None, False)
    labelled = sampler_of(classes=("cat", "dog"))
    with pytest.raises(UserError, match="a grid of 2 x 5000 images"):
        plan_samples(labelled, tmp_path / "out", range(5000), [0, 1], tmp_path / "grid.png", False)
    plan = plan_samples(labelled, tmp_path / "out", range(50_000), [0, 1], None, False)
    assert plan.count == 100_000
    assert not any(tmp_path.iterdir())


def test_the_images_of_many_seeds_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = sampler_of()
    asked: list[int] = []
    sample = sampler.sample

    def counted(seeds: list[int], *rest: Any) -> Pictures:
        asked.append(len(seeds))
        return sample(seeds, *rest)

    monkeypatch.setattr(sampler, "sample", counted)
    told: list[tuple[int, int]] = []
    plan = plan_samples(sampler, tmp_path / "out", range(10, 180), [], tmp_path / "all.png", False)
    write_samples(sampler, plan, progress=lambda done, total: told.append((done, total)))
    assert asked == [64, 64, 42]
    assert told == [(64, 170), (128, 170), (170, 170)]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"seed_{seed:05d}.png" for seed in range(10, 180)]
    picture = files.read(tmp_path / "out" / "seed_00179.png")
    np.testing.assert_array_equal(picture, sample([179])[0])
    whole = files.read(tmp_path / "all.png")
    assert whole.shape == (2 + 13 * 10, 2 + 14 * 10, 3)
    np.testing.assert_array_equal(
        whole[2 + 12 * 10 : 10 + 12 * 10, 12:20], picture
    )  # the last of 170 is the 2nd of row 13


def test_class_names_become_file_names(tmp_path: Path) -> None:
    for classes, expected in (
        (("T-shirt/top", "été"), ["seed_00000_T-shirt-top.png", "seed_00000_été.png"]),
        (("a/b", "A b", "c"), ["seed_00000_0.png", "seed_00000_1.png", "seed_00000_2.png"]),  # two would be one
    ):
        sampler = sampler_of(classes=classes)
        folder = tmp_path / str(len(classes))
        write_samples(sampler, plan_samples(sampler, folder, [0], range(len(classes)), None, False))
        assert sorted(path.name for path in folder.iterdir()) == expected


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    sampler = sampler_of()
    out, grid = tmp_path / "out", tmp_path / "grid.png"
    write_samples(sampler, plan_samples(sampler, out, [1, 2], [], grid, False))
    with pytest.raises(UserError, match=r"grid.png: exists already"):
        plan_samples(sampler, grid, [1], [], None, False)
    with pytest.raises(UserError, match=r"seed_00002.png: exists already \(1 such\); add --overwrite"):
        plan_samples(sampler, out, [2, 3], [], None, False)
    plan_samples(sampler, out, [3, 4], [], None, False)
    plan_samples(sampler, out, [2, 3], [], grid, True)
    for path in plan_strip(tmp_path / "walk.png", False, True):
        assert path is not None
        path.touch()
        with pytest.raises(UserError, match=f"{path.name}: exists already"):
            plan_strip(tmp_path / "walk.png", False, True)
        path.unlink()


@pytest.mark.parametrize(
    ("output", "grid", "reason"),
    [
        ("file/out", None, "is a file"),
        ("file", None, "is a file"),
        ("file/grid.png", None, "is a file"),
        ("grid.xyz", None, "'.xyz' is no format to write"),
        ("grid.gif", None, "'.gif' is no format to write"),
        ("grid.png", "other.png", "is a grid already"),
        ("out", "other", "must be that of an image"),
        ("out", "out/seed_00001.png", "is named as single files are"),
    ],
)
def test_useless_outputs_are_refused(output: str, grid: str | None, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=reason):
        plan_samples(sampler_of(), tmp_path / output, [1], [], tmp_path / grid if grid else None, True)


def test_strips_break_into_rows_and_gifs_come_back(tmp_path: Path) -> None:
    pictures = sampler_of(channels=1).interpolate(1, 2, 25)
    strip, gif = plan_strip(tmp_path / "new" / "walk.gif", False, True)
    assert gif is not None
    write_strip(pictures, strip, gif)
    assert files.read(strip).shape == (2 + 2 * 10, 2 + 20 * 10, 1)
    with Image.open(gif) as animation:
        assert animation.info["loop"] == 0
        frames = []
        for frame in range(getattr(animation, "n_frames", 1)):
            animation.seek(frame)
            frames.append(np.asarray(animation.convert("L")))
    there_and_back = [*pictures[..., 0], *pictures[-2:0:-1, ..., 0]]
    distinct = [a for a, b in zip(there_and_back, [None, *there_and_back], strict=False) if not np.array_equal(a, b)]
    np.testing.assert_array_equal(frames, distinct)  # GIFs show equal frames as one, for longer


TINY_GAN = """
method: {name: gan, latent: 8, generator: {name: mlp, hidden: [16]}, discriminator: {name: mlp, hidden: [16]}}
data: {image_size: 8, workers: 0, val_share: 0.25, batch_size: 4}
train: {steps: 2, device: cpu, precision: fp32, validate_every: 2, log_every: 1}
"""


@pytest.fixture
def tiny_gan(tmp_path: Path, photos: Callable[..., Path], quiet: Console) -> Callable[..., Outcome]:
    """Return a function that trains a tiny GAN on class folders, in a named folder."""
    preset = tmp_path / "gan.yaml"
    preset.write_text(TINY_GAN)
    for name in ("cat", "dog"):
        photos(4, 8, f"animals/{name}")

    def train(name: str, *settings: str) -> Outcome:
        config, source = compose(str(preset), str(tmp_path / "animals"), [parse_setting(text) for text in settings])
        return start(config, source, quiet, tmp_path / name)

    return train


def test_it_computes_what_the_checkpoint_holds(tiny_gan: Callable[..., Outcome], tmp_path: Path) -> None:
    """An independent forward of the recorded weights, averaged ones first, gives the same pictures."""
    outcome = tiny_gan("run", "method.conditional=true", "train.ema=0.5")
    sampler = load_sampler(tmp_path / "run", device="cpu")
    assert sampler.classes == ("cat", "dog")
    assert "averaged weights" in sampler.describe()
    weights = read_tensors(outcome.checkpoint / "G_ema.safetensors")
    other = read_tensors(outcome.checkpoint / "G.safetensors")
    assert any(not torch.equal(weights[name], other[name]) for name in weights)
    linear = [weights["layers.0.linear.weight"], weights["head.linear.weight"]]
    x = torch.cat([torch.from_numpy(sampler.space.draw([5])), torch.tensor([[0.0, 1.0]])], dim=1) @ linear[0].T
    norm = {name.rsplit(".", 1)[1]: tensor for name, tensor in weights.items() if "norm" in name}
    x = (x - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt() * norm["weight"] + norm["bias"]
    x = torch.nn.functional.leaky_relu(x, 0.2) @ linear[1].T + weights["head.linear.bias"]
    expected = ((x.tanh().reshape(3, 8, 8) + 1) * 127.5).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(sampler.sample([5], ["dog"])[0], expected, atol=0.51)


def test_the_codes_of_a_run_are_known(tiny_gan: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny_gan("run", "method.name=infogan", "method.categories=[3,2]", "method.continuous=1", "method.latent=9")
    sampler = load_sampler(tmp_path / "run", device="cpu")
    assert sampler.space == LatentSpace(9, "normal", (3, 2), 1)
    assert sampler.classes == ()
    assert sampler.traverse("c1").shape == (2, 8, 8, 3)


def test_models_of_the_other_kind_name_the_other_command(
    tiny: Callable[..., Outcome], tiny_gan: Callable[..., Outcome], tmp_path: Path
) -> None:
    tiny("translates", "train.steps=1")
    with pytest.raises(UserError, match=r"translates images; type: i2i translate INPUT OUTPUT --model .*translates"):
        load_sampler(tmp_path / "translates")
    tiny_gan("samples", "train.steps=1")
    with pytest.raises(UserError, match=r"makes images of noise and translates none; type: i2i sample .*samples"):
        i2i.load(tmp_path / "samples")
