# shellcheck shell=bash
#
# Completes command lines of banter and banterd in bash (4.3 or later), with or without the package
# bash-completion.
#
# The program's --help, which takes some milliseconds, says which options and handlers there are: a
# list here would grow old, and be wrong for another version of the program. What an argument can be
# depends on the name that --help gives it, such as CODEC; any other name is a number or a duration.
#
# The functions share the local variables of _banter:
#     word    the word at the cursor, up to the cursor, without quotes
#     kept    the beginning of it that bash keeps; candidates replace the rest. Of "--framing=li" it
#             keeps "--framing=", since "=" is one of COMP_WORDBREAKS
#     value   the part of the word that is an option's argument: all of it, or what follows
#             "--framing=" or "-f"

# Puts the command line up to the cursor into `words`, whole and without quotes, and the index in
# COMP_WORDS at which each begins into `starts`: to bash "unix:/tmp/x" is three words.
_banter_words() {
    local rest=${COMP_LINE:0:COMP_POINT} i piece gap
    for ((i = 0; i <= COMP_CWORD; i++)); do
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        piece=${COMP_WORDS[i]}
        ((i < COMP_CWORD)) || piece=$rest # without what follows the cursor
        rest=${rest#"$piece"}
        piece=${piece//[\"\'\\]/}
        if [[ -n $gap || $i == 0 ]]; then
            words+=("$piece")
            starts+=("$i")
        else
            words[-1]+=$piece
        fi
    done
}

# Reads --help. `arguments` gets the name of each option's argument, by its long and short form:
# "CODEC"; "[T" for an optional one; "" for none. `names` gets the long forms in their order,
# `handlers` the handlers, such as "echo" and "plugin:FILE", `synopsis` the first line.
_banter_help() { # PROGRAM
    local line heading='' name program=${1/#'~/'/"$HOME/"}
    local option='^  (-([A-Za-z]),|   ) --([a-z-]+)(\[=| )?([A-Z]*)'
    local handler='^  ([a-z-]+(:[A-Z]+)?)'
    type -P -- "$program" >/dev/null || program=${program##*/}
    while IFS= read -r line; do
        [[ -n $synopsis ]] || synopsis=$line
        [[ $line == ' '* ]] || heading=$line
        [[ $heading != Handlers: || ! $line =~ $handler ]] || handlers+=("${BASH_REMATCH[1]}")
        [[ $line =~ $option ]] || continue
        name=--${BASH_REMATCH[3]}
        names+=("$name")
        arguments[$name]=${BASH_REMATCH[4]%[= ]}${BASH_REMATCH[5]}
        [[ -z ${BASH_REMATCH[2]} ]] || arguments[-${BASH_REMATCH[2]}]=${arguments[$name]}
    done < <("$program" --help 2>/dev/null </dev/null)
}

# Sets `argument` for an option as it was typed; a long name may be cut if it is unambiguous.
_banter_find() { # OPTION
    local name found=("$1")
    if [[ -z ${arguments[$1]+known} ]]; then
        found=()
        for name in "${names[@]}"; do
            [[ $name != "$1"* ]] || found+=("$name")
        done
    fi
    argument=
    [[ ${#found[@]} != 1 ]] || argument=${arguments[${found[0]}]}
}

# Takes a word with a dash apart: `argument` is the name of the argument that is attached to it, as
# `value`, or that it `awaits` as the next word.
_banter_look() { # WORD
    local i
    argument='' value='' awaits='' attached=''
    case $1 in
    --*=*)
        _banter_find "${1%%=*}"
        value=${1#*=} attached=yes
        ;;
    --*)
        _banter_find "$1"
        [[ -z $argument || $argument == '['* ]] || awaits=yes
        ;;
    *)
        for ((i = 1; i < ${#1}; i++)); do
            argument=${arguments[-${1:i:1}]-}
            [[ -n $argument ]] || continue
            value=${1:i+1}
            if [[ -n $value ]]; then
                attached=yes
            elif [[ $argument != '['* ]]; then
                awaits=yes
            fi
            break
        done
        ;;
    esac
    argument=${argument#'['}
}

# Offers the words that begin with the one at the cursor.
_banter_offer() { # WORD...
    local candidate
    for candidate; do
        [[ $candidate != "$word"* ]] || COMPREPLY+=("${candidate#"$kept"}")
    done
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *[:/=@] ]] || compopt -o nospace
}

# Offers files for the part of the word that follows this beginning.
_banter_files() { # BEGINNING
    local file files=()
    while IFS= read -r file; do
        [[ ! -d ${file/#'~/'/"$HOME/"} ]] || file+=/
        files+=("$1$file")
    done < <(compgen -f -- "${word#"$1"}")
    _banter_offer "${files[@]}"
    compopt -o filenames # so that they are quoted
}

# Offers files behind @. readline would quote that, too.
_banter_option_files() {
    local i
    _banter_files @
    compopt +o filenames
    for i in "${!COMPREPLY[@]}"; do
        printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]}"
    done
}

# Offers the values that an argument can have.
_banter_values() { # NAME
    local tls='' lead hosts kinds groups
    if [[ $1:$value == ADDRESS:tls:* ]]; then
        tls=tls:
        value=${value#tls:} # what is in front of it leads to it
    fi
    lead=${word%"$value"}
    case $1:$value in
    CASE:*) _banter_offer "$lead"{never,stopping,lost} ;;
    CODEC:*) _banter_offer "$lead"{line,crlf,block,netstring,raw} ;;
    END:*) _banter_offer "$lead"{newline,waits,line:,none} ;;
    WHERE:*) _banter_offer "$lead"{log,reply} ;;
    FORM:*) _banter_offer "$lead"{text,timed,json} ;;
    POLICY:*) _banter_offer "$lead"{never,lost} ;;
    WHEN:*) _banter_offer "$lead"{auto,always,never} ;;
    NAME:*:*)
        [[ " ${handlers[*]} " != *" ${value%%:*}:FILE "* ]] || _banter_files "$lead${value%%:*}:"
        ;;
    NAME:*)
        kinds=("${handlers[@]/%:*/:}")
        _banter_offer "${kinds[@]/#/$lead}"
        ;;
    ADDRESS:unix:*) _banter_files "${lead}unix:" ;;
    ADDRESS:*)
        mapfile -t hosts < <(compgen -A hostname -P "$lead" -S :8000)
        [[ -n $tls ]] || hosts+=("${lead}tls:")
        _banter_offer ${BANTER_ADDRESS:+"$lead${BANTER_ADDRESS#"$tls"}"} \
            "$lead"{127.0.0.1:8000,unix:} "${hosts[@]}"
        ;;
    FILE:*) _banter_files "$lead" ;;
    WHO:@*) _banter_files "$lead@" ;;
    WHO:*) _banter_offer "$lead"{user:,group:,CN=,DNS:,URI:,@} ;;
    MODE:*) _banter_offer "$lead"{600,660,666} ;;
    GROUP:*)
        mapfile -t groups < <(compgen -g -P "$lead")
        _banter_offer "${groups[@]}"
        ;;
    esac
}

