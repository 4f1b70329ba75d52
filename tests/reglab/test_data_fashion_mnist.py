"""The reader of Fashion-MNIST on small files, sound and damaged; and `images`, with the data and without."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reglab.data import ImageSet, fashion_mnist, garments, images, locate

NUM_TRAIN, NUM_TEST = 40, 20


def idx(magic: int, sizes: tuple[int, ...], body: bytes) -> bytes:
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + body


def image_bytes(num: int) -> bytes:
    """`num` pictures; every pixel of the i-th is i."""
    return idx(0x803, (num, 28, 28), b"".join(bytes([i]) * 784 for i in range(num)))


def label_bytes(num: int) -> bytes:
    return idx(0x801, (num,), bytes(i % 10 for i in range(num)))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], Path]:
    """Replaces the content of one file of a sound, small set."""
    monkeypatch.setenv("REGLAB_DATA", str(tmp_path))

    def write(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(gzip.compress(content))
        return tmp_path / name

    sound = (image_bytes(NUM_TRAIN), label_bytes(NUM_TRAIN), image_bytes(NUM_TEST), label_bytes(NUM_TEST))
    for name, content in zip(locate.FILES, sound, strict=True):
        write(name, content)
    return write


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the data."""
    monkeypatch.setenv("REGLAB_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(locate, "DEBIAN", tmp_path / "debian")
    return tmp_path / "empty"


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize(("train", "num"), [(True, NUM_TRAIN), (False, NUM_TEST)])
def test_reading_gives_brightness_labels_and_names(train: bool, num: int) -> None:
    data = fashion_mnist(train=train)
    assert data.images.shape == (num, 1, 28, 28)
    torch.testing.assert_close(data.images[:, 0, 5, 7], torch.arange(num) / 255)
    assert data.labels.tolist() == [i % 10 for i in range(num)]
    assert (data.classes[0], data.classes[9], data.source) == ("T-shirt/top", "Ankle boot", "Fashion-MNIST")


IMAGES, LABELS = locate.FILES[:2]
DAMAGED = {
    "another magic number": (IMAGES, idx(0x802, (NUM_TRAIN, 28, 28), b""), "0x00000802, not 0x00000803"),
    "entries of another type": (LABELS, idx(0xD01, (NUM_TRAIN,), bytes(160)), "0x00000d01, not 0x00000801"),
    "labels in place of images": (IMAGES, label_bytes(NUM_TRAIN), "0x00000801, not 0x00000803"),
    "empty": (IMAGES, b"", "magic number is 0x, not"),
    "header cut off": (IMAGES, image_bytes(NUM_TRAIN)[:10], "header is cut off"),
    "pictures of another size": (IMAGES, idx(0x803, (1, 32, 32), bytes(1024)), "1×32×32, not n×28×28"),
    "too few entries": (IMAGES, image_bytes(NUM_TRAIN)[:-1], f"promises 40×28×28 bytes, {40 * 784 - 1} follow"),
    "too many entries": (LABELS, label_bytes(NUM_TRAIN) + b"\0", "promises 40 bytes, 41 follow"),
    "fewer labels than pictures": (LABELS, label_bytes(NUM_TRAIN - 1), "40 pictures, .* 39 labels"),
    "a label too high": (LABELS, idx(0x801, (NUM_TRAIN,), bytes([10] * NUM_TRAIN)), "label 10, the highest is 9"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_with_the_cure(write: Callable[[str, bytes], Path], damage: str) -> None:
    name, content, message = DAMAGED[damage]
    path = write(name, content)
    with pytest.raises(ValueError, match=message) as caught:
        fashion_mnist(train=True)
    assert str(path) in str(caught.value)
    assert "python -m reglab.data fetch" in str(caught.value)


@pytest.mark.parametrize("content", [b"no gzip file", gzip.compress(image_bytes(NUM_TRAIN))[:-20], b""])
def test_a_broken_gzip_file_is_named_with_the_cure(write: Callable[[str, bytes], Path], content: bytes) -> None:
    path = write(IMAGES, b"")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged: .*\n.*python -m reglab\.data fetch") as caught:
        fashion_mnist(train=True)
    assert str(path) in str(caught.value)


def test_without_the_data_the_error_says_where_it_looked_and_how_to_get_it(nowhere: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"python -m reglab\.data fetch.*dataset-fashion-mnist") as caught:
        fashion_mnist(train=True)
    assert str(nowhere) in str(caught.value)


def is_balanced(data: ImageSet, num: int) -> bool:
    return data.labels.bincount().tolist() == [num // 10] * 10


@pytest.mark.usefixtures("write")
def test_images_are_a_balanced_shuffled_choice_of_the_real_data() -> None:
    train, test = images(num_train=30, num_test=20, seed=0)
    assert train.source == test.source == "Fashion-MNIST"
    assert is_balanced(train, 30)
    assert is_balanced(test, 20)
    which = (train.images[:, 0, 0, 0] * 255).round().long()
    assert len(which.unique()) == 30, "drawn without replacement"
    assert which.remainder(10).equal(train.labels), "pictures and labels stay together"
    again, other = (images(num_train=30, num_test=20, seed=seed)[0] for seed in (0, 1))
    assert again.images.equal(train.images)
    assert not other.images.equal(train.images)


@pytest.mark.usefixtures("write")
def test_more_images_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 pictures a class are wanted, Fashion-MNIST has 2"):
        images(num_train=40, num_test=30, seed=0)


@pytest.mark.usefixtures("nowhere")
def test_without_the_data_images_are_garments_and_none_is_in_both_sets() -> None:
    train, test = images(num_train=30, num_test=20, seed=3)
    assert train.source == test.source == "garments"
    assert is_balanced(train, 30)
    assert is_balanced(test, 20)
    assert train.images.equal(garments(3, seed=6).images)
    both = torch.cat([train.images, test.images, images(num_train=30, num_test=20, seed=4)[0].images]).flatten(1)
    assert len(both.unique(dim=0)) == len(both)


@pytest.mark.parametrize("nums", [(0, 10), (10, 15), (-10, 10)])
def test_numbers_that_cannot_be_shared_among_ten_classes_are_refused(nums: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiple of 10"):
        images(num_train=nums[0], num_test=nums[1], seed=0)


def test_the_real_data_where_debian_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    if not locate.DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    monkeypatch.setenv("REGLAB_DATA", str(locate.DEBIAN))
    test = fashion_mnist(train=False)
    assert is_balanced(test, 10_000)
    # Mean and deviation of the test pictures as measured by many others: 0.2868 and 0.3524.
    assert test.images.mean().item() == pytest.approx(0.2868, abs=1e-3)
    assert test.images.std().item() == pytest.approx(0.3524, abs=1e-3)
