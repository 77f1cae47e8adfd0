# A server with a thread for each client:  ruby lines.rb PORT
require 'socket'

server = TCPServer.new('127.0.0.1', ARGV[0].to_i)
loop do
  Thread.start(server.accept) do |client|
    while (line = client.gets)
      client.puts "Hello #{line}"
    end
    client.close
  end
end
