// sarama asked what checks.txt lists.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"millrace/e2e/clients/internal/check"
)

const partitions = 4

func main() {
	if len(os.Args) == 5 && os.Args[1] == "member" {
		member(os.Args[2], os.Args[3])
		return
	}
	check.Run(map[string]check.Check{
		"codecs": codecs, "groups-join-leave": joinLeave, "groups-crash": groupCrash, "groups-static": static,
		"groups-cooperative": check.NotOffered("sarama has no cooperative assignor"),
		"groups-kip848":      check.NotOffered("sarama has no consumer protocol of KIP-848"),
		"topics":             topics, "configs": configs, "delete-records": deleteRecords, "groups-admin": groupsAdmin,
		"broker-killed": brokerKilled, "offsets-by-time": offsetsByTime, "small-fetch": smallFetch, "large-message": largeMessage,
		"auto-create": autoCreate, "unknown-topic": unknownTopic,
	})
}

func config() *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.MaxVersion
	made.Producer.Return.Successes = true
	made.Producer.Partitioner = sarama.NewManualPartitioner
	made.Producer.RequiredAcks = sarama.WaitForAll
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	made.Consumer.Group.Session.Timeout = 6 * time.Second
	made.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	made.Metadata.Retry.Max = 20
	made.Metadata.AllowAutoTopicCreation = false
	return made
}

func admin() sarama.ClusterAdmin {
	made, err := sarama.NewClusterAdmin(check.Bootstrap(), config())
	check.Must("admin", err)
	return made
}

func newTopic(parts int32, entries map[string]*string) string {
	name := check.Name("sarama")
	a := admin()
	defer a.Close()
	check.Must("create "+name, a.CreateTopic(name, &sarama.TopicDetail{NumPartitions: parts, ReplicationFactor: int16(check.Copies()), ConfigEntries: entries}, false))
	return name
}

func encoder(bytes []byte) sarama.Encoder {
	if bytes == nil {
		return nil
	}
	return sarama.ByteEncoder(bytes)
}

func toSarama(topic string, record check.Record) *sarama.ProducerMessage {
	out := &sarama.ProducerMessage{Topic: topic, Partition: record.Partition, Key: encoder(record.Key), Value: encoder(record.Value)}
	for _, header := range record.Headers {
		out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
	}
	return out
}

func produce(topic string, records []check.Record, change func(*sarama.Config)) error {
	settings := config()
	if change != nil {
		change(settings)
	}
	producer, err := sarama.NewSyncProducer(check.Bootstrap(), settings)
	check.Must("producer", err)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, record := range records {
		messages = append(messages, toSarama(topic, record))
	}
	return producer.SendMessages(messages)
}

func mustProduce(topic string, records []check.Record) {
	check.Must("produce", produce(topic, records, nil))
}

// readAll reads every partition from `from` until `want` records came, then makes sure that nothing more does.
func readAll(ctx context.Context, topic string, parts int32, want int, from int64, change func(*sarama.Config)) []check.Record {
	settings := config()
	if change != nil {
		change(settings)
	}
	consumer, err := sarama.NewConsumer(check.Bootstrap(), settings)
	check.Must("consumer", err)
	defer consumer.Close()
	merged := make(chan *sarama.ConsumerMessage)
	done := make(chan struct{})
	defer close(done)
	for p := int32(0); p < parts; p++ {
		one, err := consumer.ConsumePartition(topic, p, from)
		check.Must("consume", err)
		defer one.AsyncClose()
		go func() {
			for {
				select {
				case message := <-one.Messages():
					select {
					case merged <- message:
					case <-done:
						return
					}
				case <-done:
					return
				}
			}
		}()
	}
	var got []check.Record
	for len(got) < want {
		select {
		case message := <-merged:
			got = append(got, fromSarama(message))
		case <-ctx.Done():
			check.Fail("%d of %d records were read", len(got), want)
		}
	}
	select {
	case message := <-merged:
		got = append(got, fromSarama(message))
	case <-time.After(300 * time.Millisecond):
	}
	return got
}

