# How a recipe's script runs its stages: here, as jobs, or not at all. Sourced after its options were parsed.
#
# The script has set dry_run, status, force, stage, stop_stage, nj, cmd, train_cmd, settings, and exp, the folder in
# which jobs have their logs. It calls run_stage for each stage, and print_status at its end.

[ -n "$cmd$train_cmd" ] || [ ! -f cmd.sh ] || . ./cmd.sh
: "${train_cmd:=$cmd}"
[ "$cmd" != none ] || { cmd= && unset WESEP_MIX_CMD; }
[ "$train_cmd" != none ] || { train_cmd= && unset WESEP_MIX_TRAIN_CMD; }

calls=()
run() {  # COMMAND...: runs it, or prints it as one would type it, or notes it
    case $mode in
        run) "$@" ;;
        print) printf '%q ' "$@" && echo ;;
        ask) calls+=("$#" "$@") ;;
    esac
}
mode=run
[ "$dry_run" = false ] || mode=print
[ "$status" = false ] || mode=ask

if [ "$mode" = print ]; then echo ". ./path.sh"; else . ./path.sh; fi
if [ -n "$cmd$train_cmd" ]; then
    run export WESEP_MIX_CMD="$cmd" WESEP_MIX_TRAIN_CMD="$train_cmd" WESEP_MIX_JOBS="$exp/jobs"
fi

engine() {  # NUMBER: where a stage's work goes, if not to this machine
    case $1 in
        [235]) [ -z "$train_cmd" ] || echo ", each training a job of $train_cmd" ;;
        [14678]) [ -z "$cmd" ] || echo ", up to $nj jobs of $cmd" ;;
    esac
}

run_stage() {  # NUMBER ENTRY_POINT OPTION...: does nothing if the stage was not asked for
    local number=$1 entry=$2 status=0
    shift 2
    [ "$number" -ge "$stage" ] && [ "$number" -le "$stop_stage" ] || return 0
    [ "$mode" != print ] || printf '# '
    [ "$mode" = ask ] || echo "== stage $number: ${entry//_/ }$(engine "$number") =="
    run python -m "wesep_mix.bin.$entry" "$@" --force "$force" ${settings[@]+"${settings[@]}"} || status=$?
    [ "$status" -ne 130 ] && [ "$status" -ne 143 ] || exit "$status"  # the stage has said how to go on
    [ "$status" -ne 137 ] || warn "the stage was killed from outside, often for want of memory"
    [ "$status" -eq 0 ] || {
        local again="the same command"
        [ "$force" = false ] || again+=" without --force true"
        warn "stage $number ($entry) failed (status $status); mend the cause, then $again goes on from there"
        exit "$status"
    }
}

print_status() {  # with --status true: how the stages stand that were noted
    [ "$mode" != ask ] ||
        WESEP_MIX_JOBS=$exp/jobs python -m wesep_mix.bin.status < <(printf '%s\0' "${calls[@]}")
}
