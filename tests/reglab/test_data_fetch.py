"""`fetch` against a server on this machine; the files are small, their checksums handed in."""

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reglab.data import locate
from reglab.data.__main__ import main
from reglab.data.fetch import SHA256, FetchError, fetch

CONTENT = {name: f"content of {name}".encode() * 5000 for name in locate.FILES}
PACKED = {name: gzip.compress(content) for name, content in CONTENT.items()}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
LAST = locate.FILES[-1]


class Server(ThreadingHTTPServer):
    """Serves `files`; `cut` are sent by halves; `asked` records what was wanted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(PACKED)
        self.cut: set[str] = set()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name in self.server.cut else body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "fashion-mnist"


def files_in(folder: Path) -> dict[str, bytes]:
    """All that is in `folder`, hidden and unfinished files included."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_arrive(server: Server, folder: Path) -> None:
    fetch(folder, url=server.url, sha256=DIGESTS)
    assert files_in(folder) == PACKED
    assert [path.name for path in folder.iterdir() if path.is_dir()] == []


def test_a_second_call_asks_for_nothing(server: Server, folder: Path) -> None:
    fetch(folder, url=server.url, sha256=DIGESTS)
    server.asked.clear()
    fetch(folder, url=server.url + "/", sha256=DIGESTS)
    assert server.asked == []


def test_a_damaged_file_is_fetched_again_and_the_others_kept(server: Server, folder: Path) -> None:
    fetch(folder, url=server.url, sha256=DIGESTS)
    (folder / LAST).write_bytes(PACKED[LAST][:50])
    server.asked.clear()
    fetch(folder, url=server.url, sha256=DIGESTS)
    assert server.asked == [LAST]
    assert files_in(folder) == PACKED


def test_content_with_another_checksum_is_refused_and_nothing_of_it_left(server: Server, folder: Path) -> None:
    server.files[locate.FILES[0]] = gzip.compress(b"something else")
    with pytest.raises(FetchError, match=f"{locate.FILES[0]} is not the original file"):
        fetch(folder, url=server.url, sha256=DIGESTS)
    assert files_in(folder) == {}


def test_what_is_no_gzip_file_is_refused_too(server: Server, folder: Path) -> None:
    server.files[locate.FILES[0]] = b"<html>Please log in to this network</html>"
    with pytest.raises(FetchError, match="not the original file"):
        fetch(folder, url=server.url, sha256=DIGESTS)
    assert files_in(folder) == {}


def test_an_interrupted_transfer_leaves_whole_files_only_and_is_taken_up_again(server: Server, folder: Path) -> None:
    server.cut = {LAST}
    with pytest.raises(FetchError, match=rf"{LAST}: it ended after \d+ of {len(PACKED[LAST])} bytes"):
        fetch(folder, url=server.url, sha256=DIGESTS)
    assert files_in(folder) == {name: PACKED[name] for name in locate.FILES[:-1]}

    server.cut = set()
    server.asked.clear()
    fetch(folder, url=server.url, sha256=DIGESTS)
    assert server.asked == [LAST]
    assert files_in(folder) == PACKED


def test_a_missing_file_says_so(server: Server, folder: Path) -> None:
    del server.files[LAST]
    with pytest.raises(FetchError, match=f"{LAST}: HTTP Error 404"):
        fetch(folder, url=server.url, sha256=DIGESTS)


def test_without_a_network_the_error_names_address_cause_and_ways_out(server: Server, folder: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match=r"Connection refused\S*\n.*--url.*dataset-fashion-mnist"):
        fetch(folder, url=server.url, sha256=DIGESTS)
    assert files_in(folder) == {}


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line on a machine without the data, with the small files in place of the real ones."""
    monkeypatch.setenv("REGLAB_DATA", str(folder))
    monkeypatch.setattr(locate, "DEBIAN", folder.parent / "debian")
    return lambda *arguments: main(["fetch", *arguments], sha256=DIGESTS)


def test_command_line_fetches_once(
    server: Server, folder: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--url", server.url) == 0
    assert f"is now in {folder}" in capsys.readouterr().out
    assert locate.fashion_mnist() == folder
    server.asked.clear()
    assert run("--url", server.url) == 0
    assert f"is already in {folder}" in capsys.readouterr().out
    assert server.asked == []


def test_command_line_ends_with_1_and_one_message(
    server: Server, folder: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    server.files.clear()
    assert run("--url", server.url) == 1
    assert f"cannot fetch {server.url}/{locate.FILES[0]}" in capsys.readouterr().err


def test_command_line_says_so_where_the_folder_cannot_be_made(
    server: Server, folder: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder.parent.write_text("a file where a folder should be")
    assert run("--url", server.url) == 1
    assert f"cannot keep files in {folder}" in capsys.readouterr().err


def test_every_file_has_a_checksum_and_debians_copy_fits_them() -> None:
    assert set(SHA256) == set(locate.FILES)
    if not locate.DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    for name, digest in SHA256.items():
        assert hashlib.sha256(gzip.decompress((locate.DEBIAN / name).read_bytes())).hexdigest() == digest
