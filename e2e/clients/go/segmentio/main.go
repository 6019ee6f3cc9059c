// kafka-go asked what checks.txt lists.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"millrace/e2e/clients/internal/check"
)

const partitions = 4

func main() {
	if len(os.Args) == 5 && os.Args[1] == "member" {
		member(os.Args[2], os.Args[3])
		return
	}
	check.Run(map[string]check.Check{
		"codecs": codecs, "groups-join-leave": joinLeave, "groups-crash": groupCrash,
		"groups-static":      check.NotOffered("kafka-go has no static membership"),
		"groups-cooperative": check.NotOffered("kafka-go has no cooperative assignor"),
		"groups-kip848":      check.NotOffered("kafka-go has no consumer protocol of KIP-848"),
		"topics":             topics, "configs": configs,
		"delete-records":  check.NotOffered("kafka-go has no call for it"),
		"groups-admin":    groupsAdmin,
		"broker-killed":   check.NotOffered("kafka-go has no idempotent producer"),
		"offsets-by-time": offsetsByTime, "small-fetch": smallFetch, "large-message": largeMessage,
		"auto-create": autoCreate, "unknown-topic": unknownTopic,
	})
}

var cl = &kafka.Client{Addr: kafka.TCP(check.Bootstrap()...), Timeout: 20 * time.Second}

func newTopic(ctx context.Context, parts int, entries ...kafka.ConfigEntry) string {
	name := check.Name("kafkago")
	done, err := cl.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: name, NumPartitions: parts,
		ReplicationFactor: check.Copies(), ConfigEntries: entries}}})
	check.Must("create", err)
	check.Must("create "+name, done.Errors[name])
	check.Eventually(ctx, "the new topic has leaders", 10*time.Second, func() bool {
		described, err := cl.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
		check.Must("metadata", err)
		return described.Topics[0].Error == nil && len(described.Topics[0].Partitions) == parts
	})
	return name
}

// byNumber is a balancer that puts a message where its record says (in WriterData).
type byNumber struct{}

func (byNumber) Balance(message kafka.Message, parts ...int) int { return message.WriterData.(int) }

func produce(ctx context.Context, topic string, records []check.Record, change func(*kafka.Writer)) error {
	writer := &kafka.Writer{Addr: cl.Addr, Topic: topic, Balancer: byNumber{}, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond, BatchSize: 500}
	if change != nil {
		change(writer)
	}
	defer writer.Close()
	var messages []kafka.Message
	for _, record := range records {
		message := kafka.Message{Key: record.Key, Value: record.Value, WriterData: int(record.Partition)}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: header.Key, Value: header.Value})
		}
		messages = append(messages, message)
	}
	return writer.WriteMessages(ctx, messages...)
}

func mustProduce(ctx context.Context, topic string, records []check.Record) {
	check.Must("produce", produce(ctx, topic, records, nil))
}

func fromKafka(message kafka.Message) check.Record {
	out := check.Record{Partition: int32(message.Partition), Key: message.Key, Value: message.Value}
	for _, header := range message.Headers {
		out.Headers = append(out.Headers, check.Header{Key: header.Key, Value: header.Value})
	}
	return out
}

// readAll reads each partition up to what it must hold, then makes sure that nothing more comes.
func readAll(ctx context.Context, topic string, sent []check.Record, change func(*kafka.ReaderConfig)) []check.Record {
	counts := map[int32]int{}
	for _, record := range sent {
		counts[record.Partition]++
	}
	var got []check.Record
	for p, count := range counts {
		settings := kafka.ReaderConfig{Brokers: check.Bootstrap(), Topic: topic, Partition: int(p), MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 200 * time.Millisecond}
		if change != nil {
			change(&settings)
		}
		reader := kafka.NewReader(settings)
		for i := 0; i < count; i++ {
			message, err := reader.ReadMessage(ctx)
			check.Must("read", err)
			got = append(got, fromKafka(message))
		}
		more, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if message, err := reader.ReadMessage(more); err == nil {
			got = append(got, fromKafka(message))
		}
		cancel()
		check.Must("close", reader.Close())
	}
	return got
}

func numbered(round string, each int) []check.Record {
	var records []check.Record
	for i := 0; i < each; i++ {
		for p := int32(0); p < partitions; p++ {
			records = append(records, check.Record{Partition: p, Value: []byte(fmt.Sprintf("%s-%d-%06d", round, p, i))})
		}
	}
	return records
}

func codecs(ctx context.Context) string {
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		topic := newTopic(ctx, partitions)
		sent := check.Sample(1, partitions, check.Records())
		check.Must("produce", produce(ctx, topic, sent, func(w *kafka.Writer) { w.Compression = codec }))
		check.SameRecords(sent, readAll(ctx, topic, sent, nil))
	}
	return fmt.Sprintf("%d records in each of 5 codecs", partitions*check.Records())
}

