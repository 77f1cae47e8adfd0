#!/bin/sh
# worker: a program behind banterd that does what each line tells it, and what its arguments tell it. A line:
#
#   gate FILE [TEXT]      waits until FILE exists, then answers TEXT
#   number FILE           waits until FILE exists, then answers BANTER_WORKER
#   twice A B             answers A and B, in one write
#   more FILE A B         answers A; when FILE exists, writes B, and only then reads on
#   half TEXT             writes TEXT without a newline and ends
#   hang TEXT             writes TEXT without a newline and does nothing more
#   silent                gives no answer and reads on
#   close                 closes its output and lives on
#   exit N, signal NAME   ends so; signal STOP stops
#   child                 starts a process that holds its output open, and answers that one's number
#   child-exit N          starts one, as above, and ends
#   error TEXT, log TEXT  writes TEXT to standard error, and answers "logged"
#   crlf TEXT             answers with CR LF
#   refuse TEXT           answers "-ERR TEXT"
#   size N                answers N bytes x
#   pid, worker, count    its process, BANTER_WORKER, how many lines it has read
#   anything else         is given back
#
# An argument:
#
#   need=FILE   ends at once, with status 1, unless FILE exists
#   say=TEXT    writes TEXT, unasked, as it starts
#   log=FILE    adds each line it reads to FILE; at the end of its input "eof", at a SIGTERM "term"
#   stay        does not end at the end of its input
#   hard        ignores SIGTERM
#   args        answers each line with all its arguments, each in angle brackets, and nothing else

log=/dev/null
stay=
args=
for word; do
    case $word in
    need=*) [ -e "${word#need=}" ] || exit 1 ;;
    say=*) printf '%s\n' "${word#say=}" ;;
    log=*) log=${word#log=} ;;
    stay) stay=1 ;;
    hard) trap '' TERM ;;
    args) args=1 ;;
    esac
done
case " $* " in
*" hard "*) ;;
*) trap 'echo term >>"$log"; exit 0' TERM ;;
esac

say() { printf '%s\n' "$1"; }
forever() { while :; do sleep 0.05; done; } # short, so that a trap runs soon
await() { until [ -e "$1" ]; do sleep 0.01; done; }

count=0
while IFS= read -r line; do
    count=$((count + 1))
    printf '%s\n' "$line" >>"$log"
    if [ -n "$args" ]; then
        printf '<%s>' "$@"
        say ''
        continue
    fi
    word=${line%% *}
    rest=${line#"$word"}
    rest=${rest# }
    first=${rest%% *}
    text=${rest#"$first"}
    text=${text# }
    case $word in
    gate) await "$first" && say "$text" ;;
    number) await "$first" && say "$BANTER_WORKER" ;;
    twice) printf '%s\n%s\n' "$first" "$text" ;;
    more) say "${text%% *}" && await "$first" && say "${text#* }" ;;
    half) printf %s "$rest" && exit 0 ;;
    hang) printf %s "$rest" && forever ;;
    silent) ;;
    close) exec >&- && forever ;;
    exit) exit "$first" ;;
    signal) kill -"$first" $$ ;;
    child) sleep 1000 & say $! ;;
    child-exit) sleep 1000 & exit "$first" ;;
    error | log) printf '%s\n' "$rest" >&2 && say logged ;;
    crlf) printf '%s\r\n' "$rest" ;;
    refuse) say "-ERR $rest" ;;
    size) head -c "$first" /dev/zero | tr '\0' x && say '' ;;
    pid) say $$ ;;
    worker) say "$BANTER_WORKER" ;;
    count) say "$count" ;;
    *) say "$line" ;;
    esac
done
echo eof >>"$log"
[ -z "$stay" ] || forever