func fromSarama(message *sarama.ConsumerMessage) check.Record {
	out := check.Record{Partition: message.Partition, Key: message.Key, Value: message.Value}
	for _, header := range message.Headers {
		out.Headers = append(out.Headers, check.Header{Key: string(header.Key), Value: header.Value})
	}
	return out
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
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
		topic := newTopic(partitions, nil)
		sent := check.Sample(1, partitions, check.Records())
		check.Must(codec.String(), produce(topic, sent, func(c *sarama.Config) { c.Producer.Compression = codec }))
		check.SameRecords(sent, readAll(ctx, topic, partitions, len(sent), sarama.OffsetOldest, nil))
	}
	return fmt.Sprintf("%d records in each of 5 codecs", partitions*check.Records())
}

// groupMember is one consumer of a group that notes what it reads and owns.
type groupMember struct {
	group sarama.ConsumerGroup
	topic string
	seen  *check.Seen
	owner *check.Owner
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func (m *groupMember) Setup(session sarama.ConsumerGroupSession) error {
	m.owner.Assign(session.Claims()[m.topic])
	return nil
}
func (m *groupMember) Cleanup(session sarama.ConsumerGroupSession) error {
	m.owner.Revoke(session.Claims()[m.topic])
	return nil
}
func (m *groupMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			m.seen.Add(message.Value)
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func join(group, topic, instance string, seen *check.Seen) *groupMember {
	settings := config()
	settings.Consumer.Group.InstanceId = instance
	made, err := sarama.NewConsumerGroup(check.Bootstrap(), group, settings)
	check.Must("group", err)
	ctx, stop := context.WithCancel(context.Background())
	m := &groupMember{group: made, topic: topic, seen: seen, owner: check.NewOwner(), stop: stop}
	m.done.Add(1)
	go func() {
		defer m.done.Done()
		for ctx.Err() == nil {
			if err := made.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "consume:", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return m
}

func (m *groupMember) leave() {
	m.stop()
	m.done.Wait()
	check.Must("close", m.group.Close())
}

func committed(group, topic string) map[int32]int64 {
	a := admin()
	defer a.Close()
	found, err := a.ListConsumerGroupOffsets(group, nil)
	check.Must("committed offsets", err)
	offsets := map[int32]int64{}
	for p, block := range found.Blocks[topic] {
		if block.Offset >= 0 {
			offsets[p] = block.Offset
		}
	}
	return offsets
}

func joinLeave(ctx context.Context) string {
	each := check.Records()
	topic, group := newTopic(partitions, nil), check.Name("group")
	seen := check.NewSeen()
	mustProduce(topic, numbered("one", each))
	a := join(group, topic, "", seen)
	check.Eventually(ctx, "the first member owns all", 20*time.Second, func() bool { return a.owner.Count() == partitions })
	b := join(group, topic, "", seen)
	check.Eventually(ctx, "two members share", 30*time.Second, func() bool {
		return check.Share(partitions, a.owner, b.owner) && a.owner.Count() == 2
	})
	mustProduce(topic, numbered("two", each))
	check.Eventually(ctx, "two rounds are read", 30*time.Second, func() bool { return seen.Different() == 2*partitions*each })
	a.leave()
	check.Eventually(ctx, "the second member owns all", 20*time.Second, func() bool { return b.owner.Count() == partitions })
	mustProduce(topic, numbered("three", each))
	check.Eventually(ctx, "three rounds are read", 30*time.Second, func() bool { return seen.Different() == 3*partitions*each })
	b.leave()
	end := int64(3 * each)
	check.Equal("committed offsets", fmt.Sprint(map[int32]int64{0: end, 1: end, 2: end, 3: end}), fmt.Sprint(committed(group, topic)))
	late := check.NewSeen()
	mustProduce(topic, numbered("four", each))
	c := join(group, topic, "", late)
	check.Eventually(ctx, "the fourth round is read", 30*time.Second, func() bool { return late.Different() == partitions*each })
	c.leave()
	check.Equal("records that a later member read", partitions*each, late.Total())
	return fmt.Sprintf("%d records over joins and leaves, %d read again", 3*partitions*each, seen.Total()-3*partitions*each)
}

func member(group, topic string) {
	owner := join(group, topic, "", check.NewSeen()).owner
	for last := ""; ; time.Sleep(50 * time.Millisecond) {
		if now := fmt.Sprint(owner.Owned()); now != last {
			last = now
			check.PrintOwned(owner.Owned())
		}
	}
}

func groupCrash(ctx context.Context) string {
	each := check.Records()
	topic, group := newTopic(partitions, nil), check.Name("group")
	seen := check.NewSeen()
	a := join(group, topic, "", seen)
	doomed := check.StartMember(group, topic, "")
	check.Eventually(ctx, "the member to be killed has its share", 30*time.Second, func() bool { return doomed.Owned() == 2 && a.owner.Count() == 2 })
	doomed.Kill()
	mustProduce(topic, numbered("after", each))
	began := time.Now()
	check.Eventually(ctx, "the survivor owns all", 30*time.Second, func() bool { return a.owner.Count() == partitions })
	took := time.Since(began)
	check.Equal("a session of 6 s ended early", false, took < 2*time.Second)
	check.Eventually(ctx, "everything is read", 20*time.Second, func() bool { return seen.Different() == partitions*each })
	a.leave()
	return fmt.Sprintf("partitions moved %.1f s after the kill, session 6 s", took.Seconds())
}

func static(ctx context.Context) string {
	topic, group := newTopic(partitions, nil), check.Name("group")
	seen := check.NewSeen()
	x, y := join(group, topic, "x", seen), join(group, topic, "y", seen)
	check.Eventually(ctx, "two static members share", 30*time.Second, func() bool {
		return check.Share(partitions, x.owner, y.owner) && x.owner.Count() == 2
	})
	before := fmt.Sprint(x.owner.Owned())
	given, taken := y.owner.Moves()
	x.leave()
	x = join(group, topic, "x", seen)
	check.Eventually(ctx, "the restarted member has partitions", 20*time.Second, func() bool { return x.owner.Count() == 2 })
	check.Equal("partitions of the restarted member", before, fmt.Sprint(x.owner.Owned()))
	givenAfter, takenAfter := y.owner.Moves()
	check.Equal("moves that the other saw meanwhile", fmt.Sprint(given, taken), fmt.Sprint(givenAfter, takenAfter))
	x.leave()
	y.leave()
	return "kept " + before + " over a restart"
}

func wantError(what string, want sarama.KError, got error) {
	if !errors.Is(got, want) {
		check.Fail("%s: expected %v, got %v", what, want, got)
	}
}

func topics(ctx context.Context) string {
	a := admin()
	defer a.Close()
	name, copies := newTopic(3, nil), int16(check.Copies())
	create := func(name string, parts int32, copies int16) error {
		return a.CreateTopic(name, &sarama.TopicDetail{NumPartitions: parts, ReplicationFactor: copies}, false)
	}
	wantError("create twice", sarama.ErrTopicAlreadyExists, create(name, 3, copies))
	wantError("create with a bad name", sarama.ErrInvalidTopic, create("no spaces", 1, copies))
	wantError("create with too many copies", sarama.ErrInvalidReplicationFactor, create(check.Name("many"), 1, 9))
	count := func() int {
		listed, err := a.DescribeTopics([]string{name})
		check.Must("describe", err)
		return len(listed[0].Partitions)
	}
	check.Eventually(ctx, "three partitions", 10*time.Second, func() bool { return count() == 3 })
	check.Must("grow", a.CreatePartitions(name, 5, nil, false))
	check.Eventually(ctx, "five partitions", 10*time.Second, func() bool { return count() == 5 })
	wantError("shrink", sarama.ErrInvalidPartitions, a.CreatePartitions(name, 2, nil, false))
	all, err := a.ListTopics()
	check.Must("list", err)
	check.Equal("partitions listed", int32(5), all[name].NumPartitions)
	check.Must("delete", a.DeleteTopic(name))
	wantError("delete twice", sarama.ErrUnknownTopicOrPartition, a.DeleteTopic(name))
	return "created, listed, grown from 3 to 5, deleted; five refusals"
}

func configs(ctx context.Context) string {
	a := admin()
	defer a.Close()
	name := newTopic(1, nil)
	value := func(key string) string {
		entries, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: name, ConfigNames: []string{key}})
		check.Must("describe", err)
		check.Equal("entries", 1, len(entries))
		return entries[0].Value
	}
	alter := func(op sarama.IncrementalAlterConfigsOperation, key, value string) error {
		return a.IncrementalAlterConfig(sarama.TopicResource, name, map[string]sarama.IncrementalAlterConfigsEntry{key: {Operation: op, Value: &value}}, false)
	}
	check.Equal("retention.ms at first", "604800000", value("retention.ms"))
	check.Must("set", alter(sarama.IncrementalAlterConfigsOperationSet, "retention.ms", "1234567"))
	check.Eventually(ctx, "the new retention is described", 10*time.Second, func() bool { return value("retention.ms") == "1234567" })
	check.Must("append", alter(sarama.IncrementalAlterConfigsOperationAppend, "cleanup.policy", "compact"))
	check.Eventually(ctx, "both policies", 10*time.Second, func() bool { return value("cleanup.policy") == "delete,compact" })
	wantError("a bad value", sarama.ErrInvalidConfig, alter(sarama.IncrementalAlterConfigsOperationSet, "retention.ms", "soon"))
	check.Must("delete", alter(sarama.IncrementalAlterConfigsOperationDelete, "retention.ms", ""))
	check.Eventually(ctx, "the default is back", 10*time.Second, func() bool { return value("retention.ms") == "604800000" })
	return "set, appended, deleted; one refusal"
}

func deleteRecords(ctx context.Context) string {
	a := admin()
	defer a.Close()
	topic := newTopic(1, nil)
	sent := check.Sample(2, 1, 100)
	mustProduce(topic, sent)
	check.Must("delete to 40", a.DeleteRecords(topic, map[int32]int64{0: 40}))
	check.SameRecords(sent[40:], readAll(ctx, topic, 1, 60, sarama.OffsetOldest, nil))
	if err := a.DeleteRecords(topic, map[int32]int64{0: 101}); err == nil {
		check.Fail("delete past the end was accepted")
	}
	check.Must("delete all", a.DeleteRecords(topic, map[int32]int64{0: -1}))
	mustProduce(topic, sent[:1])
	check.SameRecords(sent[:1], readAll(ctx, topic, 1, 1, sarama.OffsetOldest, nil))
	return "100 records, 40 gone, then all"
}

func groupsAdmin(ctx context.Context) string {
	a := admin()
	defer a.Close()
	topic, group := newTopic(partitions, nil), check.Name("group")
	seen := check.NewSeen()
	mustProduce(topic, numbered("first", 20))
	m := join(group, topic, "", seen)
	check.Eventually(ctx, "all read", 20*time.Second, func() bool { return seen.Different() == 20*partitions })
	state := func() string {
		described, err := a.DescribeConsumerGroups([]string{group})
		check.Must("describe", err)
		return fmt.Sprint(described[0].State, len(described[0].Members))
	}
	check.Equal("state with a member", "Stable1", state())
	wantError("delete a group with a member", sarama.ErrNonEmptyGroup, a.DeleteConsumerGroup(group))
	m.leave()
	check.Equal("state without members", "Empty0", state())
	check.Must("delete an offset", a.DeleteConsumerGroupOffset(group, topic, 1))
	check.Equal("partitions with an offset", 3, len(committed(group, topic)))
	listed, err := a.ListConsumerGroups()
	check.Must("list", err)
	check.Equal("its protocol type", "consumer", listed[group])
	check.Must("delete", a.DeleteConsumerGroup(group))
	wantError("delete twice", sarama.ErrGroupIDNotFound, a.DeleteConsumerGroup(group))
	return "listed, described, an offset deleted, deleted; two refusals"
}

func brokerKilled(ctx context.Context) string {
	each := check.Records() * 5
	topic := newTopic(partitions, nil)
	settings := config()
	settings.Producer.Idempotent = true
	settings.Net.MaxOpenRequests = 1
	settings.Producer.Retry.Max = 1000
	settings.Producer.Retry.Backoff = 50 * time.Millisecond
	producer, err := sarama.NewAsyncProducer(check.Bootstrap(), settings)
	check.Must("producer", err)
	sent := numbered("n", each)
	var acked atomic.Int64
	var trouble atomic.Value
	var waiting sync.WaitGroup
	waiting.Add(3)
	go func() {
		defer waiting.Done()
		for range producer.Successes() {
			acked.Add(1)
		}
	}()
	go func() {
		defer waiting.Done()
		for refused := range producer.Errors() {
			trouble.Store(refused.Err.Error())
			acked.Add(1)
		}
	}()
	go func() {
		defer waiting.Done()
		for i := 1; i < 3; i++ {
			for acked.Load() < int64(i*len(sent)/3) {
				time.Sleep(time.Millisecond)
			}
			check.Broker("crash", fmt.Sprint(1+i%check.Copies()))
		}
	}()
	for i, record := range sent {
		for int64(i)-acked.Load() > 500 {
			time.Sleep(time.Millisecond)
		}
		producer.Input() <- toSarama(topic, record)
	}
	producer.AsyncClose()
	waiting.Wait()
	if why := trouble.Load(); why != nil {
		check.Fail("a record was refused: %v", why)
	}
	check.SameRecords(sent, readAll(ctx, topic, partitions, len(sent), sarama.OffsetOldest, nil))
	return fmt.Sprintf("%d records through two kills", len(sent))
}

func offsetsByTime(context.Context) string {
	topic := newTopic(1, nil)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	producer, err := sarama.NewSyncProducer(check.Bootstrap(), config())
	check.Must("producer", err)
	defer producer.Close()
	for ten := 0; ten < 100; ten += 10 {
		var messages []*sarama.ProducerMessage
		for i := ten; i < ten+10; i++ {
			messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(fmt.Sprint(i)), Timestamp: base.Add(time.Duration(i) * time.Second)})
		}
		check.Must("produce", producer.SendMessages(messages))
	}
	cl, err := sarama.NewClient(check.Bootstrap(), config())
	check.Must("client", err)
	defer cl.Close()
	var found []int64
	for _, after := range []int64{-60000, 37000, 37001, 99000, 100000} {
		at, err := cl.GetOffset(topic, 0, base.UnixMilli()+after)
		check.Must("offset by time", err)
		found = append(found, at)
	}
	check.Equal("offsets after times", "[0 37 38 99 -1]", fmt.Sprint(found))
	newest, err := cl.GetOffset(topic, 0, sarama.OffsetNewest)
	check.Must("newest", err)
	check.Equal("newest", int64(100), newest)
	return "100 records a second apart"
}

