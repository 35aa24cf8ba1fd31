package interop;

/** The servers of Java-WebSocket and Jetty (see the README of the folder above). */
public final class Main {
    static final int LARGEST = 32 << 20;
    static final int CODE = 4001;
    static final String REASON = "enough";
    static final String PASSWORD = "interop";

    /** The PKCS #12 file beside the certificate, or null without TLS. */
    static String keyStore(String[] args) {
        return args.length < 3 ? null : java.nio.file.Path.of(args[2]).resolveSibling("server.p12").toString();
    }

    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[1]);
        if (args[0].equals("jetty")) {
            JettyEcho.serve(port, keyStore(args));
        } else {
            JavaWebSocketEcho.serve(port, keyStore(args));
        }
    }
}
