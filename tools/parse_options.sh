# Command-line options of a recipe, Kaldi's way. Sourced: `. tools/parse_options.sh "$@"`.
#
# Every option is a variable that the caller has set to its default, and a line `  --name ...` of the caller's
# $help_message: what is not in the help text is unknown. `--opt-name v`, `--opt_name v` and `--opt_name=v`
# all set opt_name. A default of true or false takes only these two; an array collects (a repeatable option).

program=${program:-$(basename "$0")}

warn() { echo "$program: $1" >&2; }

die() { warn "$1" && exit 1; }

check_integer() {  # NAME MIN [MAX]: stops unless the option's value is a whole number in that range
    local value=${!1} range="a whole number from $2 on"
    [ $# -lt 3 ] || range="a whole number from $2 to $3"
    [[ $value =~ ^(0|[1-9][0-9]{0,5})$ ]] && [ "$value" -ge "$2" ] && [ "$value" -le "${3:-999999}" ] ||
        die "--$1 takes $range, found '$value'"
}

check_pairs() {  # NAME FORM VALUE...: stops unless every value of the repeatable option is of the form key=value
    local name=$1 form=$2 value
    for value in "${@:3}"; do
        [[ $value == ?*=* ]] || die "--$name takes $form, found '$value'"
    done
}

check_listed() {  # NAME PATH...: stops unless the option's value is the name of one of these files or folders
    local path found=""
    for path in "${@:2}"; do
        path=${path%/} && found+=" $(basename "$path" .yaml)"
    done
    [[ ${!1} =~ ^[^[:space:]]+$ && "$found " == *" ${!1} "* ]] || die "no $1 '${!1}' in $(dirname "$2"); there are:$found"
}

set_option() {  # NAME VALUE
    if [[ $(declare -p "$1") == "declare -a"* ]]; then
        num_collected=$((${num_collected:-0} + 1))
        printf -v "$1[$num_collected]" %s "$2"
        return
    fi
    case "${!1}:$2" in
        true:true | true:false | false:true | false:false) ;;
        true:* | false:*) die "--$1 takes true or false, found '$2'" ;;
    esac
    printf -v "$1" %s "$2"
}

parse_options() {
    local _arg _name
    while [ $# -gt 0 ]; do
        _arg=$1 && shift
        case "$_arg" in
            --help | -h) printf '%s\n' "$help_message" && exit 0 ;;
            --*) ;;
            *) die "unexpected argument '$_arg': every option is --name value (see bash $program --help)" ;;
        esac
        _name=${_arg#--} && _name=${_name%%=*} && _name=${_name//-/_}
        [[ $_name =~ ^[a-z][a-z0-9_]*$ ]] && [[ $help_message == *$'\n'"  --$_name "* ]] ||
            die "unknown option ${_arg%%=*} (see bash $program --help)"
        if [[ $_arg == *=* ]]; then
            set_option "$_name" "${_arg#*=}"
        else
            { [ $# -gt 0 ] && [[ $1 != --* ]]; } || die "--$_name needs a value (see bash $program --help)"
            set_option "$_name" "$1" && shift
        fi
    done
}

parse_options "$@"
