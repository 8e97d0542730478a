#!/usr/bin/env bash
# A recipe of egs on folders of speech and noise: turns them into config values, then calls the top run.sh.
#   run_librispeech.sh CORPUS FOLDER_OPTION... -- [option...]     FOLDER_OPTION: librispeech, noise, musan, ...
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
declare -A key=([librispeech]=corpus.corpus.speech_dir [more_speech]=corpus.corpus.more_speech_dir
    [noise]=corpus.corpus.noise_dir
    [musan]=corpus.corpus.musan_dir [wham]=corpus.corpus.wham_dir [librimix_metadata]=corpus.metadata_dir)
declare -A about=(
    [librispeech]="speech in LibriSpeech layout ([subset/]speaker/chapter/*.flac, wav, ogg, opus)"
    [more_speech]="more speech in that layout"
    [noise]="noise files (default: generated)"
    [musan]="MUSAN, noise of the training set"
    [wham]="WHAM! noise (tr, cv, tt), noise of the dev and test sets"
    [librimix_metadata]="LibriMix's CSV files, for its official pairs (default: drawn by its rules)")
corpus=$1 && shift
folders=()
while [ "$1" != -- ]; do folders+=("$1") && shift; done
shift

die() { echo "egs/$corpus/run.sh: $1" >&2 && exit 1; }

usage() {
    echo "Usage: bash egs/$corpus/run.sh --librispeech DIR [option...]"
    for name in "${folders[@]}"; do printf '  %-24s %s\n' "--$name DIR" "${about[$name]}"; done
    echo "The other options and the stages: bash run.sh --help"
}

add_folder() {  # KEY DIR: a setting that is taken as it stands, whatever the folder is called
    local folder=$2
    [[ $folder == /* ]] || folder=$PWD/$folder  # before cd, to which `-` is another folder
    folder=$(cd "$folder" && pwd && echo .)     # the dot keeps newlines at the end of a name
    settings+=(--set "$1:=${folder%$'\n'.}")
}

settings=() others=()
while [ $# -gt 0 ]; do
    [[ $1 != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
    name=${1#--}
    if [ "$name" = help ] || [ "$1" = -h ]; then
        usage && exit 0
    elif [[ $1 == --* && " ${folders[*]} " == *" $name "* ]]; then
        [ $# -gt 1 ] || die "$1 needs a folder (see --help)"
        [ -d "$2" ] || die "$1: no folder '$2'"
        add_folder "${key[$name]}" "$2"
        shift 2
    else
        others+=("$1") && shift
    fi
done
[[ " ${settings[*]-}" == *" ${key[librispeech]}:="* || " ${others[*]-}" == *" --stage"* ]] ||
    die "--librispeech DIR is needed (see --help)"
exec bash "$root/run.sh" --corpus "$corpus" ${settings[@]+"${settings[@]}"} ${others[@]+"${others[@]}"}
