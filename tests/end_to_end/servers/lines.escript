#!/usr/bin/env escript
%% A server with a process for each client:  escript lines.escript PORT
main([Port]) ->
    {ok, Listener} = gen_tcp:listen(list_to_integer(Port),
                                    [binary, {packet, line}, {active, false}, {ip, {127, 0, 0, 1}}, {reuseaddr, true}]),
    accept(Listener).

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive go -> serve(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener).

serve(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line} ->
            ok = gen_tcp:send(Socket, [<<"Hello ">>, Line]),
            serve(Socket);
        {error, closed} ->
            ok = gen_tcp:close(Socket)
    end.
