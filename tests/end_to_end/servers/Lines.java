import java.io.*;
import java.net.*;

/** A server with a thread for each client: java Lines.java PORT */
class Lines {
    public static void main(String[] arguments) throws IOException {
        try (var listener = new ServerSocket(Integer.parseInt(arguments[0]), 50, InetAddress.getLoopbackAddress())) {
            while (true) {
                var socket = listener.accept();
                new Thread(() -> serve(socket)).start();
            }
        }
    }

    private static void serve(Socket socket) {
        try (socket;
             var in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
             var out = new PrintWriter(socket.getOutputStream(), true)) {
            for (var line = in.readLine(); line != null; line = in.readLine())
                out.println("Hello " + line);
        } catch (IOException ignored) {
            // the client is gone
        }
    }
}
