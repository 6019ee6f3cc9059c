package org.testcontainers.containers;

import java.util.function.Consumer;

import org.testcontainers.containers.output.OutputFrame;
import org.testcontainers.utility.DockerImageName;

/** The class by which the tests start a broker in a container. Ours runs already, at $BOOTSTRAP; settings of a container are settings of it. */
public class KafkaContainer extends GenericContainer<KafkaContainer> {
    public KafkaContainer(DockerImageName image) {
        super(image);
    }

    public String getBootstrapServers() {
        return System.getenv("BOOTSTRAP");
    }

    @Override
    public void start() {}

    @Override
    public void stop() {}

    @Override
    public boolean isRunning() {
        return true;
    }

    @Override
    public void followOutput(Consumer<OutputFrame> consumer) {}
}
