#!/usr/bin/env bash
# The recipe: from speech and noise to a table of scores. `bash run.sh --help` lists stages and options;
# models and training are set in egs/CORPUS/conf over conf/, the machine in path.sh.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
trap 'exit 130' INT  # Ctrl-C: the stage ends first and says how to go on
cd "$(dirname "${BASH_SOURCE[0]}")"

stage=1
stop_stage=9
corpus=mini
num_spk=
extractor=
separator=
nj=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN || echo 1)
ngpu=0
num_nodes=1
num_procs=1
tag=
share_with=
tables=false
sessions=false
write_wav=false
dry_run=false
status=false
cmd=
train_cmd=
set=()
force=false
data_dir=data
exp_dir=exp

. tools/help.sh
. tools/parse_options.sh "$@"

check_integer stage 1 9
check_integer stop_stage 1 9
[ "$stage" -le "$stop_stage" ] || die "--stage $stage comes after --stop_stage $stop_stage"
check_integer nj 1
check_integer ngpu 0
check_integer num_nodes 1
check_integer num_procs 1
[[ $tag =~ ^[A-Za-z0-9._-]*$ ]] || die "--tag takes letters, digits and . _ -, found '$tag'"
[ -n "$data_dir" ] && [ -n "$exp_dir" ] || die "--data_dir and --exp_dir need a folder's name"
check_pairs set key=value ${set[@]+"${set[@]}"}
recipes=(egs/*/conf/corpus.yaml) && recipes=("${recipes[@]%/conf/corpus.yaml}")
check_listed corpus "${recipes[@]}"
conf=egs/$corpus/conf
[ ! -f "egs/$corpus/defaults.sh" ] || . "egs/$corpus/defaults.sh"  # for options that were not given
: "${num_spk:=2}" "${share_with:=$corpus}"
check_integer num_spk 2 5
check_listed extractor "$conf"/extractor/*.yaml
[ -z "$separator" ] || check_listed separator "$conf"/separator/*.yaml
check_listed share_with "${recipes[@]}"

data=$data_dir/$corpus
mixtures=$data/${num_spk}mix
shared=$data_dir/$share_with
single=$shared/single
exp=$exp_dir/$corpus${tag:+_$tag}
teacher=$exp_dir/$share_with${tag:+_$tag}/teacher
student=$exp/${num_spk}mix/student
embeddings=$exp/${num_spk}mix/embeddings
model=$exp/${num_spk}mix/$extractor
separated=$exp/${num_spk}mix/$separator
settings=(${set[@]+"${set[@]/#/--set=}"})
processes=(--ngpu "$ngpu" --num_nodes "$num_nodes" --num_procs "$num_procs")  # of a training
. tools/stages.sh

run python -m wesep_mix.bin.check_config --egs "egs/$corpus" --extractor "$extractor" \
    ${separator:+--separator "$separator"} --tables "$tables" --sessions "$sessions" --stage "$stage" \
    --stop_stage "$stop_stage" --num_spk "$num_spk" --teacher "$teacher" ${settings[@]+"${settings[@]}"}

run_table() {  # NUMBER: a stage's work for the paper's tables
    [ "$tables" = false ] || run_stage "$1" tables --stage_number "$1" --egs "egs/$corpus" --data "$data" \
        --single "$single" --exp "$exp" --nj "$nj" --ngpu "$ngpu"
}

run_sessions() {  # NUMBER: a stage's work for conversations of minutes
    [ "$sessions" = false ] || run_stage "$1" sessions --stage_number "$1" --egs "egs/$corpus" --data "$data" \
        --exp "$exp" --teacher "$teacher/model.pt" --student "$student/model.pt" \
        --extractor "$model/matched/model.pt" \
        ${separator:+--separator "$separated/separated/model.pt"} --nj "$nj" --ngpu "$ngpu"
}

run_stage 1 prepare_data --config "$conf/corpus.yaml" --data "$data" --shared "$shared" --nj "$nj" \
    --num_spk "$num_spk" --tables "$tables"
run_sessions 1

[ "$write_wav" = false ] || [ "$stage" -gt 1 ] ||
    run python -m wesep_mix.bin.export_data --format librimix --data "$mixtures" --set_name train dev test \
        --out "$data/wav" --nj "$nj" --force "$force"

run_stage 2 train_teacher --config "$conf/teacher.yaml" --data "$single" --out "$teacher" "${processes[@]}"
run_table 2

run_stage 3 train_student --config "$conf/student.yaml" --data "$mixtures" --teacher "$teacher/model.pt" \
    --out "$student" "${processes[@]}" --num_spk "$num_spk"
run_table 3
run_sessions 3

run_stage 4 extract_embeddings --config "$conf/embeddings.yaml" --data "$mixtures" --single "$single" \
    --teacher "$teacher/model.pt" --student "$student/model.pt" --out "$embeddings" --nj "$nj" --ngpu "$ngpu"
run_table 4

run_stage 5 train_extractor --config "$conf/extractor/$extractor.yaml" --data "$mixtures" --embeddings "$embeddings" \
    --embeddings_config "$conf/embeddings.yaml" --teacher "$teacher/model.pt" --student "$student/model.pt" \
    --num_spk "$num_spk" --out "$model" "${processes[@]}"
[ -z "$separator" ] ||
    run_stage 5 train_separator --config "$conf/separator/$separator.yaml" --data "$mixtures" --num_spk "$num_spk" \
        --out "$separated/separated" "${processes[@]}"
run_table 5

run_stage 6 extract_speech --config "$conf/extract.yaml" --data "$mixtures/test" \
    --embeddings "$embeddings/test" --extractor "$model" --nj "$nj" --ngpu "$ngpu"
[ -z "$separator" ] ||
    run_stage 6 separate_speech --config "$conf/extract.yaml" --data "$mixtures/test" --separator "$separated" \
        --nj "$nj" --ngpu "$ngpu"
run_table 6

run_stage 7 score --config "$conf/score.yaml" --data "$mixtures/test" --extractor "$model" \
    --teacher "$teacher/model.pt" --embeddings "$embeddings/test" --nj "$nj" --ngpu "$ngpu"
[ -z "$separator" ] ||
    run_stage 7 score --config "$conf/score.yaml" --data "$mixtures/test" --extractor "$separated" \
        --condition separated --teacher "$teacher/model.pt" --embeddings "$embeddings/test" --nj "$nj" --ngpu "$ngpu"
run_table 7

run_table 8
run_stage 8 analyse --config "$conf/score.yaml" --extract_config "$conf/extract.yaml" --data "$mixtures/test" \
    --single "$single/test" --teacher "$teacher/model.pt" --student "$student/model.pt" --embeddings "$embeddings" \
    --extractor "$model" ${separator:+--separator "$separated"} --nj "$nj" --ngpu "$ngpu"
run_sessions 8

run_table 9
run_stage 9 report --corpus "$corpus" --num_spk "$num_spk" --exp "$exp" --data "$mixtures/test"
run_sessions 9

print_status
[ "$stop_stage" -lt 9 ] || [ "$mode" != run ] || echo "results: $exp/RESULTS.md and report.html"