// groupMember follows one member generation by generation, which is what kafka-go shows of a group.
type groupMember struct {
	group *kafka.ConsumerGroup
	owner *check.Owner
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func join(group, topic string, seen *check.Seen) *groupMember {
	made, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: check.Bootstrap(), Topics: []string{topic},
		SessionTimeout: 6 * time.Second, HeartbeatInterval: 300 * time.Millisecond, RebalanceTimeout: 6 * time.Second, StartOffset: kafka.FirstOffset,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}, JoinGroupBackoff: 500 * time.Millisecond,
		ErrorLogger: kafka.LoggerFunc(func(words string, args ...any) { fmt.Fprintf(os.Stderr, words+"\n", args...) })})
	check.Must("group", err)
	ctx, stop := context.WithCancel(context.Background())
	m := &groupMember{group: made, owner: check.NewOwner(), stop: stop}
	m.done.Add(1)
	go func() {
		defer m.done.Done()
		for {
			generation, err := made.Next(ctx)
			if errors.Is(err, kafka.ErrGroupClosed) || ctx.Err() != nil {
				return
			}
			if err != nil { // it goes on by itself after JoinGroupBackoff
				fmt.Fprintln(os.Stderr, "next:", err)
				continue
			}
			m.owner.Reset()
			for _, given := range generation.Assignments[topic] {
				m.owner.Assign([]int32{int32(given.ID)})
				generation.Start(func(ctx context.Context) { m.read(ctx, generation, topic, given, seen) })
			}
		}
	}()
	return m
}

func (m *groupMember) read(ctx context.Context, generation *kafka.Generation, topic string, given kafka.PartitionAssignment, seen *check.Seen) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: check.Bootstrap(), Topic: topic, Partition: given.ID, MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffset(given.Offset); err != nil {
		panic(err)
	}
	last := int64(-1)
	commit := func() {
		if last >= 0 {
			if err := generation.CommitOffsets(map[string]map[int]int64{topic: {given.ID: last + 1}}); err != nil {
				fmt.Fprintln(os.Stderr, "commit:", err)
			}
			last = -1
		}
	}
	defer commit()
	for {
		wait, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		message, err := reader.ReadMessage(wait)
		cancel()
		if err == nil {
			seen.Add(message.Value)
			last = message.Offset
			continue
		}
		commit()
		if ctx.Err() != nil {
			return
		}
	}
}

func (m *groupMember) leave() {
	check.Must("leave", m.group.Close())
	m.stop()
	m.done.Wait()
	m.owner.Reset()
}

func committed(ctx context.Context, group, topic string) map[int]int64 {
	found, err := cl.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0, 1, 2, 3}}})
	check.Must("committed offsets", err)
	offsets := map[int]int64{}
	for _, one := range found.Topics[topic] {
		offsets[one.Partition] = one.CommittedOffset
	}
	return offsets
}

func joinLeave(ctx context.Context) string {
	each := check.Records()
	topic, group := newTopic(ctx, partitions), check.Name("group")
	seen := check.NewSeen()
	mustProduce(ctx, topic, numbered("one", each))
	a := join(group, topic, seen)
	check.Eventually(ctx, "the first member owns all", 20*time.Second, func() bool { return a.owner.Count() == partitions })
	b := join(group, topic, seen)
	check.Eventually(ctx, "two members share", 30*time.Second, func() bool {
		return check.Share(partitions, a.owner, b.owner) && a.owner.Count() == 2
	})
	mustProduce(ctx, topic, numbered("two", each))
	check.Eventually(ctx, "two rounds are read", 30*time.Second, func() bool { return seen.Different() == 2*partitions*each })
	a.leave()
	check.Eventually(ctx, "the second member owns all", 20*time.Second, func() bool { return b.owner.Count() == partitions })
	mustProduce(ctx, topic, numbered("three", each))
	check.Eventually(ctx, "three rounds are read", 30*time.Second, func() bool { return seen.Different() == 3*partitions*each })
	end := int64(3 * each)
	want := fmt.Sprint(map[int]int64{0: end, 1: end, 2: end, 3: end})
	check.Eventually(ctx, "everything is committed", 10*time.Second, func() bool { return fmt.Sprint(committed(ctx, group, topic)) == want })
	b.leave()
	late := check.NewSeen()
	mustProduce(ctx, topic, numbered("four", each))
	c := join(group, topic, late)
	check.Eventually(ctx, "the fourth round is read", 30*time.Second, func() bool { return late.Different() == partitions*each })
	c.leave()
	check.Equal("records that a later member read", partitions*each, late.Total())
	return fmt.Sprintf("%d records over joins and leaves, %d read again", 3*partitions*each, seen.Total()-3*partitions*each)
}

