"""The first tutorial's server, with what its text leaves out filled in: it has no message boundaries, answers
"-" to everything, and closes when what it read holds --QUIT--.

Prints the tutorial's transcript, the port at the end of its second line.
"""
import socket
import sys
import traceback
from threading import Thread


def main():
    start_server()


def start_server():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    print("Socket created", flush=True)
    listener.bind(("127.0.0.1", 0))
    listener.listen(6)
    print("Socket now listening on", listener.getsockname()[1], flush=True)
    while True:
        connection, address = listener.accept()
        ip, port = str(address[0]), str(address[1])
        print("Connected with " + ip + ":" + port, flush=True)
        try:
            Thread(target=serve, args=(connection, ip, port), daemon=True).start()
        except RuntimeError:
            print("Thread did not start.", flush=True)
            traceback.print_exc()


def serve(connection, ip, port, max_buffer_size=5120):
    is_active = True
    while is_active:
        request = receive(connection, max_buffer_size)
        if "--QUIT--" in request:
            print("Client is requesting to quit", flush=True)
            connection.close()
            print("Connection " + ip + ":" + port + " closed", flush=True)
            is_active = False
        else:
            print("Processed result: {}".format(request), flush=True)
            connection.sendall("-".encode("utf8"))


def receive(connection, max_buffer_size):
    data = connection.recv(max_buffer_size)
    size = sys.getsizeof(data)
    if size > max_buffer_size:
        print("The input size is greater than expected {}".format(size), flush=True)
    text = data.decode("utf8").rstrip()
    print("Processing the input received from client", flush=True)
    return "Hello " + text.upper()


if __name__ == "__main__":
    main()
