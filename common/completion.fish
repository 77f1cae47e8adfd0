# Completes command lines of banter and banterd in fish (3.2 or later).
#
# The program's --help says which options and handlers there are: a list here would grow old, and be
# wrong for another version of the program. What an argument can be depends on the name that --help
# gives it, such as CODEC; any other name is a number or a duration.

# Offers files for what is typed behind a beginning, such as "unix:", or that beginning.
function __banter_files --argument-names beginning
    # fish completes what stands behind "--connect=" or "-c", but gives the whole word.
    set -l option '^(--[a-z-]+=|-[A-Za-z]+?(?='$beginning'))'
    set -l typed (commandline -ct | string replace -r $option '')
    if string match -q -- "$beginning*" "$typed"
        string join \n -- $beginning(__fish_complete_path (string replace -- $beginning '' $typed))
    else
        echo $beginning
    end
end

# Offers the values that an argument can have, by its name; behind it are the handlers.
function __banter_values --argument-names name
    switch $name
        case CASE
            printf '%s\n' never stopping lost
        case CODEC
            printf '%s\n' line crlf block netstring raw
        case POLICY
            printf '%s\n' never lost
        case WHEN
            printf '%s\n' auto always never
        case FORM
            printf '%s\n' text timed json
        case WHERE
            printf '%s\n' log reply
        case END
            printf '%s\n' newline waits line: none
        case NAME
            string match --invert '*:*' -- $argv[2..]
            string match -rg '^(.*:)(?!FILE$)' -- $argv[2..]
            for handler in (string match '*:FILE' -- $argv[2..])
                __banter_files (string replace FILE '' -- $handler)
            end
        case ADDRESS
            set -l tls (commandline -ct |
                string match -rg '^(?:--[a-z-]+=|-[A-Za-z]+?(?=tls:))?(tls:)')
            printf "$tls%s\n" (string replace -r "^$tls" '' -- $BANTER_ADDRESS) 127.0.0.1:8000 \
                (__fish_print_hostnames):8000
            __banter_files "$tls"unix:
            set -q tls[1]; or echo tls:
        case WHO
            printf '%s\n' user: group: CN= DNS: URI:
            __banter_files @
        case MODE
            printf '%s\n' 600 660 666
        case GROUP
            __fish_complete_groups
    end
end

# Whether an option can be next: not behind the first message, nor behind "--". Where argparse
# fails, an option awaits its argument, or is unknown.
function __banter_is_option_next
    set -l words (commandline -opc)
    contains -- -- $words; and return 1
    set -l options __banter_options_$argv
    while set -q words[1] # a file of options is followed by more of them
        argparse --stop-nonopt $$options -- $words[2..] 2>/dev/null; or return 0
        set words $argv
        string match -q '@*' -- "$words[1]"; or break
    end
    not set -q words[1]
end

function __banter_is_program_next
    contains -- -- (commandline -opc)
end

# Completes the program behind "--", and its arguments, as a command line of its own.
function __banter_program
    set -l words (commandline -opc)
    set -l first (math (contains --index -- -- $words) + 1)
    complete -C (string join ' ' -- (string escape -- $words[$first..]) (commandline -ct))
end

# Says what a program's options are, as its --help does. They are kept as argparse wants them.
function __banter_complete --argument-names program
    set -l help (command $program --help 2>/dev/null </dev/null | string collect)
    set -l lines (string replace -ra '\n {9,}' '  ' -- $help | string split \n) # no broken ones
    set -l handlers (string match -rg '^  ([a-z][a-z-]*(?::[A-Z]+)?)' -- $lines)
    set -l pattern '^  (?:-(?<letter>[A-Za-z]),|   ) --(?<name>[a-z-]+)' \
        '(?:(?<between>\[=| )(?<argument>[A-Z]+)\]?)? +(?<text>.*)'
    set -l options
    complete -c $program --erase
    complete -c $program -f
    for line in $lines
        string match -rq (string join '' -- $pattern) -- $line; or continue
        set -l how -l $name -d (string replace -ra ' +' ' ' -- $text)
        set -a how -n "__banter_is_option_next $program"
        set -q letter[1]; and set -a how -s $letter
        switch "$between$argument"
            case ''
                set -a options (string join / -- $letter $name)
            case '[=*'
                set -a options (string join / -- $letter $name)'=?'
            case '*'
                set -a options (string join / -- $letter $name)=
                set -a how --require-parameter
        end
        switch "$argument"
            case ''
            case FILE
                set -a how --force-files
            case '*'
                set -a how --no-files -a "(__banter_values $argument $handlers)"
        end
        complete -c $program $how
    end
    set -g __banter_options_$program $options
    string match -q '*@FILE*' -- $lines[1]
    and complete -c $program -n "__banter_is_option_next $program" -a '(__banter_files @)'
    string match -q '*[-- PROGRAM*' -- $lines[1]; or return
    complete -c $program -n "__banter_is_option_next $program" -a -- -d 'behind it the program'
    complete -c $program -n __banter_is_program_next -a '(__banter_program)'
end

# fish reads this when either is completed for the first time, and only if that one is in PATH.
for program in banter banterd
    command -q $program; and __banter_complete $program
end
