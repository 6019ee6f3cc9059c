package millrace.suite;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;

/** What a node tells over HTTP. */
final class Metrics {
    private Metrics() { }

    static boolean ready(int port) {
        return get(port, "/readyz") != null;
    }

    /** -1 of what isn't told. */
    static long read(int port, String name) {
        String page = get(port, "/metrics");
        if (page != null) {
            for (String line : page.split("\n")) {
                if (line.startsWith(name + " ")) {
                    return (long) Double.parseDouble(line.substring(name.length() + 1));
                }
            }
        }
        return -1;
    }

    /** Null of what doesn't answer with 200. */
    private static String get(int port, String path) {
        try {
            HttpURLConnection connection = (HttpURLConnection) URI.create("http://127.0.0.1:" + port + path).toURL().openConnection();
            connection.setConnectTimeout(2_000);
            connection.setReadTimeout(5_000);
            if (connection.getResponseCode() != 200) {
                return null;
            }
            try (InputStream body = connection.getInputStream()) {
                return new String(body.readAllBytes(), StandardCharsets.UTF_8);
            }
        } catch (IOException e) {
            return null;
        }
    }
}
