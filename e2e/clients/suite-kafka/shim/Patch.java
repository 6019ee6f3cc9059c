package millrace.suite;

import java.io.File;

import net.bytebuddy.ByteBuddy;
import net.bytebuddy.description.method.MethodDescription;
import net.bytebuddy.dynamic.DynamicType;
import net.bytebuddy.implementation.MethodDelegation;
import net.bytebuddy.matcher.ElementMatcher;

import kafka.server.BrokerServer;
import kafka.server.ControllerServer;

import static net.bytebuddy.matcher.ElementMatchers.isBridge;
import static net.bytebuddy.matcher.ElementMatchers.isDeclaredBy;
import static net.bytebuddy.matcher.ElementMatchers.named;
import static net.bytebuddy.matcher.ElementMatchers.not;
import static net.bytebuddy.matcher.ElementMatchers.takesNoArguments;

/**
 * Writes Kafka's BrokerServer and ControllerServer anew, with the methods below handed to Servers: what a test starts and stops is then a process.
 * All else of Kafka's harnesses, of its clients and of the tests stays as the jars have it.
 */
final class Patch {
    private static final String[] BROKER = {"startup", "shutdown", "awaitShutdown", "isShutdown", "boundPort", "metadataCache", "brokerState", "replicaManager"};
    /** Calls the one with a duration. */
    private static final ElementMatcher.Junction<MethodDescription> SHUTDOWN_FOR_EVER =
        named("shutdown").and(takesNoArguments()).and(isDeclaredBy(BrokerServer.class));
    private static final String[] CONTROLLER = {"startup", "shutdown", "awaitShutdown", "metadataCache"};

    public static void main(String[] args) throws Exception {
        File into = new File(args[0]);
        write(BrokerServer.class, Servers.OfBroker.class, BROKER, into);
        write(ControllerServer.class, Servers.OfController.class, CONTROLLER, into);
    }

    private static <T> void write(Class<T> server, Class<?> ours, String[] methods, File into) throws Exception {
        DynamicType.Builder<T> patched = new ByteBuddy().redefine(server);
        for (String method : methods) {
            patched = patched.method(named(method).and(isDeclaredBy(server)).and(not(isBridge())).and(not(SHUTDOWN_FOR_EVER)))
                .intercept(MethodDelegation.withDefaultConfiguration().filter(named(method)).to(ours));
        }
        patched.make().saveIn(into);
    }
}
