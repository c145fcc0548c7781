"""Files from a mirror, the cache or the network, checked by hash; the network is this machine."""

import gc
import hashlib
import http.server
import re
import threading

import pooch
import pytest

from pipeline.errors import UserError
from pipeline.sources.download import Remote, fetch

CONTENTS = {"/A%20Book/1.txt": b"first", "/2.txt": b"second", "/3.txt": b"third"}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep downloads in a folder of the test, and let no retry wait."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda project: folder / project)
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("BAKEOFF_MIRROR", raising=False)
    return folder


@pytest.fixture
def server():
    """Serve CONTENTS, and note in `asked` what was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            content = CONTENTS.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def remotes(server):
    return [Remote(server.url + path, sha256(content)) for path, content in CONTENTS.items()]


def test_files_come_in_the_order_they_were_asked_for(server):
    paths = fetch(remotes(server)[::-1])

    assert [path.read_bytes() for path in paths] == [b"third", b"second", b"first"]


def test_the_second_time_the_cache_is_used(server):
    first = fetch(remotes(server))
    assert sorted(server.asked) == sorted(CONTENTS)

    assert fetch(remotes(server)) == first
    assert len(server.asked) == len(CONTENTS)


def test_what_lacks_in_the_cache_alone_is_fetched(server):
    fetch(remotes(server)[:1])

    fetch(remotes(server))

    assert sorted(server.asked) == sorted(CONTENTS)


def test_a_damaged_file_in_the_cache_is_fetched_again(server):
    (path,) = fetch(remotes(server)[:1])
    path.write_bytes(b"half")

    assert fetch(remotes(server)[:1])[0].read_bytes() == b"first"


def test_a_download_with_other_bytes_is_refused_and_not_kept(server, cache):
    url = server.url + "/2.txt"

    with pytest.raises(UserError, match="are not those that were expected") as caught:
        fetch([Remote(url, sha256(b"another"))])

    assert url in str(caught.value)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_file_that_the_server_lacks_is_reported_in_one_line(server):
    url = server.url + "/no.txt"

    with pytest.raises(UserError, match="cannot be downloaded") as caught:
        fetch([*remotes(server), Remote(url, sha256(b""))])

    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_download_that_fails_leaves_no_connection_open(server):
    with pytest.raises(UserError, match="cannot be downloaded"):
        fetch([Remote(f"{server.url}/no.txt", sha256(b""))])

    gc.collect()  # which warns of connections that nobody closed


def test_no_network_and_no_mirror_is_reported_in_one_line():
    # Nothing listens on port 9.
    with pytest.raises(UserError) as caught:
        fetch([Remote("http://127.0.0.1:9/1.txt", sha256(b"first"))])

    assert "http://127.0.0.1:9/1.txt cannot be downloaded" in str(caught.value)
    assert "BAKEOFF_MIRROR" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Return an empty mirror, which the environment names."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("BAKEOFF_MIRROR", str(folder))
    return folder


def mirrored(mirror, path, content):
    place = mirror / "127.0.0.1:9" / path
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    return place


def test_a_mirror_holds_files_under_their_decoded_path(mirror):
    place = mirrored(mirror, "A Book, é/1.txt", b"first")
    file = Remote("http://127.0.0.1:9/A%20Book%2C%20%C3%A9/1.txt", sha256(b"first"))

    assert fetch([file]) == [place]


def test_an_empty_name_is_no_mirror(server, monkeypatch):
    monkeypatch.setenv("BAKEOFF_MIRROR", "")

    assert len(fetch(remotes(server))) == len(CONTENTS)


def test_what_the_mirror_lacks_is_downloaded(server, mirror):
    paths = fetch(remotes(server))

    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())


def test_a_file_of_the_mirror_with_other_bytes_is_reported_by_its_path(mirror):
    place = mirrored(mirror, "1.txt", b"half")
    file = Remote("http://127.0.0.1:9/1.txt", sha256(b"first"))

    with pytest.raises(UserError) as caught:
        fetch([file])

    assert f"{place}: sha256 is {sha256(b'half')}, expected {sha256(b'first')}" in str(caught.value)


def test_a_missing_mirror_is_reported_by_name(tmp_path, monkeypatch):
    nowhere = str(tmp_path / "nowhere")
    monkeypatch.setenv("BAKEOFF_MIRROR", nowhere)

    with pytest.raises(UserError, match=f"{re.escape(nowhere)} is not a folder: BAKEOFF_MIRROR"):
        fetch([])


def test_the_same_file_may_be_asked_for_twice(server):
    file = remotes(server)[0]

    first, second = fetch([file, file])

    assert first == second
    assert first.read_bytes() == b"first"
