package millrace.suite;

import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

import kafka.server.SharedServer;

import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs the tests of $CHECKS (package.Class.method, or package.Class for all of it) and prints a line for each: ok|FAILED|n/a, a tab, its name, a
 * tab, words. A test with parameters is ok if it is with all of them. Stack traces go to suite.log beside the nodes' logs.
 */
public final class Run implements TestExecutionListener {
    private static final Path LOG = Path.of(System.getenv("MILLRACE_E2E_STATE")).resolve("suite.log");
    private static final Set<Class<?>> WRAPPERS = Set.of(RuntimeException.class, ExecutionException.class, CompletionException.class);
    /** Tools print to the standard output. */
    private static final PrintStream ANSWERS = System.out;
    private static volatile String current = "none";

    private final Set<String> asked;
    private final Map<String, Outcome> outcomes = new LinkedHashMap<>();
    private long began;
    private Set<SharedServer> before = Set.of(); // nodes of the class, when a test begins

    private static final class Outcome {
        int passed;
        int milliseconds;
        String failure;
        String absence;
    }

    public static void main(String[] args) {
        Set<String> asked = new LinkedHashSet<>(List.of(System.getenv("CHECKS").trim().split("\\s+")));
        System.setOut(System.err);
        Set<String> classes = new LinkedHashSet<>();
        asked.forEach(name -> classes.add(isClass(name) ? name : name.substring(0, name.lastIndexOf('.'))));
        for (String name : classes) {
            Run run = new Run(asked);
            LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectClass(name))
                .filters((PostDiscoveryFilter) test -> FilterResult.includedIf(
                    test.getSource().map(source -> !(source instanceof MethodSource) || run.isAsked(name, (MethodSource) source)).orElse(true)))
                .configurationParameter("junit.jupiter.extensions.autodetection.enabled", "true")
                .configurationParameter("junit.jupiter.execution.timeout.testable.method.default", "300 s")
                .configurationParameter("junit.jupiter.execution.timeout.lifecycle.method.default", "300 s")
                .build();
            run.className = name;
            LauncherFactory.create().execute(request, run);
            Node.endAllBut(Set.of());
            run.print();
        }
        System.exit(0);
    }

    private String className;

    private Run(Set<String> asked) {
        this.asked = asked;
    }

    /** The test that runs, as part of a file's name. */
    static String current() {
        return current;
    }

    private static boolean isClass(String name) {
        return Character.isUpperCase(name.charAt(name.lastIndexOf('.') + 1));
    }

    private boolean isAsked(String in, MethodSource method) {
        return asked.contains(in) || asked.contains(in + "." + method.getMethodName());
    }

    private String nameOf(TestIdentifier test) {
        TestSource source = test.getSource().orElse(null);
        return source instanceof MethodSource method ? className + "." + method.getMethodName() : null;
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        if (test.isTest()) {
            String name = nameOf(test);
            current = name == null ? "none" : name.substring(name.lastIndexOf('.', name.lastIndexOf('.') - 1) + 1);
            before = Node.all();
            began = System.nanoTime();
        }
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        String name = nameOf(test);
        if (name != null) {
            outcome(name).absence = "Kafka skips it: " + reason;
        }
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        Set<String> beyond = Beyond.takeAsked();
        if (test.isTest()) {
            Node.endAllBut(before);
        }
        String name = nameOf(test);
        Throwable thrown = result.getThrowable().orElse(null);
        if (name == null) {
            if (thrown != null) {
                log(className, thrown);
                if (outcomes.isEmpty()) { // else it is what its tests have left behind, and they are told
                    outcome(className).failure = words(thrown);
                }
            }
            return;
        }
        Outcome outcome = outcome(name);
        if (thrown == null) {
            if (test.isTest()) {
                outcome.passed++;
                outcome.milliseconds += (int) ((System.nanoTime() - began) / 1_000_000);
            }
            return;
        }
        Optional<String> looks = beyond.isEmpty() ? looksInside(thrown) : Optional.of("looks into the JVM broker: " + String.join(", ", beyond));
        if (looks.isPresent() || result.getStatus() == TestExecutionResult.Status.ABORTED) {
            outcome.absence = looks.orElseGet(() -> words(thrown));
        } else {
            outcome.failure = test.getDisplayName() + ": " + words(thrown);
        }
        log(name + " " + test.getDisplayName(), thrown);
    }

    /** A part of Kafka's servers that Insides doesn't furnish is null. A node that was asked for what isn't offered doesn't start. */
    private static Optional<String> looksInside(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            String message = String.valueOf(cause.getMessage());
            if (message.contains("is not offered")) {
                return Optional.of(message.replaceAll("(?s).*error: (.*?is not offered[^|]*).*", "$1"));
            }
            if (cause instanceof NullPointerException && message.matches("(?s).*\"kafka\\.server\\.(KafkaBroker|BrokerServer|ControllerServer|SharedServer)\\..*is null.*")) {
                return Optional.of("looks into the JVM broker: " + message.replaceAll("(?s).*\"kafka\\.server\\.([^(]*)\\(.*", "$1"));
            }
        }
        return Optional.empty();
    }

    private Outcome outcome(String name) {
        return outcomes.computeIfAbsent(name, any -> new Outcome());
    }

    private void print() {
        outcomes.forEach((name, outcome) -> {
            if (outcome.failure != null) {
                line("FAILED", name, outcome.failure);
            } else if (outcome.passed > 0 || outcome.absence == null) {
                line("ok", name, "(%d run, %.1f s)".formatted(outcome.passed, outcome.milliseconds / 1000.0));
            } else {
                line("n/a", name, outcome.absence);
            }
        });
    }

    private static void line(String result, String name, String words) {
        ANSWERS.println(result + "\t" + name + "\t" + words);
        ANSWERS.flush();
    }

    /** Of the cause, where what was thrown only wraps it. */
    private static String words(Throwable thrown) {
        Throwable cause = thrown;
        while (cause.getCause() != null && (cause.getMessage() == null || WRAPPERS.contains(cause.getClass()))) {
            cause = cause.getCause();
        }
        String text = cause.getClass().getSimpleName() + ": " + cause.getMessage();
        return text.substring(0, Math.min(300, text.length())).replaceAll("\\s+", " ");
    }

    private static void log(String name, Throwable thrown) {
        StringWriter text = new StringWriter();
        thrown.printStackTrace(new PrintWriter(text));
        try {
            List<String> lines = new ArrayList<>(List.of("=== " + name));
            lines.addAll(text.toString().lines().toList());
            Files.write(LOG, lines, java.nio.file.StandardOpenOption.CREATE, java.nio.file.StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