func smallFetch(ctx context.Context) string {
	topic := newTopic(partitions, nil)
	sent := check.Sample(3, partitions, check.Records())
	check.Must("produce", produce(topic, sent, func(c *sarama.Config) { c.Producer.Flush.MaxMessages = 20 }))
	got := readAll(ctx, topic, partitions, len(sent), sarama.OffsetOldest, func(c *sarama.Config) {
		c.Consumer.Fetch.Default = 100
		c.Consumer.Fetch.Min = 1
		sarama.MaxResponseSize = 100 << 20
	})
	check.SameRecords(sent, got)
	return fmt.Sprintf("%d records in fetches of 100 bytes a partition", len(sent))
}

func largeMessage(ctx context.Context) string {
	limit := "4194304"
	topic := newTopic(1, map[string]*string{"max.message.bytes": &limit})
	big := check.Record{Value: make([]byte, 3_000_000)}
	for i := range big.Value {
		big.Value[i] = byte(i * 7 / 3)
	}
	roomy := func(c *sarama.Config) { c.Producer.MaxMessageBytes = 5_000_000 }
	sent := []check.Record{big, {Value: []byte("small")}}
	check.Must("produce", produce(topic, sent, roomy))
	check.SameRecords(sent, readAll(ctx, topic, 1, 2, sarama.OffsetOldest, nil))
	var refused sarama.ProducerErrors
	if err := produce(newTopic(1, nil), sent[:1], roomy); !errors.As(err, &refused) || !errors.Is(refused[0].Err, sarama.ErrMessageSizeTooLarge) {
		check.Fail("too large for its topic: got %v", err)
	}
	return "3 MB there and back; refused by the default limit"
}

func autoCreate(ctx context.Context) string {
	topic := check.Name("auto")
	check.Must("produce", produce(topic, numbered("n", 10), func(c *sarama.Config) { c.Metadata.AllowAutoTopicCreation = true }))
	check.SameRecords(numbered("n", 10), readAll(ctx, topic, partitions, 10*partitions, sarama.OffsetOldest, nil))
	return "4 partitions as num.partitions says"
}

func unknownTopic(context.Context) string {
	err := produce(check.Name("nowhere"), []check.Record{{Value: []byte("x")}}, func(c *sarama.Config) { c.Metadata.Retry.Max = 1 })
	var refused sarama.ProducerErrors
	if !errors.As(err, &refused) || !errors.Is(refused[0].Err, sarama.ErrUnknownTopicOrPartition) {
		check.Fail("produce to nowhere: got %v", err)
	}
	return "produce is refused"
}
