"""tools/download_corpora.sh against a server on this machine that can break off, lie and know no ranges."""

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from places import ROOT

from wesep_mix.corpora import librispeech
from wesep_mix.corpora.sources import noise_parts, splits

SCRIPT = ROOT / "tools" / "download_corpora.sh"
TABLES = {f"LibriSpeech/{name}": b"table" for name in ("SPEAKERS.TXT", "LICENSE.TXT")}
DEV = TABLES | {f"LibriSpeech/dev-clean/84/1/84-1-{n:04d}.flac": os.urandom(20_000) for n in range(3)}
TEST = TABLES | {"LibriSpeech/test-clean/61/1/61-1-0000.flac": os.urandom(5_000)}
MUSAN = {
    "musan/README": b"read",
    "musan/noise/free-sound/noise-free-sound-0000.wav": os.urandom(3_000),
    "musan/music/fma/music-fma-0000.wav": os.urandom(3_000),
}
WHAM = {f"wham_noise/{part}/a_{part}.wav": os.urandom(3_000) for part in ("tr", "cv", "tt")}


def tar_of(files, links=(), kind=tarfile.SYMTYPE):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, to in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, to
            tar.addfile(member)
    return content.getvalue()


def zip_of(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


@dataclass
class Server:
    """What the server gives, and what it was asked for: (method, path, first byte)."""

    files: dict[str, bytes]
    url: str = ""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    break_after: int = 0  # bytes of an answer to GET, as long as there are `breaks` left
    breaks: int = 0
    released: threading.Event = field(default_factory=threading.Event)  # until then 40 kB of an answer are sent
    ranges: bool = True
    heads: bool = True
    claims: dict[str, int] = field(default_factory=dict)  # sizes that HEAD claims

    def gets(self):
        return [(Path(path).name, first) for method, path, first in self.asked if method == "GET"]


def handler_of(server):
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            server.asked.append(("HEAD", self.path, 0))
            if not server.heads:
                self.send_error(405)
            elif self._known():
                self.send_response(200)
                self._finish_headers(server.claims.get(self.path, len(server.files[self.path])))

        def do_GET(self):
            found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(found.group(1)) if found and server.ranges else 0
            server.asked.append(("GET", self.path, int(found.group(1)) if found else 0))
            if not self._known():
                return
            content = server.files[self.path]
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if found and server.ranges else 200)
            if found and server.ranges:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self._finish_headers(len(content) - first)
            end = len(content)
            if server.breaks:
                server.breaks -= 1
                end = first + server.break_after
            self.wfile.write(content[first : min(first + 40_000, end)])
            server.released.wait()
            self.wfile.write(content[first + 40_000 : end])
            self.close_connection = True

        def _known(self):
            if self.path not in server.files:
                self.send_error(404)
            return self.path in server.files

        def _finish_headers(self, size):
            self.send_header("Content-Length", str(size))
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


@pytest.fixture
def server():
    archives = {
        "/resources/12/dev-clean.tar.gz": tar_of(DEV),
        "/resources/12/test-clean.tar.gz": tar_of(TEST),
        "/resources/17/musan.tar.gz": tar_of(MUSAN),
        "/wham_noise.zip": zip_of(WHAM),
    }
    served = Server(archives)
    served.released.set()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(served))
    served.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield served
    served.released.set()
    http.shutdown()
    http.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "corpora"


def command(server, target, /, **options):
    """The call, with sums of what the server has; an option that is None is left out."""
    sums = target.parent / "sums"
    digests = {Path(path).name: hashlib.md5(data).hexdigest() for path, data in server.files.items()}
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    given = {
        "target": target,
        "mirror": server.url,
        "wham_mirror": server.url,
        "checksums": sums,
        "retries": 2,
        "only": "librispeech",
        "subsets": "dev-clean",
    } | options
    return ["bash", str(SCRIPT), *(f"--{key}={value}" for key, value in given.items() if value is not None)]


def download(server, target, /, path=None, **options):
    env = os.environ | ({"PATH": str(path)} if path else {})
    return subprocess.run(command(server, target, **options), env=env, capture_output=True, text=True, timeout=60)


