#!/usr/bin/env bash
# Fetches LibriSpeech, MUSAN and WHAM! noise from their public homes: `bash tools/download_corpora.sh --target DIR`.
#
# What is there is kept, and an interrupted download goes on. An archive is called NAME.part until it is whole and its
# checksum is right. It is unpacked in a hidden folder beside the corpora, whose parts are then renamed. So nothing
# unfinished ever has its final name.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
export LC_ALL=C  # numbers with a point
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

target=
only=librispeech,musan,wham
subsets=train-clean-360,dev-clean,test-clean
mirror=https://www.openslr.org
wham_mirror=https://my-bucket-a8b4b49c25c811ee9a7e8bba05fa24c7.s3.amazonaws.com
checksums=
keep_archives=false
retries=5
dry_run=false

help_message="Usage: bash tools/download_corpora.sh --target DIR [--name value ...]

Makes DIR/LibriSpeech, DIR/musan and DIR/wham_noise: the folders for --librispeech, --musan and --wham of the
recipes. After an interruption the same command goes on. By default it fetches 52 GB and needs 91 GB of disk.

Options (defaults in brackets):
  --target DIR          where the corpora go
  --only LIST           some of librispeech, musan, wham [$only]
  --subsets LIST        subsets of LibriSpeech: {train-clean-100,train-clean-360,train-other-500},
                        {dev,test}-{clean,other} [$subsets]
  --mirror URL          has resources/12 (LibriSpeech) and resources/17 (MUSAN), as https://us.openslr.org and
                        https://openslr.elda.org do [$mirror]
  --wham_mirror URL     has wham_noise.zip [$wham_mirror]
  --checksums FILE      md5 or SHA-256 sums (lines of 'SUM  NAME') to be used instead of the published ones
  --keep_archives BOOL  true: keep the archives after unpacking [$keep_archives]
  --retries N           failures in a row before giving up; a download that makes progress resets the count [$retries]
  --dry_run BOOL        true: say what would be fetched and how much disk it needs, without asking a server [$dry_run]
  --help                this text"

# Each archive's bytes (WHAM!'s roughly), unpacked size in percent of that, number of audio files, and md5. The md5 are
# those of openslr.org/resources/12/md5sum.txt; MUSAN's is the one that WeSpeaker and PaddleSpeech check. Nobody
# publishes a sum of wham_noise.zip: its files' CRCs and their number are checked instead.
archives="
train-clean-100  6387309499 105  28539 2a93770f6d5c6c964bc36631d331a522
train-clean-360 23049477885 105 104014 c0e676e450a7ff2f54aeade5171606fa
train-other-500 30593501606 105 148688 d1a0fd59409feb2c614ce4d30c387708
dev-clean         337926286 105   2703 42e2234ba48799c1f50f24a7926300a1
dev-other         314305928 105   2864 c8d0bcc9cca99d4f8b62fcc847357931
test-clean        346663984 105   2620 32fa31d27d2e1cad72775fee3f4849a9
test-other        328757843 105   2939 fb5a50374b501bb3bac4815ee91d3135
musan           11086114085 120   2016 0c472d4fc0c5141eca47ad1ffeb2a7df
wham            17650000000 200  28000 -"

. "$root/tools/parse_options.sh" "$@"

say() { echo "$program: $*"; }
gigabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f GB", bytes / 1e9 }'; }
published() { awk -v name="$1" -v field="$2" '$1 == name { print $field }' <<<"$archives"; }  # NAME FIELD
has() { command -v "$1" >/dev/null 2>&1; }
bytes_of() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }

archive_of() { case "$1" in wham) echo wham_noise.zip ;; *) echo "$1.tar.gz" ;; esac }

url_of() {
    case "$1" in
        wham) echo "${wham_mirror%/}/wham_noise.zip" ;;
        musan) echo "${mirror%/}/resources/17/musan.tar.gz" ;;
        *) echo "${mirror%/}/resources/12/$1.tar.gz" ;;
    esac
}

folder_of() {
    case "$1" in
        wham) echo "$target/wham_noise" ;;
        musan) echo "$target/musan" ;;
        *) echo "$target/LibriSpeech/$1" ;;
    esac
}