func member(group, topic string) {
	owner := join(group, topic, check.NewSeen()).owner
	for last := ""; ; time.Sleep(50 * time.Millisecond) {
		if now := fmt.Sprint(owner.Owned()); now != last {
			last = now
			check.PrintOwned(owner.Owned())
		}
	}
}

func groupCrash(ctx context.Context) string {
	each := check.Records()
	topic, group := newTopic(ctx, partitions), check.Name("group")
	seen := check.NewSeen()
	a := join(group, topic, seen)
	doomed := check.StartMember(group, topic, "")
	check.Eventually(ctx, "the member to be killed has its share", 30*time.Second, func() bool { return doomed.Owned() == 2 && a.owner.Count() == 2 })
	doomed.Kill()
	mustProduce(ctx, topic, numbered("after", each))
	began := time.Now()
	check.Eventually(ctx, "the survivor owns all", 30*time.Second, func() bool { return a.owner.Count() == partitions })
	took := time.Since(began)
	check.Equal("a session of 6 s ended early", false, took < 2*time.Second)
	check.Eventually(ctx, "everything is read", 20*time.Second, func() bool { return seen.Different() == partitions*each })
	a.leave()
	return fmt.Sprintf("partitions moved %.1f s after the kill, session 6 s", took.Seconds())
}

func wantError(what string, want kafka.Error, got error) {
	if !errors.Is(got, want) {
		check.Fail("%s: expected %v, got %v", what, want, got)
	}
}

func topics(ctx context.Context) string {
	name := newTopic(ctx, 3)
	create := func(topic string, parts, copies int) error {
		done, err := cl.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: parts, ReplicationFactor: copies}}})
		check.Must("create", err)
		return done.Errors[topic]
	}
	wantError("create twice", kafka.TopicAlreadyExists, create(name, 3, check.Copies()))
	wantError("create with a bad name", kafka.InvalidTopic, create("no spaces", 1, check.Copies()))
	wantError("create with too many copies", kafka.InvalidReplicationFactor, create(check.Name("many"), 1, 9))
	grow := func(count int32) error {
		done, err := cl.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: name, Count: count}}})
		check.Must("grow", err)
		return done.Errors[name]
	}
	check.Must("grow", grow(5))
	wantError("shrink", kafka.InvalidPartitionNumber, grow(2))
	check.Eventually(ctx, "five partitions", 10*time.Second, func() bool {
		described, err := cl.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
		check.Must("metadata", err)
		return len(described.Topics[0].Partitions) == 5
	})
	remove := func() error {
		done, err := cl.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{name}})
		check.Must("delete", err)
		return done.Errors[name]
	}
	check.Must("delete", remove())
	wantError("delete twice", kafka.UnknownTopicOrPartition, remove())
	return "created, grown from 3 to 5, deleted; five refusals"
}

func configs(ctx context.Context) string {
	name := newTopic(ctx, 1)
	value := func() string {
		described, err := cl.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: name, ConfigNames: []string{"retention.ms"}}}})
		check.Must("describe", err)
		return described.Resources[0].ConfigEntries[0].ConfigValue
	}
	alter := func(op kafka.ConfigOperation, wanted string) error {
		done, err := cl.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: name,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: wanted, ConfigOperation: op}}}}})
		check.Must("alter", err)
		return done.Resources[0].Error
	}
	check.Equal("retention.ms at first", "604800000", value())
	check.Must("set", alter(kafka.ConfigOperationSet, "1234567"))
	check.Eventually(ctx, "the new retention is described", 10*time.Second, func() bool { return value() == "1234567" })
	wantError("a bad value", kafka.InvalidConfiguration, alter(kafka.ConfigOperationSet, "soon"))
	check.Must("delete", alter(kafka.ConfigOperationDelete, ""))
	check.Eventually(ctx, "the default is back", 10*time.Second, func() bool { return value() == "604800000" })
	return "set, deleted; one refusal"
}