def the_error(done):
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("download_corpora.sh: ")]
    return lines[-1]


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(params=["curl", "wget"])
def only_with(request, tmp_path):
    """A PATH on which the other of curl and wget does not lie."""
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} here")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (
        "bash",
        "awk",
        "basename",
        "cat",
        "dirname",
        "df",
        "find",
        "flock",
        "grep",
        "gzip",
        "head",
        "md5sum",
        "mkdir",
        "mv",
        "python3",
        "rm",
        "sha256sum",
        "sleep",
        "tail",
        "tar",
        "tr",
        "wc",
        request.param,
    ):
        (tools / name).symlink_to(shutil.which(name))
    return tools


def test_everything_is_fetched_and_can_be_read(server, target, only_with):
    done = download(server, target, only_with, only="librispeech,musan,wham", subsets="dev-clean,test-clean")
    assert done.returncode == 0, done.stderr
    assert files_of(target) == DEV | TEST | MUSAN | WHAM
    assert set(librispeech.read_speech_folder(target)) == {"dev-clean", "test-clean"}
    assert {file.kind for file in noise_parts.musan_files(target)} == {"musan/noise/free-sound", "musan/music/fma"}
    assert {file.kind for file in noise_parts.wham_files(target)} == {"wham/tr", "wham/cv", "wham/tt"}
    lines = done.stdout.splitlines()
    assert lines[-1].endswith(f"--librispeech {target}/LibriSpeech --musan {target}/musan --wham {target}/wham_noise")
    needs = next(place for place, line in enumerate(lines) if "the disk of" in line and " needs " in line)
    assert needs < next(place for place, line in enumerate(lines) if " -> " in line)


def test_a_second_run_asks_for_nothing(server, target):
    assert download(server, target).returncode == 0
    server.asked.clear()
    done = download(server, target)
    assert done.returncode == 0 and "everything is there" in done.stdout
    assert server.asked == []


def test_only_the_rest_of_a_part_is_asked_for(server, target, only_with):
    whole = server.files["/resources/12/dev-clean.tar.gz"]
    target.mkdir()
    (target / "dev-clean.tar.gz.part").write_bytes(whole[:12_345])
    done = download(server, target, only_with)
    assert done.returncode == 0, done.stderr
    assert server.gets() == [("dev-clean.tar.gz", 12_345)]
    assert files_of(target) == DEV


def test_a_connection_that_breaks_is_taken_up_again(server, target, only_with):
    server.break_after, server.breaks = 15_000, 2
    done = download(server, target, only_with)
    assert done.returncode == 0, done.stderr
    assert server.gets()[0] == ("dev-clean.tar.gz", 0)
    assert server.gets()[-1] == ("dev-clean.tar.gz", 30_000)
    assert files_of(target) == DEV


def test_a_server_that_knows_no_ranges(server, target, only_with):
    server.ranges = False
    target.mkdir()
    (target / "dev-clean.tar.gz.part").write_bytes(server.files["/resources/12/dev-clean.tar.gz"][:100])
    done = download(server, target, only_with)
    assert done.returncode == 0, done.stderr
    assert files_of(target) == DEV


def test_a_server_that_does_not_say_sizes(server, target, only_with):
    server.heads = False
    target.mkdir()
    (target / "dev-clean.tar.gz.part").write_bytes(server.files["/resources/12/dev-clean.tar.gz"])
    done = download(server, target, only_with, subsets="dev-clean,test-clean")
    assert done.returncode == 0, done.stderr
    assert files_of(target) == DEV | TEST


def test_a_server_that_gives_up(server, target):
    server.break_after, server.breaks = 0, 99
    assert "given up after 2 failures" in the_error(download(server, target))
    assert files_of(target) == {}


def test_a_file_that_the_server_does_not_have(server, target):
    del server.files["/resources/12/test-clean.tar.gz"]
    assert "test-clean.tar.gz: the server does not give this file" in the_error(
        download(server, target, subsets="dev-clean,test-clean")
    )
    assert files_of(target) == DEV  # what came before it is there


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_wrong_checksum_is_named_and_the_file_removed(server, target, tmp_path, kind):
    (tmp_path / "mine").write_text(f"{hashlib.new(kind, b'other').hexdigest()} *dev-clean.tar.gz\n")
    line = the_error(download(server, target, checksums=tmp_path / "mine"))
    found = hashlib.new(kind, server.files["/resources/12/dev-clean.tar.gz"]).hexdigest()
    assert "dev-clean.tar.gz" in line and f"found {found}" in line and "removed" in line
    assert files_of(target) == {} and not list(target.glob("dev-clean*"))


def test_the_published_archive_is_wanted_unless_sums_are_given(server, target):
    line = the_error(download(server, target, checksums=None))
    assert "wanted the published archive of 337926286 bytes" in line
    assert server.gets() == []


