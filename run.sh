#!/usr/bin/env bash
# The recipe: from speech and noise to a table of scores. `bash run.sh --help` lists stages and options;
# models and training are set in egs/CORPUS/conf, the machine in path.sh.
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
tag=
share_with=
tables=false
corpus_root=()
write_wav=false
dry_run=false
set=()
force=false
data_dir=data
exp_dir=exp

help_message="Usage: bash run.sh [--name value ...]

Stages (each runs alone; a finished one is skipped, an interrupted one goes on):
  1  lists and mixture plans; the mini corpus is generated
  2  teacher: noisy speech of one speaker -> embedding
  3  student: mixture -> set of embeddings
  4  embeddings of the dev and test sets as Kaldi ark,scp
  5  extractor: mixture and embedding -> that speaker's speech; and the same network without embedding
  6  extract the test set to wav
  7  score every mixture and speaker: SI-SDR, PESQ, STOI
  8  analyse: clustering of the embeddings, controls of the extraction
  9  report: RESULTS.md, results.json and the table

Options (defaults in brackets; paths are relative to the project's folder):
  --stage N          first stage [$stage]
  --stop_stage N     last stage [$stop_stage]
  --corpus NAME      a folder of egs [$corpus]
  --num_spk N        speakers in a mixture, 1 to 5 [egs/CORPUS/conf/defaults, else 2]
  --extractor NAME   a file of egs/CORPUS/conf/extractor [egs/CORPUS/conf/defaults]
  --separator NAME   a file of egs/CORPUS/conf/separator: trained, run and scored in stages 5 to 7 beside the extractor
                     [none]
  --share_with NAME  the corpus whose lists, single-speaker set and teacher are used [egs/CORPUS/conf/defaults,
                     else CORPUS itself]
  --tables BOOL      true: the stages also make Tables 1, 2 and 4 of the paper, all rows and seeds of
                     egs/CORPUS/conf/table1.yaml and table2.yaml: stages 2 to 4 and 8 exp/CORPUS/TABLE1.md, stages 5
                     to 7 and 9 exp/CORPUS/TABLE2.md [$tables]
  --corpus_root OLD=NEW  the corpus folder has moved: lists and plans follow, nothing is redone; repeatable
  --write_wav BOOL   true: stage 1 also writes the fixed mixtures as a LibriMix folder tree, to DATA_DIR/CORPUS/wav;
                     nothing here reads it [$write_wav]
  --nj N             parallel jobs; never changes a result [number of cores: $nj]
  --ngpu N           GPUs, 0 for none [$ngpu]
  --tag NAME         results go to exp/CORPUS_NAME, beside those of other settings [none]
  --set KEY=VALUE    a value of the configs, repeatable: optim.lr=5e-4 in every config that has the key,
                     student.optim.lr=5e-4 in student.yaml only
  --force BOOL       true: do the chosen stages again though they are done [$force]
  --dry_run BOOL     true: print the commands of the chosen stages, run nothing [$dry_run]
  --data_dir DIR     lists and plans [$data_dir]
  --exp_dir DIR      models and results [$exp_dir]
  --help             this text"

. tools/parse_options.sh "$@"

default_of() { sed -n "s/^$1 //p" "$conf/defaults"; }  # OPTION: the corpus's own default, or nothing

check_integer stage 1 9
check_integer stop_stage 1 9
[ "$stage" -le "$stop_stage" ] || die "--stage $stage comes after --stop_stage $stop_stage"
check_integer nj 1
check_integer ngpu 0
[[ $tag =~ ^[A-Za-z0-9._-]*$ ]] || die "--tag takes letters, digits and . _ -, found '$tag'"
[ -n "$data_dir" ] && [ -n "$exp_dir" ] || die "--data_dir and --exp_dir need a folder's name"
check_pairs set key=value ${set[@]+"${set[@]}"}
check_pairs corpus_root OLD=NEW ${corpus_root[@]+"${corpus_root[@]}"}
check_listed corpus egs/*/
conf=egs/$corpus/conf
num_spk=${num_spk:-$(default_of num_spk)}
num_spk=${num_spk:-2}
check_integer num_spk 1 5
extractor=${extractor:-$(default_of extractor)}
check_listed extractor "$conf"/extractor/*.yaml
[ -z "$separator" ] || check_listed separator "$conf"/separator/*.yaml
share_with=${share_with:-$(default_of share_with)}
share_with=${share_with:-$corpus}
check_listed share_with egs/*/

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
moves=(${corpus_root[@]+"${corpus_root[@]/#/--corpus_root=}"})

run() {  # COMMAND...: runs it, or prints it as one would type it
    if [ "$dry_run" = true ]; then printf '%q ' "$@" && echo; else "$@"; fi
}

if [ "$dry_run" = true ]; then echo ". ./path.sh"; else . ./path.sh; fi
run python -m wesep_mix.bin.check_config --egs "egs/$corpus" --extractor "$extractor" \
    ${separator:+--separator "$separator"} --tables "$tables" ${settings[@]+"${settings[@]}"}

run_stage() {  # NUMBER ENTRY_POINT OPTION...: nothing if the stage was not asked for
    local number=$1 entry=$2 status=0
    shift 2
    [ "$number" -ge "$stage" ] && [ "$number" -le "$stop_stage" ] || return 0
    [ "$dry_run" = false ] || printf '# '
    echo "== stage $number: ${entry//_/ } =="
    run python -m "wesep_mix.bin.$entry" "$@" --force "$force" ${settings[@]+"${settings[@]}"} || status=$?
    [ "$status" -ne 130 ] || exit 130
    [ "$status" -ne 137 ] || warn "the stage was killed from outside, often for want of memory"
    [ "$status" -eq 0 ] || {
        local again="the same command"
        [ "$force" = false ] || again+=" without --force true"
        warn "stage $number ($entry) failed (status $status); mend it, $again goes on from there"
        exit "$status"
    }
}

run_table() {  # NUMBER: what a stage does for the paper's tables
    [ "$tables" = false ] || run_stage "$1" tables --stage_number "$1" --egs "egs/$corpus" --data "$data" \
        --single "$single" --exp "$exp" --nj "$nj" --ngpu "$ngpu"
}

run_stage 1 prepare_data --config "$conf/corpus.yaml" --data "$data" --shared "$shared" --nj "$nj" \
    --num_spk "$num_spk" --tables "$tables" ${moves[@]+"${moves[@]}"}

[ "$write_wav" = false ] || [ "$stage" -gt 1 ] ||
    run python -m wesep_mix.bin.export_data --format librimix --data "$mixtures" --set_name train dev test \
        --out "$data/wav" --nj "$nj" --force "$force"

run_stage 2 train_teacher --config "$conf/teacher.yaml" --data "$single" --out "$teacher" --ngpu "$ngpu"
run_table 2

run_stage 3 train_student --config "$conf/student.yaml" --data "$mixtures" --teacher "$teacher/model.pt" \
    --out "$student" --ngpu "$ngpu" --num_spk "$num_spk"
run_table 3

run_stage 4 extract_embeddings --config "$conf/embeddings.yaml" --data "$mixtures" --single "$single" \
    --teacher "$teacher/model.pt" --student "$student/model.pt" --out "$embeddings" --nj "$nj" --ngpu "$ngpu"
run_table 4

run_stage 5 train_extractor --config "$conf/extractor/$extractor.yaml" --data "$mixtures" --embeddings "$embeddings" \
    --teacher "$teacher/model.pt" --student "$student/model.pt" --num_spk "$num_spk" --out "$model" --ngpu "$ngpu"
[ -z "$separator" ] ||
    run_stage 5 train_separator --config "$conf/separator/$separator.yaml" --data "$mixtures" --num_spk "$num_spk" \
        --out "$separated/separated" --ngpu "$ngpu"
run_table 5

run_stage 6 extract_speech --config "$conf/score.yaml" --data "$mixtures/test" \
    --embeddings "$embeddings/test" --extractor "$model" --ngpu "$ngpu"
[ -z "$separator" ] ||
    run_stage 6 separate_speech --config "$conf/score.yaml" --data "$mixtures/test" --separator "$separated" \
        --ngpu "$ngpu"
run_table 6

run_stage 7 score --config "$conf/score.yaml" --data "$mixtures/test" --extractor "$model" --nj "$nj"
[ -z "$separator" ] ||
    run_stage 7 score --config "$conf/score.yaml" --data "$mixtures/test" --extractor "$separated" \
        --condition separated --nj "$nj"
run_table 7

run_table 8
run_stage 8 analyse --config "$conf/score.yaml" --data "$mixtures/test" --single "$single/test" \
    --teacher "$teacher/model.pt" --student "$student/model.pt" --embeddings "$embeddings" \
    --extractor "$model" --nj "$nj" --ngpu "$ngpu"

run_table 9
run_stage 9 report --corpus "$corpus" --num_spk "$num_spk" --exp "$exp"

[ "$stop_stage" -lt 9 ] || [ "$dry_run" = true ] || echo "results: $exp/RESULTS.md"
