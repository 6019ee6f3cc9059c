package millrace.suite;

import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs the tests of $CHECKS (Class.method) and prints a line for each, when its class is through. One with parameters is ok if it is with all of them. */
public final class Run implements TestExecutionListener {
    private static final String IN = "io.confluent.parallelconsumer.integrationTests.";
    private static final PrintStream ANSWERS = System.out; // the tests print too

    private final Map<String, String> answers = new LinkedHashMap<>();

    public static void main(String[] args) {
        System.setOut(System.err);
        Set<String> asked = new TreeSet<>(List.of(System.getenv("CHECKS").trim().split("\\s+")));
        for (String name : asked.stream().map(check -> check.substring(0, check.lastIndexOf('.'))).collect(Collectors.toCollection(TreeSet::new))) {
            Run run = new Run();
            LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectClass(IN + name))
                .filters((PostDiscoveryFilter) test -> FilterResult.includedIf(
                    test.getSource().map(source -> !(source instanceof MethodSource method) || asked.contains(name + "." + method.getMethodName())).orElse(true)))
                .configurationParameter("junit.jupiter.execution.timeout.default", "180 s")
                .build(), run);
            run.answers.forEach((test, answer) -> ANSWERS.println(answer.replaceFirst("\t", "\t" + name + "." + test + "\t")));
            ANSWERS.flush();
        }
        System.exit(0);
    }

    private static String nameOf(TestIdentifier test) {
        return test.getSource().map(source -> source instanceof MethodSource method ? method.getMethodName() : "class").orElse("class");
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        answers.putIfAbsent(nameOf(test), "n/a\tits own suite skips it: " + reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
            answers.putIfAbsent(nameOf(test), "n/a\tits own suite skips it");
        } else if (result.getThrowable().isPresent()) {
            Throwable thrown = result.getThrowable().get();
            System.err.println("=== " + test.getUniqueId());
            thrown.printStackTrace();
            answers.put(nameOf(test), "FAILED\t" + test.getDisplayName() + ": " + String.valueOf(thrown).replaceAll("\\s+", " "));
        } else if (test.isTest()) {
            answers.merge(nameOf(test), "ok\t", (before, now) -> before.startsWith("n/a") ? now : before);
        }
    }
}
