# Completion for ifuctl, ifurun and ifud. Commands, options and stages are what the
# programs' own help says; job names come from ifuctl list --names.

# Words for COMPREPLY from standard input, one per line, that begin like $1.
_ifud_words() {
    local IFS=$'\n' word
    COMPREPLY=()
    while read -r word; do
        case $word in "$1"*) COMPREPLY+=("$word") ;; esac
    done
}

_ifud_files() { _ifud_words "$1" < <(compgen -f -- "$1"); compopt -o filenames 2>/dev/null || true; }
_ifud_options() { "$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u; }
_ifud_states() {
    printf '%s\n' waiting queued running suspect done deferred held quarantined cancelled superseded
}

_ifuctl() {
    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} program=$1
    local command='' i place=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --config | --socket) place+=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}"); ((i++)) ;;
        --inbox | --timeout | --limit | --state | --program | --group | --reason) ((i++)) ;;
        -*) ;;
        *) [ -n "$command" ] || command=${COMP_WORDS[i]} ;;
        esac
    done
    case $last in
    --config | --socket | --inbox) _ifud_files "$word"; return ;;
    --state) _ifud_words "$word" < <(_ifud_states); return ;;
    --timeout | --limit | --program | --group | --reason) COMPREPLY=(); return ;;
    esac
    case $word in
    -*) _ifud_words "$word" < <(_ifud_options "$program"); return ;;
    esac
    case $command in
    '') _ifud_words "$word" < <("$program" --help 2>/dev/null | sed -n '/^COMMANDS/,/^$/s/^  \([a-z]*\).*/\1/p') ;;
    show | why | events | reduce | retry | hold | release | cancel | quarantine | priority)
        _ifud_words "$word" < <("$program" "${place[@]}" list --names --limit 500 2>/dev/null) ;;
    proceed)
        _ifud_words "$word" < <("$program" "${place[@]}" status --json 2>/dev/null |
            sed -n '/"waiting": \[/,/^  \]/s/^ *"group": "\(.*\)",*$/\1/p') ;;
    queue)
        if [ "$last" = queue ]; then
            _ifud_words "$word" < <(printf '%s\n' check backup prune)
        else
            _ifud_files "$word"
        fi ;;
    submit) _ifud_files "$word" ;;
    *) COMPREPLY=() ;;
    esac
}

_ifurun() {
    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}
    case $last in
    --save | --stop-after)
        _ifud_words "$word" < <("$1" stages | sed -n '/not built/d; s/^  \([a-z_0-9]*\): .*/\1/p' | sort -u); return ;;
    --set)
        _ifud_words "$word" < <("$1" stages | awk '
            /not built/ { next }
            /^  [a-z_0-9]+: / { s = substr($1, 1, length($1) - 1); print s ".skip="; next }
            /^    references:/ { for (i = 2; i <= NF; i++) print s ".override_" $i "="; next }
            /^    [a-z_0-9]+ / { print s "." $1 "=" }' | sort -u)
        compopt -o nospace 2>/dev/null; return 0 ;;
    --threads | --limit-* | --report-fd) COMPREPLY=(); return ;;
    esac
    case $word in
    -*) _ifud_words "$word" < <(_ifud_options "$1") ;;
    *)
        _ifud_files "$word"
        if [ "$COMP_CWORD" = 1 ]; then
            local files=("${COMPREPLY[@]}")
            _ifud_words "$word" < <(printf '%s\n' spec2 spec3 combine refs wcs stages)
            COMPREPLY+=("${files[@]}")
        fi ;;
    esac
}

_ifud() {
    local word=${COMP_WORDS[COMP_CWORD]}
    case ${COMP_WORDS[COMP_CWORD-1]} in
    --config) _ifud_files "$word" ;;
    *) _ifud_words "$word" < <(_ifud_options "$1") ;;
    esac
}

complete -F _ifuctl ifuctl
complete -F _ifurun ifurun
complete -F _ifud ifud
