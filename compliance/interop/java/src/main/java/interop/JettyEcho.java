package interop;

import java.nio.ByteBuffer;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/** Public, for Jetty to find its methods. */
public final class JettyEcho implements Session.Listener.AutoDemanding {
    private final boolean closes;
    private Session session;

    private JettyEcho(boolean closes) {
        this.closes = closes;
    }

    static void serve(int port, String keyStore) throws Exception {
        Server server = new Server();
        HttpConfiguration configuration = new HttpConfiguration();
        ServerConnector connector;
        if (keyStore == null) {
            connector = new ServerConnector(server, new HttpConnectionFactory(configuration));
        } else {
            configuration.addCustomizer(new SecureRequestCustomizer(false));
            SslContextFactory.Server keys = new SslContextFactory.Server();
            keys.setKeyStorePath(keyStore);
            keys.setKeyStorePassword(Main.PASSWORD);
            connector = new ServerConnector(
                    server, new SslConnectionFactory(keys, "http/1.1"), new HttpConnectionFactory(configuration));
        }
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        server.addConnector(connector);
        server.setHandler(WebSocketUpgradeHandler.from(server, container -> {
            container.setMaxTextMessageSize(Main.LARGEST);
            container.setMaxBinaryMessageSize(Main.LARGEST);
            container.addMapping("/echo", (request, response, callback) -> new JettyEcho(false));
            container.addMapping("/close", (request, response, callback) -> new JettyEcho(true));
        }));
        server.start();
        server.join();
    }

    @Override
    public void onWebSocketOpen(Session opened) {
        session = opened;
    }

    @Override
    public void onWebSocketText(String message) {
        if (closes) {
            session.close(Main.CODE, Main.REASON, Callback.NOOP);
        } else {
            session.sendText(message, Callback.NOOP);
        }
    }

    @Override
    public void onWebSocketBinary(ByteBuffer message, Callback callback) {
        session.sendBinary(message, callback);
    }
}