count_files() {  # DIR: its audio files, without the copies that LibriMix's scripts add to WHAM!
    find "$1" -type f \( -name '*.flac' -o -name '*.wav' \) ! -name '*sp08.wav' ! -name '*sp12.wav' | wc -l | tr -d ' '
}

is_there() {  # NAME: whether its folder is whole; stops at a folder that is not
    local folder wanted found
    folder=$(folder_of "$1")
    [ -e "$folder" ] || return 1
    wanted=$(cat "$folder/.complete" 2>/dev/null) || true  # not there, or another program's (Kaldi's is empty):
    wanted=${wanted:-$(published "$1" 4)}  # then the published number
    found=$(count_files "$folder/")
    [ "$found" = "$wanted" ] ||
        die "$folder: wanted $wanted audio files, found $found: remove or rename that folder, then run this again"
    say "$folder is there ($found files)"
}

size_of() {  # URL: its size in bytes as the server gives it; 0 if it does not
    local answer=
    if has curl; then
        answer=$(curl -fsSIL --connect-timeout 30 "$1" 2>/dev/null) || answer=
    else
        answer=$(wget --spider -S --tries=1 --timeout=30 "$1" 2>&1) || answer=
    fi
    tr -d '\r' <<<"$answer" | awk '
        $1 ~ /^HTTP\// { size = 0 }  # of the last answer, after redirections
        tolower($1) == "content-length:" && $2 ~ /^[0-9]+$/ { size = $2 }
        END { print size ? size : 0 }'
}

plan() {  # NAME: sets size (the archive's bytes if they are certain, else 0); prints and adds up what it needs
    local archive url about
    archive=$target/$(archive_of "$1") url=$(url_of "$1") about=$(published "$1" 2) size=0
    [ "$dry_run" = true ] || size=$(size_of "$url")
    [ "$size" -eq 0 ] || [ "$size" -eq "$about" ] || [ -n "$checksums" ] || [ "$1" = wham ] || [ -f "$archive" ] ||
        die "$url: wanted the published archive of $about bytes, the server has one of $size (see --checksums)"
    [ "$size" -eq 0 ] || about=$size
    rest=$((about - $(bytes_of "$archive") - $(bytes_of "$archive.part")))
    [ "$rest" -gt 0 ] || rest=0
    unpacked=$((about * $(published "$1" 3) / 100))
    say "$url: $(gigabytes "$rest") to fetch, $(gigabytes "$unpacked") unpacked"
    total=$((total + rest))
    [ $((kept + rest + unpacked)) -le "$needed" ] || needed=$((kept + rest + unpacked))
    kept=$((kept + unpacked))
    [ "$keep_archives" = false ] || kept=$((kept + rest))
}

fetch_once() {  # URL FILE: goes on where FILE ends; 0: done, 1: try again, 2: trying again is no use
    local status=0
    if has curl; then
        local bar=(-sS)
        [ ! -t 2 ] || bar=(--progress-bar)
        curl -fL -C - "${bar[@]}" --connect-timeout 30 --speed-limit 1000 --speed-time 60 --retry 2 -o "$2" "$1" ||
            status=$?
        case "$status" in
            0) return 0 ;;
            22) return 2 ;;  # the server answered, with an error
            33) say "$1: this server cannot resume, starting anew" && rm -f "$2" ;;
        esac
    else
        local bar=(-nv)
        [ ! -t 2 ] || bar=(-q --show-progress)
        wget -c "${bar[@]}" --tries=1 --timeout=60 -O "$2" "$1" || status=$?
        case "$status" in 0) return 0 ;; 8) return 2 ;; esac
    fi
    return 1
}

