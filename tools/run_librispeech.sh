#!/usr/bin/env bash
# A recipe of egs on speech in LibriSpeech layout: turns its folders into config values, then calls the top run.sh.
#   run_librispeech.sh CORPUS --librispeech DIR [--noise DIR] [any option of the top run.sh]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
corpus=$1 && shift
usage="Usage: bash egs/$corpus/run.sh --librispeech DIR [--noise DIR] [any option of the top run.sh]
  --librispeech DIR   speech in LibriSpeech layout ([subset/]speaker/chapter/*.flac)
  --noise DIR         noise files (default: generated)
The other options and the stages: bash run.sh --help"

die() { echo "egs/$corpus/run.sh: $1" >&2 && exit 1; }

folder() {  # OPTION DIR: prints DIR as an absolute path
    [ -d "$2" ] || die "$1: no folder '$2'"
    (cd "$2" && pwd)
}

librispeech="" noise="" others=()
while [ $# -gt 0 ]; do
    case "$1" in
        --librispeech=* | --noise=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --librispeech | --noise)
            [ $# -gt 1 ] || die "$1 needs a folder (see --help)"
            dir=$(folder "$1" "$2")
            printf -v "${1#--}" %s "$dir"
            shift 2 ;;
        --help | -h) echo "$usage" && exit 0 ;;
        *) others+=("$1") && shift ;;
    esac
done
[ -n "$librispeech" ] || die "--librispeech DIR is needed (see --help)"

exec bash "$root/run.sh" --corpus "$corpus" --set "corpus.corpus.speech_dir=$librispeech" \
    ${noise:+--set "corpus.corpus.noise_dir=$noise"} ${others[@]+"${others[@]}"}
