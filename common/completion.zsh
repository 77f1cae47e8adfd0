#compdef banter banterd
#
# Completes command lines of banter and banterd in zsh (5.0 or later).
#
# The program's --help, which takes some milliseconds, says which options and handlers there are: a
# list here would grow old, and be wrong for another version of the program. What an argument can be
# depends on the name that --help gives it, such as CODEC; any other name is a number or a duration.
#
# The functions share the local variables of _banter:
#     specs      the options, as _arguments wants them
#     handlers   such as "echo" and "plugin:FILE"
#     synopsis   the first line of --help
# Those for an argument's values are given options for compadd.

_banter_ends() {
    compadd "$@" - newline waits none
    compadd "$@" -S '' - line:
}

_banter_handlers() {
    local handler
    for handler in ${(M)handlers:#*:FILE}; do
        if compset -P ${handler%FILE}; then
            _files "$@"
            return
        fi
        compadd "$@" -S '' - ${handler%FILE}
    done
    for handler in ${${(M)handlers:#*:*}:#*:FILE}; do
        compadd "$@" -S '' - ${handler%%:*}:
    done
    compadd "$@" - ${handlers:#*:*}
}

_banter_addresses() {
    local tls
    ! compset -P tls: || tls=tls:
    if compset -P unix:; then
        _files "$@"
        return
    fi
    compadd "$@" - ${BANTER_ADDRESS#$tls} 127.0.0.1:8000
    compadd "$@" -S '' - unix:
    [[ -n $tls ]] || compadd "$@" -S '' - tls:
    _hosts "$@" -S :8000
}

_banter_option_files() {
    ! compset -P @ || _files "$@"
}

_banter_who() {
    if compset -P @; then
        _files "$@"
        return
    fi
    compadd "$@" -S '' - user: group: CN= DNS: URI: @
}

_banter_help() { # PROGRAM
    local help line heading letter name between argument text option
    local -a match mbegin mend
    local -A actions=(
        CASE '(never stopping lost)'
        CODEC '(line crlf block netstring raw)'
        POLICY '(never lost)'
        WHEN '(auto always never)'
        FORM '(text timed json)'
        WHERE '(log reply)'
        END _banter_ends
        NAME _banter_handlers
        ADDRESS _banter_addresses
        FILE _files
        WHO _banter_who
        MODE '(600 660 666)'
        GROUP _groups
    )
    local pattern='^  (-([A-Za-z]),|   ) --([a-z-]+)((\[=| )([A-Z]+)\]?)? +(.*)'
    help=$(_call_program options $1 --help 2>/dev/null </dev/null)
    help=${help//$'\n'         ##/  } # no broken lines
    for line in ${(f)help}; do
        : ${synopsis:=$line}
        [[ $line == ' '* ]] || heading=$line
        if [[ $heading == Handlers: && $line =~ '^  ([a-z-]+(:[A-Z]+)?)' ]]; then
            handlers+=($match[1])
        elif [[ $line =~ $pattern ]]; then
            letter=$match[2] name=$match[3] between=$match[5] argument=$match[6]
            text=${${match[7]//  ##/ }//(#m)[\]\[\\]/\\$MATCH}
            case $between in
            ' ') option="+[$text]:$argument:$actions[$argument]" ;;
            '[=') option="-[$text]::$argument:$actions[$argument]" ;;
            *) option="[$text]" ;;
            esac
            # An option can be given again.
            [[ -z $letter ]] || specs+=("*-$letter$option")
            [[ -z $between ]] || name+==
            specs+=("*--$name${option#+}")
        fi
    done
}

_banter() {
    local synopsis
    local -a specs handlers
    _banter_help $words[1]
    # Behind "--" is the program, with its arguments a command line of its own.
    # @FILE stands in the place of an option, and is none of the operands.
    if [[ $synopsis == *'[-- PROGRAM'* ]] && (( ${words[(i)--]} < CURRENT )); then
        specs+=('*:::program:_normal')
    elif [[ $synopsis == *@FILE* ]]; then
        specs+=('*:file of options:_banter_option_files')
    fi
    _arguments -s -S -A '[-@]*' : $specs
}

_banter "$@"
