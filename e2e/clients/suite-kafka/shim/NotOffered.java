package millrace.suite;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Tests are asked with each of their parameters but those of parameters.txt: a pattern of their names, a tab, why. */
public final class NotOffered implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        Path file = Path.of(System.getenv("SUITE_PARAMETERS"));
        try {
            for (String line : Files.exists(file) ? Files.readAllLines(file) : java.util.List.<String>of()) {
                String[] parts = line.split("\t");
                if (!line.startsWith("#") && Pattern.compile(parts[0]).matcher(context.getDisplayName()).find()) {
                    return ConditionEvaluationResult.disabled(parts[1]);
                }
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return ConditionEvaluationResult.enabled("");
    }
}
