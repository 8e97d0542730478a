#!/usr/bin/env bash
# A recipe of egs on recordings without sources: a trained model hears and extracts their talkers, DNSMOS rates them.
#   run_recordings.sh CORPUS [option...]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
trap 'exit 130' INT  # Ctrl-C: the stage ends first and says how to go on
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
corpus=$1 && shift
program=egs/$corpus/run.sh

recordings=
enrolments=
dns5=
track=headset
model=
num_spk=
extractor=
teacher=
stage=1
stop_stage=9
nj=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN || echo 1)
ngpu=0
tag=
cmd=
set=()
force=false
dry_run=false
status=false
data_dir=data
exp_dir=exp

help_message="Usage: bash egs/$corpus/run.sh --recordings DIR [--name value ...]

Stages (each runs alone; a finished one is skipped, an interrupted one goes on):
  1  list: which recordings there are, each read once
  4  who is heard in each: the student's embeddings as Kaldi ark,scp
  6  the speech of every talker to wav
  7  DNSMOS of the recordings and of the speech
  8  the rows of the table; whom an enrolment would pick
  9  the page with the table

Options (defaults in brackets; folders are relative to where you are):
  --recordings DIR   all audio files below it, any format and rate; or a list, ID FILE a line
  --enrolments DIR   for analysis alone: recordings of one talker's voice alone, named as the recordings, with enrol
                     before or behind it or not; or a list, ID FILE a line [none]
  --dns5 DIR         instead of both: the unpacked V5_dev_testset of DNS-Challenge 5, or the folder that it is in
  --track NAME       of --dns5: headset or speakerphone [$track]
  --model MODEL      a model's folder, the name of one that came with the package, or an experiment, exp/CORPUS
                     [\$WESEP_MIX_MODEL, else small]
  --num_spk N        of an experiment's students, exp/CORPUS/Nmix [the only one]
  --extractor NAME   of the extractors in exp/CORPUS/Nmix [the only one]
  --teacher FILE     the experiment's teacher, where it is another one's [exp/CORPUS/teacher/model.pt]
  --stage N          first stage [$stage]
  --stop_stage N     last stage [$stop_stage]
  --nj N             parallel jobs; never changes a result [number of cores: $nj]
  --ngpu N           1 for a GPU in stages 4 and 6 [$ngpu]
  --cmd COMMAND      a Kaldi-style job wrapper with its options: stages are --nj jobs of it; none: all runs here
                     [cmd.sh, else none]
  --tag NAME         lists and results go to data/${corpus}_NAME and exp/${corpus}_NAME [none]
  --set KEY=VALUE    a value of egs/$corpus/conf/recordings.yaml, repeatable: clip_s=20; KEY:=TEXT takes TEXT literally
  --force BOOL       true: do the chosen stages again, even if they are done [$force]
  --dry_run BOOL     true: print the commands of the chosen stages, run nothing [$dry_run]
  --status BOOL      true: show how the chosen stages stand; run nothing [$status]
  --data_dir DIR     lists [$data_dir in the project's folder]
  --exp_dir DIR      results [$exp_dir in the project's folder]
  --help             this text"
. tools/parse_options.sh "$@"

place() {  # NAME: turns the option's folder or file into its full name, which newlines may end
    local found=${!1}
    [[ $found == /* ]] || found=$from/$found
    [ -e "$found" ] || die "--$1: nothing of the name '${!1}'"
    printf -v "$1" %s "$found"
}

check_integer stage 1 9
check_integer stop_stage 1 9
[ "$stage" -le "$stop_stage" ] || die "--stage $stage comes after --stop_stage $stop_stage"
check_integer nj 1
check_integer ngpu 0
[ -z "$num_spk" ] || check_integer num_spk 2 5
[[ $tag =~ ^[A-Za-z0-9._-]*$ ]] || die "--tag takes letters, digits and . _ -, found '$tag'"
check_pairs set key=value ${set[@]+"${set[@]}"}
if [ -n "$dns5" ]; then
    declare -A folders=([headset]=Track1_Headset [speakerphone]=Track2_Speakerphone)
    [ -n "${folders[$track]-}" ] || die "--track takes headset or speakerphone, found '$track'"
    place dns5
    [ ! -d "$dns5/V5_dev_testset" ] || dns5=$dns5/V5_dev_testset
    recordings=$dns5/${folders[$track]}/noisy enrolments=$dns5/${folders[$track]}/enrol  # stage 1 looks for them
else
    [ -z "$recordings" ] || place recordings
    [ -z "$enrolments" ] || place enrolments
fi
settings=(${recordings:+"--set=recordings.recordings_dir:=$recordings"}
    ${enrolments:+"--set=recordings.enrolments_dir:=$enrolments"})
[ -n "$recordings" ] || [ "$stage" -gt 1 ] || die "--recordings DIR or --dns5 DIR is needed (see --help)"
[ -z "$model" ] || [ "$from" = "$PWD" ] || [ ! -d "$from/$model" ] || model=$from/$model
[ -z "$teacher" ] || place teacher
settings+=(${set[@]+"${set[@]/#/--set=}"})
exp=$exp_dir/$corpus${tag:+_$tag}
train_cmd=none
env_extra=dnsmos
. tools/stages.sh

of_model=(${model:+--model "$model"} ${num_spk:+--num_spk "$num_spk"} ${extractor:+--extractor "$extractor"}
    ${teacher:+--teacher "$teacher"})
for number in 1 4 6 7 8 9; do
    run_stage "$number" recordings --stage_number "$number" --config "egs/$corpus/conf/recordings.yaml" \
        --data "$data_dir/$corpus${tag:+_$tag}" --exp "$exp" ${of_model[@]+"${of_model[@]}"} --nj "$nj" --ngpu "$ngpu"
done
print_status
[ "$stop_stage" -lt 9 ] || [ "$mode" != run ] || echo "results: $exp"
