package millrace.suite;

import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;

import org.opentest4j.TestAbortedException;

/** A test asks for what only a broker inside this JVM could have: it says nothing about a broker at an address. */
final class Beyond extends TestAbortedException {
    private static final Set<String> ASKED = new ConcurrentSkipListSet<>();

    private Beyond(String what) {
        super(what);
    }

    static Beyond the(String what) {
        ASKED.add(what);
        return new Beyond("looks into the JVM broker: " + what);
    }

    /** What was asked for since the last call: harnesses catch what is thrown while they wait. */
    static Set<String> takeAsked() {
        Set<String> asked = Set.copyOf(ASKED);
        ASKED.clear();
        return asked;
    }
}
