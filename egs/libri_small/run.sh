#!/usr/bin/env bash
# The recipe at small settings on any folder in LibriSpeech layout (speaker/chapter/*.flac).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
usage="Usage: bash egs/libri_small/run.sh --librispeech DIR [--noise DIR] [any option of the top run.sh]
  --librispeech DIR   speech in LibriSpeech layout; its speakers are split into train, dev and test
  --noise DIR         noise files (default: generated)
The other options and the stages: bash run.sh --help"

die() { echo "egs/libri_small/run.sh: $1" >&2 && exit 1; }

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

exec bash "$root/run.sh" --corpus libri_small --set "corpus.corpus.speech_dir=$librispeech" \
    ${noise:+--set "corpus.corpus.noise_dir=$noise"} ${others[@]+"${others[@]}"}