fetch() {  # URL FILE BYTES: BYTES is 0 when the server does not say how many there are
    local failures=0 before status
    while [ "$3" -eq 0 ] || [ "$(bytes_of "$2")" -lt "$3" ]; do
        before=$(bytes_of "$2") status=0
        [ "$before" -eq 0 ] || say "$1: going on after $(gigabytes "$before")"
        fetch_once "$1" "$2" || status=$?
        [ "$status" -ne 0 ] || break
        [ "$status" -ne 2 ] || [ "$3" -ne 0 ] || [ "$before" -eq 0 ] || break  # nothing follows: it may be whole
        [ "$status" -ne 2 ] || die "$1: the server does not give this file (see above): try another mirror"
        [ "$(bytes_of "$2")" -le "$before" ] || failures=0
        failures=$((failures + 1))
        [ "$failures" -lt "$retries" ] || die "$1: given up after $failures failures in a row; run this again to go on"
        sleep "$failures"
    done
    before=$(bytes_of "$2")
    [ "$3" -eq 0 ] || [ "$before" -eq "$3" ] || {
        rm -f "$2"
        die "$(basename "$2"): wanted $3 bytes, found $before: removed, run this again"
    }
}

sum_of() {  # md5|sha256 FILE
    if has "${1}sum"; then "${1}sum" "$2"; else openssl dgst "-$1" -r "$2"; fi | awk '{ print $1 }'
}

wanted_sum() {  # NAME: from --checksums, else the published one; '-' when there is none
    local archive
    archive=$(archive_of "$1")
    if [ -n "$checksums" ]; then
        awk -v name="$archive" '{ sub(/^\*/, "", $2) }
            $2 == name { sum = $1 } END { print sum ? sum : "-" }' "$checksums"
    else
        published "$1" 5
    fi
}

