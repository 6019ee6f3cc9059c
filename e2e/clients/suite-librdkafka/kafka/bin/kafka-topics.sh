#!/usr/bin/env bash
exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$MILLRACE_E2E_CACHE/java/tools/libs/*" org.apache.kafka.tools.TopicCommand "$@"