# Completes a program and its arguments as a command line of its own.
_banter_command() { # INDEX-IN-COMP_WORDS
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif [[ $COMP_CWORD == "$1" && $word != */* ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
    else
        compopt -o default
    fi
}

_banter() { # PROGRAM END-OF-WORD
    local words=() starts=() names=() handlers=() synopsis='' separator=()
    local argument value awaits attached i
    local -A arguments=()
    COMPREPLY=()
    _banter_words
    _banter_help "$1"
    [[ $synopsis != *'[-- PROGRAM'* ]] || separator=(--)
    local word=${words[-1]}
    local kept=${word%"${2//[\"\'\\]/}"}

    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        if [[ ${words[i]} == -- ]]; then
            [[ ${#separator[@]} == 0 ]] || _banter_command "${starts[i + 1]}"
            return
        fi
        [[ ${words[i]} != @* || $synopsis != *@FILE* ]] || continue
        [[ ${words[i]} == -?* ]] || return 0 # after the first message all are messages
        _banter_look "${words[i]}"
        [[ -z $awaits ]] || ((++i))
    done
    if ((i == ${#words[@]})); then # the option before awaits it
        value=$word
        _banter_values "$argument"
        return
    fi
    if [[ $word == @* && $synopsis == *@FILE* ]]; then
        _banter_option_files
        return
    fi
    [[ -z $word || $word == -* ]] || return 0
    _banter_look "$word"
    if [[ -n $attached ]]; then
        _banter_values "$argument"
    elif [[ $word == -[A-Za-z]* ]]; then
        _banter_offer "$word"
    else
        _banter_offer "${names[@]}" "${separator[@]}"
    fi
}

complete -o bashdefault -F _banter banter banterd