wrong_sum() {  # NAME FILE: says what is wrong with FILE; nothing when its checksum is right or nobody knows it
    local wanted found kind=md5
    wanted=$(wanted_sum "$1")
    if [ "$wanted" = - ]; then
        say "$(archive_of "$1"): no checksum of it is known, its files are tested when unpacked" >&2
        return
    fi
    [ ${#wanted} -ne 64 ] || kind=sha256
    say "$(archive_of "$1"): checking its $kind" >&2
    found=$(sum_of "$kind" "$2")
    [ "$found" = "$wanted" ] || echo "wanted $kind $wanted, found $found"
}

refused() {  # FILE: its first member that is no file or folder in it, and why; all of a tar is read, and so tested
    python3 - "$1" <<'PYTHON'
import gzip, stat, sys, tarfile, zipfile, zlib

def tar_members(path):
    with gzip.open(path) as whole, tarfile.open(fileobj=whole, mode="r|") as archive:
        for member in archive:
            kind = ("a link to " + member.linkname if member.issym() or member.islnk() else
                    "" if member.isreg() or member.isdir() else "a device or a pipe")
            yield member.name, kind
        while whole.read(1 << 20):  # to its checksum
            pass

def zip_members(path):
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            yield member.filename, "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a link, a device or a pipe"

path = sys.argv[1]
try:
    for name, kind in (zip_members if path.endswith(".zip") else tar_members)(path):
        if name.startswith("/") or ".." in name.split("/"):
            kind = "which would lie outside of its folder"
        if kind:
            print(ascii(name) + ", " + ascii(kind)[1:-1])
            break
except (tarfile.TarError, zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as err:
    sys.exit(str(err))
PYTHON
}

unpack() {  # NAME FILE: only files and folders are; the corpus appears under its name when it is whole
    local folder new odd
    folder=$(folder_of "$1") new=$target/.$1.unpacking
    mkdir -p "$new/files" "$(dirname "$folder")"
    say "$2: unpacking"
    odd=$(refused "$2" 2>"$new/log") ||
        die "$2: damaged, it cannot be read to its end ($(tail -n 1 "$new/log")): remove it and run this again"
    [ -z "$odd" ] || { rm -rf "$new" && die "$2: refused, it holds $odd: only files and folders are unpacked"; }
    case "$2" in
        *.zip) python3 -m zipfile -e "$2" "$new/files" 2>"$new/log" ;;
        *) tar -xzf "$2" -C "$new/files" --no-same-owner 2>"$new/log" ;;
    esac || die "$2: $(tail -n 1 "$new/log"): free some disk, or remove this archive if it is damaged; then run again"
    finish "$1" "$new/files/${folder#"$target/"}" "$folder"
    rm -rf "$new"
}

finish() {  # NAME UNPACKED FOLDER: LibriSpeech's tables (speakers, licence) come with each of its archives
    local found table
    [ -d "$2" ] || die "$(archive_of "$1"): wanted a folder ${3#"$target/"} in it, found none"
    found=$(count_files "$2")
    [ "$1" != wham ] || [ -n "$checksums" ] || [ "$found" = "$(published wham 4)" ] ||
        die "wham_noise.zip: wanted $(published wham 4) files, found $found: remove it and run this again"
    for table in "$(dirname "$2")"/*.TXT; do
        [ ! -f "$table" ] || mv -f "$table" "$(dirname "$3")/"
    done
    echo "$found" >"$2/.complete"
    mv "$2" "$3"
    say "$3 is there ($found files)"
}

get() {  # NAME: fetches and unpacks one archive
    local archive url problem
    archive=$target/$(archive_of "$1") url=$(url_of "$1")
    if [ -f "$archive" ]; then
        problem=$(wrong_sum "$1" "$archive")
        [ -z "$problem" ] || die "$archive: $problem: remove it, or finish its download, then run this again"
    else
        say "$url -> $archive"
        fetch "$url" "$archive.part" "$2"
        problem=$(wrong_sum "$1" "$archive.part")
        if [ -n "$problem" ]; then
            rm -f "$archive.part"
            die "$(basename "$archive"): $problem: removed, run this again or try another mirror"
        fi
        mv "$archive.part" "$archive"
    fi
    unpack "$1" "$archive"
    [ "$keep_archives" = true ] || rm -f "$archive"
}

[ -n "$target" ] || die "--target DIR is needed: where the corpora go (see --help)"
check_integer retries 1
[ -z "$checksums" ] || [ -f "$checksums" ] || die "--checksums: no file '$checksums'"
has curl || has wget || die "curl or wget is needed"
names=()
for corpus in ${only//,/ }; do
    case "$corpus" in
        librispeech) for subset in ${subsets//,/ }; do
            [[ $subset == *-* && -n $(published "$subset" 2) ]] ||
                die "--subsets: no subset '$subset' (see --help)"
            names+=("$subset")
        done ;;
        musan | wham) names+=("$corpus") ;;
        *) die "--only takes librispeech, musan and wham, found '$corpus'" ;;
    esac
done
[ ${#names[@]} -gt 0 ] || die "nothing is chosen by --only '$only' and --subsets '$subsets'"
has python3 || die "python3 is needed to look into the archives"

trap 'say "interrupted: the same command goes on from here" >&2; exit 130' INT
near=$target
while [ ! -d "$near" ]; do near=$(dirname "$near"); done
if [ "$dry_run" = false ]; then
    mkdir -p "$target" && near=$target
    if has flock; then
        exec 9>"$target/.download.lock"
        flock -n 9 || die "$target: another download into it is going on: wait for it, or end it"
    fi
fi

missing=() sizes=() kept=0 needed=0 total=0
for name in "${names[@]}"; do
    if is_there "$name"; then continue; fi
    [ "$dry_run" = true ] || rm -rf "$target/.$name.unpacking"  # of an interrupted run; it takes room
    plan "$name"
    missing+=("$name") sizes+=("$size")
done
[ ${#missing[@]} -gt 0 ] || { say "everything is there" && exit 0; }
free=$(($(df -Pk "$near" | awk 'NR == 2 { print $4 }') * 1024))
say "$(gigabytes "$total") to fetch; the disk of $target needs $(gigabytes "$needed"), free are $(gigabytes "$free")"
[ "$needed" -le "$free" ] ||
    die "too little disk: $(gigabytes "$needed") needed, $(gigabytes "$free") free: free some, or take another --target"
[ "$dry_run" = false ] || exit 0
for place in "${!missing[@]}"; do
    get "${missing[$place]}" "${sizes[$place]}"
done
made=()
for pair in librispeech=LibriSpeech musan=musan wham=wham_noise; do
    [ ! -d "$target/${pair#*=}" ] || made+=("--${pair%=*} $target/${pair#*=}")
done
say "done, for the recipes: ${made[*]}"
