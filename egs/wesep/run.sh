#!/usr/bin/env bash
# WeSep's own recipe on embeddings of this one: stages 1 to 4 are the top run.sh's, 5 to 7 are WeSep's training,
# inference and scoring (its examples/librimix/tse/v1/run.sh), and its model is scored here beside ours:
#   bash egs/wesep/run.sh --wesep DIR [--model NAME] [any option of the top run.sh]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
    echo "Usage: bash egs/wesep/run.sh --wesep DIR [option...]
  --wesep DIR              a checkout of WeSep, legacy layout (2024-25); it is read only
  --model NAME             a YAML of its recipe: spexplus, dpccn, bsrnn or tfgridnet [dpccn]
  --wesep_config FILE      another YAML of WeSep's to begin with [that of its recipe]
  --wesep_set KEY=VALUE    a value of WeSep's config, repeatable: --wesep_set num_epochs=2
  --wesep_python PYTHON    the Python that has WeSep's packages [python]
  --small BOOL             true: a small network and a short training, as egs/wesep/small says [true without a GPU]
The other options and stages 1 to 4, 8 and 9: bash run.sh --help"
}

wesep= network=dpccn wesep_config= wesep_python=python small= wesep_set=() others=()
while [ $# -gt 0 ]; do
    [[ $1 != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
    case $1 in
        --help | -h) usage && exit 0 ;;
        --wesep | --model | --wesep_config | --wesep_set | --wesep_python | --small)
            [ $# -gt 1 ] || { echo "egs/wesep/run.sh: $1 needs a value (see --help)" >&2 && exit 1; } ;;&
        --wesep) wesep=$2 && shift 2 ;;
        --model) network=$2 && shift 2 ;;
        --wesep_config) wesep_config=$2 && shift 2 ;;
        --wesep_set) wesep_set+=(--wesep_set "$2") && shift 2 ;;
        --wesep_python) wesep_python=$2 && shift 2 ;;
        --small) small=$2 && shift 2 ;;
        *) others+=("$1") && shift ;;
    esac
done
wesep=$(cd "$wesep" 2>/dev/null && [ -d wesep/bin ] && pwd) && [ -n "$wesep" ] || {
    echo "egs/wesep/run.sh: --wesep DIR: wanted a checkout of WeSep (see --help)" >&2 && exit 1; }
[ ! -d "$wesep/examples/audio" ] || {
    echo "egs/wesep/run.sh: $wesep is WeSep v0.1, whose own run.sh takes our export: see docs/wesep.md" >&2 && exit 1; }
case $network in
    spexplus | dpccn | bsrnn | tfgridnet) ;;
    *) echo "egs/wesep/run.sh: no model '$network'; there are: spexplus dpccn bsrnn tfgridnet" >&2 && exit 1 ;;
esac
case $small in
    "" | true | false) ;;
    *) echo "egs/wesep/run.sh: --small takes true or false, found '$small'" >&2 && exit 1 ;;
esac
[ -z "$wesep_config" ] || wesep_config=$(cd "$(dirname "$wesep_config")" && pwd)/$(basename "$wesep_config")

most_spk=2                                              # WeSep's evaluation takes no more
. "$root/run.sh" ${others[@]+"${others[@]}"}            # stages 1 to 4, and the names of what they make

[ -n "$small" ] || { [ "$ngpu" -gt 0 ] && small=false || small=true; }
[ "$small" = false ] || small=egs/wesep/small/$network.yaml
mixes=$exp/${num_spk}mix
export_dir=$mixes/for_wesep
sets=$export_dir/wesep/${num_spk}mix                    # what WeSep's run.sh calls data/NOISE
theirs=$mixes/wesep_$network
config=$theirs/config.yaml
trained=$theirs/trained
inferred=$theirs/inferred
final=$trained/models/final_checkpoint.pt
procs=$((ngpu > 0 ? ngpu : num_procs))
gpus=$(seq -s, 0 $((procs - 1)))
device=$((ngpu > 0 ? 0 : -1))
installation=(--wesep "$wesep" --python "$wesep_python" --shim egs/wesep/shim --ngpu "$ngpu" --threads "$nj"
    --export "$sets")
export WESEP_DIR=$wesep

ours() {  # NUMBER ENTRY_POINT OPTION...: a stage's work that takes no --set
    local settings=()
    run_stage "$@"
}