def test_an_archive_that_lies_there_is_used_and_kept_when_it_is_damaged(server, target):
    target.mkdir()
    archive = target / "dev-clean.tar.gz"
    archive.write_bytes(b"damaged")
    assert "dev-clean.tar.gz: wanted md5" in the_error(download(server, target)) and archive.is_file()
    archive.write_bytes(server.files["/resources/12/dev-clean.tar.gz"])
    done = download(server, target, keep_archives="true")
    assert done.returncode == 0 and archive.is_file() and server.gets() == []
    assert files_of(target / "LibriSpeech").keys() == {name.removeprefix("LibriSpeech/") for name in DEV}


@pytest.mark.parametrize("name", ["../evil", "LibriSpeech/dev-clean/../../../evil", "{elsewhere}/evil"])
def test_members_that_would_leave_the_folder_are_refused(server, target, name, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    name = name.format(elsewhere=elsewhere)
    server.files["/resources/12/dev-clean.tar.gz"] = tar_of(DEV | {name: b"evil"})
    server.files["/wham_noise.zip"] = zip_of(WHAM | {name: b"evil"})
    for only in ("librispeech", "wham"):
        assert f"refused, it holds '{name}'" in the_error(download(server, target, only=only))
    assert not list(target.parent.rglob("*evil*")) and not list(elsewhere.iterdir())
    assert not (target / "LibriSpeech" / "dev-clean").exists() and not (target / "wham_noise").exists()


@pytest.mark.parametrize(
    "kind, to, said",
    [
        (tarfile.SYMTYPE, "/etc", "a link to /etc"),
        (tarfile.SYMTYPE, "../../..", "a link to ../../.."),
        (tarfile.SYMTYPE, "84", "a link to 84"),
        (tarfile.LNKTYPE, "/etc/passwd", "a link to /etc/passwd"),
        (tarfile.CHRTYPE, "", "a device or a pipe"),
        (tarfile.BLKTYPE, "", "a device or a pipe"),
        (tarfile.FIFOTYPE, "", "a device or a pipe"),
    ],
)
def test_only_files_and_folders_are_unpacked(server, target, kind, to, said):
    server.files["/resources/12/dev-clean.tar.gz"] = tar_of(DEV, links=[("LibriSpeech/dev-clean/x\ny", to)], kind=kind)
    line = the_error(download(server, target))
    assert rf"dev-clean.tar.gz: refused, it holds 'LibriSpeech/dev-clean/x\ny', {said}: only files and" in line
    assert not (target / "LibriSpeech" / "dev-clean").exists() and not list(target.rglob("x*y"))


def test_a_zip_with_a_link_is_refused(server, target):
    content = io.BytesIO(server.files["/wham_noise.zip"])
    with zipfile.ZipFile(content, "a") as archive:
        link = zipfile.ZipInfo("wham_noise/tr/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc")
    server.files["/wham_noise.zip"] = content.getvalue()
    assert "refused, it holds 'wham_noise/tr/link', a link, a device or a pipe" in the_error(
        download(server, target, only="wham")
    )
    assert not (target / "wham_noise").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:30_000] + bytes([data[30_000] ^ 1]) + data[30_001:],
    ],
)
def test_a_damaged_tar_is_not_told_as_a_full_disk(server, target, spoil):
    server.files["/resources/12/dev-clean.tar.gz"] = spoil(server.files["/resources/12/dev-clean.tar.gz"])
    line = the_error(download(server, target))
    assert "dev-clean.tar.gz: damaged, it cannot be read to its end" in line and "disk" not in line
    assert not (target / "LibriSpeech" / "dev-clean").exists()


def test_a_damaged_zip_without_a_checksum_is_found_by_its_files(server, target, tmp_path):
    content = bytearray(server.files["/wham_noise.zip"])
    content[content.index(WHAM["wham_noise/cv/a_cv.wav"]) + 10] ^= 1
    server.files["/wham_noise.zip"] = bytes(content)
    line = the_error(download(server, target, only="wham", checksums=None))
    assert "wham_noise.zip" in line and "CRC" in line
    assert not (target / "wham_noise").exists()


def test_wham_without_a_checksum_must_have_its_number_of_files(server, target):
    assert "wanted 28000 files, found 3" in the_error(download(server, target, only="wham", checksums=None))
    assert not (target / "wham_noise").exists()