func groupsAdmin(ctx context.Context) string {
	topic, group := newTopic(ctx, partitions), check.Name("group")
	seen := check.NewSeen()
	mustProduce(ctx, topic, numbered("first", 20))
	m := join(group, topic, seen)
	check.Eventually(ctx, "all read", 20*time.Second, func() bool { return seen.Different() == 20*partitions })
	check.Eventually(ctx, "all committed", 10*time.Second, func() bool { return committed(ctx, group, topic)[3] == 20 })
	state := func() string {
		described, err := cl.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
		check.Must("describe", err)
		return fmt.Sprint(described.Groups[0].GroupState, len(described.Groups[0].Members))
	}
	remove := func() error {
		done, err := cl.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
		check.Must("delete", err)
		return done.Errors[group]
	}
	check.Equal("state with a member", "Stable1", state())
	wantError("delete a group with a member", kafka.NonEmptyGroup, remove())
	m.leave()
	check.Equal("state without members", "Empty0", state())
	reset, err := cl.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: 5}}}})
	check.Must("reset", err)
	check.Must("reset", reset.Topics[topic][0].Error)
	check.Equal("offset after the reset", int64(5), committed(ctx, group, topic)[0])
	gone, err := cl.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{topic: {1}}})
	check.Must("delete an offset", err)
	check.Must("delete an offset", gone.Error)
	check.Equal("offset after its deletion", int64(-1), committed(ctx, group, topic)[1])
	check.Must("delete", remove())
	wantError("delete twice", kafka.GroupIdNotFound, remove())
	return "described, reset, an offset deleted, deleted; two refusals"
}

func offsetsByTime(ctx context.Context) string {
	topic := newTopic(ctx, 1)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	writer := &kafka.Writer{Addr: cl.Addr, Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond}
	for ten := 0; ten < 100; ten += 10 {
		var messages []kafka.Message
		for i := ten; i < ten+10; i++ {
			messages = append(messages, kafka.Message{Value: []byte(fmt.Sprint(i)), Time: base.Add(time.Duration(i) * time.Second)})
		}
		check.Must("produce", writer.WriteMessages(ctx, messages...))
	}
	check.Must("close", writer.Close())
	conn, err := kafka.DialLeader(ctx, "tcp", check.Bootstrap()[0], topic, 0)
	check.Must("dial", err)
	defer conn.Close()
	var found []int64
	for _, after := range []time.Duration{-time.Minute, 37 * time.Second, 37001 * time.Millisecond, 99 * time.Second} {
		at, err := conn.ReadOffset(base.Add(after))
		check.Must("offset by time", err)
		found = append(found, at)
	}
	check.Equal("offsets after times", "[0 37 38 99]", fmt.Sprint(found))
	first, last, err := conn.ReadOffsets()
	check.Must("offsets", err)
	check.Equal("first and last", "0 100", fmt.Sprint(first, last))
	return "100 records a second apart"
}

func smallFetch(ctx context.Context) string {
	topic := newTopic(ctx, partitions)
	sent := check.Sample(3, partitions, check.Records())
	check.Must("produce", produce(ctx, topic, sent, func(w *kafka.Writer) { w.BatchSize = 20 }))
	// kafka-go reads no further than MaxBytes, so it must hold a batch; everything else about the fetch is small.
	check.SameRecords(sent, readAll(ctx, topic, sent, func(c *kafka.ReaderConfig) { c.MaxBytes = 8000 }))
	return fmt.Sprintf("%d records in fetches of 8000 bytes", len(sent))
}

func largeMessage(ctx context.Context) string {
	topic := newTopic(ctx, 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "4194304"})
	big := check.Record{Value: make([]byte, 3_000_000)}
	for i := range big.Value {
		big.Value[i] = byte(i * 7 / 3)
	}
	sent := []check.Record{big, {Value: []byte("small")}}
	roomy := func(w *kafka.Writer) { w.BatchBytes = 5_000_000 }
	check.Must("produce", produce(ctx, topic, sent, roomy))
	check.SameRecords(sent, readAll(ctx, topic, sent, nil))
	err := produce(ctx, newTopic(ctx, 1), sent[:1], roomy)
	var each kafka.WriteErrors
	if errors.As(err, &each) {
		err = each[0]
	}
	wantError("too large for its topic", kafka.MessageSizeTooLarge, err)
	return "3 MB there and back; refused by the default limit"
}

func autoCreate(ctx context.Context) string {
	topic := check.Name("auto")
	sent := numbered("n", 10)
	var err error
	check.Eventually(ctx, "the topic is there", 20*time.Second, func() bool {
		err = produce(ctx, topic, sent, func(w *kafka.Writer) { w.AllowAutoTopicCreation = true })
		return err == nil
	})
	check.SameRecords(sent, readAll(ctx, topic, sent, nil))
	return "4 partitions as num.partitions says"
}

func unknownTopic(ctx context.Context) string {
	wantError("produce", kafka.UnknownTopicOrPartition, produce(ctx, check.Name("nowhere"), []check.Record{{Value: []byte("x")}}, func(w *kafka.Writer) { w.MaxAttempts = 2 }))
	return "produce is refused"
}