wesep_runs() {  # NUMBER config|train|infer|score OPTION... [-- COMMAND...]: WeSep's part of a stage
    [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ] || return 0
    [ "$mode" != print ] || printf '# '
    [ "$mode" = ask ] || echo "== stage $1: WeSep, $2 =="
    run python -m wesep_mix.bin.with_wesep "$2" --force "$force" "${@:3}" || {
        local status=$?
        warn "stage $1 (WeSep, $2) failed (status $status); mend the cause, then the same command goes on from there"
        exit "$status"
    }
}

run_stage 4 extract_embeddings --config "$conf/embeddings.yaml" --data "$mixtures" --teacher "$teacher/model.pt" \
    --student "$student/model.pt" --out "${embeddings}_train" --nj "$nj" --ngpu "$ngpu" --set "embeddings.sets=[train]"
ours 4 export_data --format wesep --data "$mixtures" --set_name train --subset train-100 --out "$export_dir" \
    --embeddings "${embeddings}_train" --nj "$nj"
ours 4 export_data --format wesep --data "$mixtures" --set_name dev test --out "$export_dir" \
    --embeddings "$embeddings" --nj "$nj"

wesep_runs 5 config --wesep "$wesep" --model "$network" ${wesep_config:+--config "$wesep_config"} \
    $([ "$small" = false ] || echo --small "$small") --data "$mixtures" --export "$sets" --num_procs "$procs" \
    --out "$config" ${wesep_set[@]+"${wesep_set[@]}"}
wesep_runs 5 train "${installation[@]}" --config "$config" --out "$trained" -- \
    "$wesep_python" -m torch.distributed.run --standalone --nnodes=1 --nproc_per_node="$procs" \
    "$wesep/wesep/bin/train.py" --config "$config" --exp_dir "$trained" --gpus "[$gpus]" --data_type shard \
    --train_data "$sets/train-100/shard.list" --train_spk_embeds "$sets/train-100/embed.scp" \
    --train_utt2spk "$sets/train-100/single.utt2spk" \
    --val_data "$sets/dev/shard.list" --val_spk_embeds "$sets/dev/embed.scp" --val_utt2spk "$sets/dev/single.utt2spk" \
    --val_spk1_enroll "$sets/dev/spk1.enroll" --val_spk2_enroll "$sets/dev/spk2.enroll" \
    --val_spk2utt "$sets/dev/single.wav.scp"
ours 5 convert_wesep import --config "$config" --checkpoint "$final" --wesep "$wesep" --out "$theirs"

wesep_runs 6 infer "${installation[@]}" --trained "$trained" --out "$inferred" -- \
    "$wesep_python" "$wesep/wesep/bin/infer.py" --config "$config" --fs 16k --gpus="$device" --exp_dir "$inferred" \
    --data_type shard --test_data "$sets/test/shard.list" --test_spk_embeds "$sets/test/embed.scp" \
    --test_spk1_enroll "$sets/test/spk1.enroll" --test_spk2_enroll "$sets/test/spk2.enroll" \
    --test_spk2utt "$sets/test/single.wav.scp" --checkpoint "$final"
run_stage 6 extract_speech --config "$conf/extract.yaml" --data "$mixtures/test" --embeddings "$embeddings/test" \
    --extractor "$theirs" --nj "$nj" --ngpu "$ngpu"

run_stage 7 score --config "$conf/score.yaml" --data "$mixtures/test" --extractor "$theirs" \
    --teacher "$teacher/model.pt" --embeddings "$embeddings/test" --nj "$nj" --ngpu "$ngpu" \
    --set score.zero_mean=true  # WeSep's SI-SNR has no means either
wesep_runs 7 score "${installation[@]}" --inferred "$inferred" --ours "$theirs/test/matched/scores" \
    --data "$mixtures/test" --out "$theirs/scored" -- \
    "$wesep_python" -m wesep.bin.score --key_file "$sets/test/single.wav.scp" --output_dir "$theirs/scored" \
    --ref_scp "$sets/test/single.wav.scp" --inf_scp "$inferred/estimates.scp" --use_pesq true

run_stage 8 analyse --config "$conf/score.yaml" --extract_config "$conf/extract.yaml" --data "$mixtures/test" \
    --single "$single/test" --teacher "$teacher/model.pt" --student "$student/model.pt" --embeddings "$embeddings" \
    --extractor "$theirs" --nj "$nj" --ngpu "$ngpu"

run_stage 9 report --corpus "$corpus" --num_spk "$num_spk" --exp "$exp" --data "$mixtures/test"

print_status