def test_a_folder_that_is_not_whole_is_told_and_left_alone(server, target):
    half = target / "LibriSpeech" / "dev-clean" / "84"
    half.mkdir(parents=True)
    (half / "a.flac").touch()
    assert "dev-clean: wanted 2703 audio files, found 1: remove or rename" in the_error(download(server, target))
    assert (half / "a.flac").is_file() and server.asked == []
    (target / "LibriSpeech/dev-clean/.complete").write_text("1\n")
    assert download(server, target).returncode == 0


def test_copies_that_librimix_made_do_not_count(server, target):
    assert download(server, target, only="wham").returncode == 0
    (target / "wham_noise/tr/a_trsp08.wav").touch()
    assert "everything is there" in download(server, target, only="wham").stdout


def test_too_little_disk_is_told_before_the_first_byte(server, target):
    server.claims["/resources/12/dev-clean.tar.gz"] = 10**16
    assert "too little disk: 20500000.0 GB needed" in the_error(download(server, target))
    assert server.gets() == []


def test_dry_run_asks_no_server_and_writes_nothing(server, target):
    done = download(server, target, only="librispeech", subsets="dev-clean,test-other", dry_run="true")
    assert done.returncode == 0, done.stderr
    assert f"{server.url}/resources/12/test-other.tar.gz: 0.3 GB to fetch, 0.3 GB unpacked" in done.stdout
    assert "0.7 GB to fetch; the disk of" in done.stdout
    assert server.asked == [] and not target.exists()


def test_interrupted_it_goes_on(server, target):
    server.released.clear()
    run = subprocess.Popen(
        command(server, target), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    part = target / "dev-clean.tar.gz.part"
    while run.poll() is None and not (part.is_file() and part.stat().st_size):
        time.sleep(0.02)
    other = download(server, target)
    assert "another download into it is going on" in the_error(other)
    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=20)
    assert run.returncode == 130 and "the same command goes on from here" in said
    server.released.set()
    assert download(server, target).returncode == 0
    assert 0 < server.gets()[-1][1] <= 40_000
    assert files_of(target) == DEV


def test_killed_while_unpacking_leaves_no_folder_that_looks_finished(server, target):
    (target / ".dev-clean.unpacking" / "files" / "LibriSpeech" / "dev-clean").mkdir(parents=True)
    assert download(server, target).returncode == 0
    assert files_of(target) == DEV and not (target / ".dev-clean.unpacking").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": None}, "--target DIR is needed"),
        ({"only": "voxceleb"}, "--only takes librispeech, musan and wham, found 'voxceleb'"),
        ({"subsets": "dev-cleen"}, "no subset 'dev-cleen'"),
        ({"subsets": "musan"}, "no subset 'musan'"),
        ({"subsets": ""}, "nothing is chosen"),
        ({"checksums": f"{__file__}/none"}, f"--checksums: no file '{__file__}/none'"),
        ({"retries": "many"}, "--retries takes a whole number"),
        ({"mirrors": "x"}, "unknown option --mirrors"),
    ],
)
def test_wrong_options(server, target, options, message):
    assert message in the_error(download(server, target, **options))
    assert server.asked == [] and not target.exists()


def test_help_and_the_defaults_it_states(tmp_path):
    shown = subprocess.run(["bash", str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    options = "target only subsets mirror wham_mirror checksums keep_archives retries dry_run".split()
    assert [option for option in options if f"\n  --{option} " not in shown] == []
    dry = subprocess.run(
        ["bash", str(SCRIPT), "--target", tmp_path / "new", "--dry_run", "true"], capture_output=True, text=True
    )
    fetched, needed = re.search(r"([\d.]+) GB to fetch; the disk of \S+ needs ([\d.]+) GB", dry.stdout).groups()
    assert f"fetches {int(float(fetched))} GB and needs {int(float(needed))} GB of disk" in shown


def test_the_script_and_the_corpora_agree_on_published_numbers():
    rows = re.findall(r'^(\S+) +(\d+) +(\d+) +(\d+) (\w{32}|-)"?$', SCRIPT.read_text(), flags=re.M)
    num_files = {row[0]: int(row[3]) for row in rows}
    noise = {
        name: sum(number for part, number in splits.NOISE.items() if part.startswith(f"{name}/"))
        for name in ("musan", "wham")
    }
    assert num_files == {name: files for name, (files, _) in splits.LIBRISPEECH.items()} | noise
    assert len({row[4] for row in rows}) == len(rows) == 9
