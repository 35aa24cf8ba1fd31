package interop;

import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.security.KeyStore;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.java_websocket.WebSocket;
import org.java_websocket.drafts.Draft_6455;
import org.java_websocket.extensions.permessage_deflate.PerMessageDeflateExtension;
import org.java_websocket.handshake.ClientHandshake;
import org.java_websocket.protocols.Protocol;
import org.java_websocket.server.DefaultSSLWebSocketServerFactory;
import org.java_websocket.server.WebSocketServer;

final class JavaWebSocketEcho extends WebSocketServer {
    private JavaWebSocketEcho(int port) {
        super(
                new InetSocketAddress("127.0.0.1", port),
                List.of(new Draft_6455(List.of(new PerMessageDeflateExtension()), List.of(new Protocol("")), Main.LARGEST)));
        setTcpNoDelay(true);
        setReuseAddr(true);
    }

    static void serve(int port, String keyStore) throws Exception {
        JavaWebSocketEcho server = new JavaWebSocketEcho(port);
        if (keyStore != null) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            try (FileInputStream file = new FileInputStream(keyStore)) {
                store.load(file, Main.PASSWORD.toCharArray());
            }
            KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
            keys.init(store, Main.PASSWORD.toCharArray());
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), null, null);
            server.setWebSocketFactory(new DefaultSSLWebSocketServerFactory(context));
        }
        server.run();
    }

    private static boolean closes(WebSocket socket) {
        if (!socket.getResourceDescriptor().equals("/close")) {
            return false;
        }
        socket.close(Main.CODE, Main.REASON);
        return true;
    }

    @Override
    public void onMessage(WebSocket socket, String message) {
        if (!closes(socket)) {
            socket.send(message);
        }
    }

    @Override
    public void onMessage(WebSocket socket, ByteBuffer message) {
        if (!closes(socket)) {
            socket.send(message);
        }
    }

    @Override
    public void onOpen(WebSocket socket, ClientHandshake handshake) {}

    @Override
    public void onClose(WebSocket socket, int code, String reason, boolean remote) {}

    @Override
    public void onError(WebSocket socket, Exception error) {
        error.printStackTrace();
    }

    @Override
    public void onStart() {}
}
