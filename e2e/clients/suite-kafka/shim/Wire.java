package millrace.suite;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.List;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.message.ListOffsetsRequestData.ListOffsetsPartition;
import org.apache.kafka.common.message.ListOffsetsRequestData.ListOffsetsTopic;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.ListOffsetsRequest;
import org.apache.kafka.common.requests.ListOffsetsResponse;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.ResponseHeader;
import org.apache.kafka.common.utils.Utils;

/** One request to one node. */
final class Wire {
    private static final short VERSION = 7;

    private Wire() { }

    /** As the node itself has it, leader or not: what Kafka grants to its debugging replica. */
    static long offset(Node node, TopicPartition partition, long timestamp) {
        ListOffsetsRequest request = ListOffsetsRequest.Builder.forReplica(VERSION, ListOffsetsRequest.DEBUGGING_REPLICA_ID)
            .setTargetTimes(List.of(new ListOffsetsTopic().setName(partition.topic())
                .setPartitions(List.of(new ListOffsetsPartition().setPartitionIndex(partition.partition()).setTimestamp(timestamp)))))
            .build(VERSION);
        try (Socket socket = new Socket("localhost", node.port())) {
            byte[] bytes = Utils.toArray(request.serializeWithHeader(new RequestHeader(ApiKeys.LIST_OFFSETS, VERSION, "suite", 1)));
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(bytes.length);
            out.write(bytes);
            out.flush();
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            ByteBuffer buffer = ByteBuffer.wrap(answer);
            ResponseHeader.parse(buffer, ApiKeys.LIST_OFFSETS.responseHeaderVersion(VERSION));
            ListOffsetsResponse response =
                (ListOffsetsResponse) AbstractResponse.parseResponse(ApiKeys.LIST_OFFSETS, new ByteBufferAccessor(buffer), VERSION);
            var found = response.topics().get(0).partitions().get(0);
            if (found.errorCode() != 0) {
                throw new IllegalStateException("node " + node.id() + " says error " + found.errorCode() + " of " + partition);
            }
            return found.offset();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
