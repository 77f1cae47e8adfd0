# A server to which only CR LF ends a line:  tclsh crlf_lines.tcl PORT
proc serve {channel} {
    if {[gets $channel line] >= 0} {
        puts $channel "Hello $line"
    } elseif {[eof $channel]} {
        close $channel
    }
}

proc accept {channel address port} {
    fconfigure $channel -translation crlf -buffering line -blocking 0
    fileevent $channel readable [list serve $channel]
}

socket -server accept -myaddr 127.0.0.1 [lindex $argv 0]
vwait forever
