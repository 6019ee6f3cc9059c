// franz-go, with kadm for administration, asked what checks.txt lists.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/e2e/clients/internal/check"
)

const partitions = 4

func main() {
	if len(os.Args) == 5 && os.Args[1] == "member" {
		member(os.Args[2], os.Args[3])
		return
	}
	check.Run(map[string]check.Check{
		"codecs": codecs, "groups-join-leave": joinLeave(false), "groups-crash": groupCrash, "groups-static": static,
		"groups-cooperative": cooperative, "groups-kip848": joinLeave(true), "topics": topics, "configs": configs,
		"delete-records": deleteRecords, "groups-admin": groupsAdmin, "broker-killed": brokerKilled,
		"offsets-by-time": offsetsByTime, "small-fetch": smallFetch, "large-message": largeMessage,
		"auto-create": autoCreate, "unknown-topic": unknownTopic,
	})
}

func client(options ...kgo.Opt) *kgo.Client {
	base := []kgo.Opt{kgo.SeedBrokers(check.Bootstrap()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(100 * time.Millisecond)}
	made, err := kgo.NewClient(append(base, options...)...)
	check.Must("client", err)
	return made
}

func admin() *kadm.Client { return kadm.NewClient(client()) }

func newTopic(ctx context.Context, parts int32, settings map[string]*string) string {
	name := check.Name("franz")
	a := admin()
	defer a.Close()
	_, err := a.CreateTopic(ctx, parts, int16(check.Copies()), settings, name)
	check.Must("create "+name, err)
	return name
}

func toKgo(topic string, record check.Record) *kgo.Record {
	out := &kgo.Record{Topic: topic, Partition: record.Partition, Key: record.Key, Value: record.Value}
	for _, header := range record.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
	}
	return out
}

func fromKgo(record *kgo.Record) check.Record {
	out := check.Record{Partition: record.Partition, Key: record.Key, Value: record.Value}
	for _, header := range record.Headers {
		out.Headers = append(out.Headers, check.Header{Key: header.Key, Value: header.Value})
	}
	return out
}

func produce(ctx context.Context, topic string, records []check.Record, options ...kgo.Opt) {
	cl := client(append(options, kgo.DefaultProduceTopic(topic))...)
	defer cl.Close()
	var out []*kgo.Record
	for _, record := range records {
		out = append(out, toKgo(topic, record))
	}
	check.Must("produce", cl.ProduceSync(ctx, out...).FirstErr())
}

// readAll reads from `from` until `want` records came, then makes sure that nothing more does.
func readAll(ctx context.Context, topic string, want int, from kgo.Offset, options ...kgo.Opt) []check.Record {
	cl := client(append(options, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(from))...)
	defer cl.Close()
	var got []check.Record
	for len(got) < want && ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		check.Must("fetch", fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, fromKgo(r)) })
	}
	more, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	cl.PollFetches(more).EachRecord(func(r *kgo.Record) { got = append(got, fromKgo(r)) })
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
	named := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range named {
		topic := newTopic(ctx, partitions, nil)
		sent := check.Sample(1, partitions, check.Records())
		produce(ctx, topic, sent, kgo.ProducerBatchCompression(codec))
		got := readAll(ctx, topic, len(sent), kgo.NewOffset().AtStart())
		check.Equal(name+": records", len(sent), len(got))
		check.SameRecords(sent, got)
	}
	return fmt.Sprintf("%d records in each of 5 codecs", partitions*check.Records())
}

// groupMember is one consumer of a group that notes what it reads and owns.
type groupMember struct {
	cl    *kgo.Client
	owner *check.Owner
	done  sync.WaitGroup
	stop  context.CancelFunc
}

func join(group, topic string, seen *check.Seen, options ...kgo.Opt) *groupMember {
	m := &groupMember{owner: check.NewOwner()}
	base := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.AutoCommitInterval(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, given map[string][]int32) { m.owner.Assign(given[topic]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) { m.owner.Revoke(taken[topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) { m.owner.Revoke(taken[topic]) })}
	m.cl = client(append(base, options...)...)
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.done.Add(1)
	go func() {
		defer m.done.Done()
		for ctx.Err() == nil {
			m.cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen.Add(r.Value) })
		}
	}()
	return m
}

func (m *groupMember) leave() {
	check.Must("commit", m.cl.CommitUncommittedOffsets(context.Background()))
	m.stop()
	m.done.Wait()
	m.cl.Close()
}

func with848(on bool) []kgo.Opt {
	if !on {
		return []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())}
	}
	return []kgo.Opt{kgo.ServerSideBalancer()}
}

func joinLeave(kip848 bool) check.Check {
	return func(ctx context.Context) string {
		each := check.Records()
		topic, group := newTopic(ctx, partitions, nil), check.Name("group")
		seen := check.NewSeen()
		produce(ctx, topic, numbered("one", each))
		a := join(group, topic, seen, with848(kip848)...)
		check.Eventually(ctx, "the first member owns all", 20*time.Second, func() bool { return a.owner.Count() == partitions })
		b := join(group, topic, seen, with848(kip848)...)
		check.Eventually(ctx, "two members share", 30*time.Second, func() bool {
			return check.Share(partitions, a.owner, b.owner) && a.owner.Count() == 2
		})
		produce(ctx, topic, numbered("two", each))
		check.Eventually(ctx, "two rounds are read", 30*time.Second, func() bool { return seen.Different() == 2*partitions*each })
		a.leave()
		check.Eventually(ctx, "the second member owns all", 20*time.Second, func() bool { return b.owner.Count() == partitions })
		produce(ctx, topic, numbered("three", each))
		check.Eventually(ctx, "three rounds are read", 30*time.Second, func() bool { return seen.Different() == 3*partitions*each })
		adm := admin()
		defer adm.Close()
		kind := "classic"
		if kip848 {
			kind = "consumer"
		}
		listed, err := adm.ListGroupsByType(ctx, []string{kind})
		check.Must("list groups of a type", err)
		check.Equal("state of the group among those of its type", "Stable", listed[group].State)
		b.leave()
		offsets, err := adm.FetchOffsets(ctx, group)
		check.Must("committed offsets", err)
		for p := int32(0); p < partitions; p++ {
			at, ok := offsets.Lookup(topic, p)
			check.Equal(fmt.Sprintf("partition %d has a committed offset", p), true, ok)
			check.Equal(fmt.Sprintf("committed offset of partition %d", p), int64(3*each), at.At)
		}
		late := check.NewSeen()
		produce(ctx, topic, numbered("four", each))
		c := join(group, topic, late, with848(kip848)...)
		check.Eventually(ctx, "the fourth round is read", 30*time.Second, func() bool { return late.Different() == partitions*each })
		c.leave()
		check.Equal("records that a later member read", partitions*each, late.Total())
		return fmt.Sprintf("%d records over joins and leaves, %d read again", 3*partitions*each, seen.Total()-3*partitions*each)
	}
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
	topic, group := newTopic(ctx, partitions, nil), check.Name("group")
	seen := check.NewSeen()
	a := join(group, topic, seen)
	defer a.leave()
	doomed := check.StartMember(group, topic, "")
	check.Eventually(ctx, "the member to be killed has its share", 30*time.Second, func() bool { return doomed.Owned() == 2 && a.owner.Count() == 2 })
	doomed.Kill()
	produce(ctx, topic, numbered("after", each))
	began := time.Now()
	check.Eventually(ctx, "the survivor owns all", 30*time.Second, func() bool { return a.owner.Count() == partitions })
	took := time.Since(began)
	if took < 3*time.Second || took > 20*time.Second {
		check.Fail("a session of 6 s ended after %s", took)
	}
	check.Eventually(ctx, "everything is read", 20*time.Second, func() bool { return seen.Different() == partitions*each })
	return fmt.Sprintf("partitions moved %.1f s after the kill, session 6 s", took.Seconds())
}

func static(ctx context.Context) string {
	topic, group := newTopic(ctx, partitions, nil), check.Name("group")
	seen := check.NewSeen()
	x := join(group, topic, seen, kgo.InstanceID("x"), kgo.Balancers(kgo.RangeBalancer()))
	y := join(group, topic, seen, kgo.InstanceID("y"), kgo.Balancers(kgo.RangeBalancer()))
	check.Eventually(ctx, "two static members share", 30*time.Second, func() bool {
		return check.Share(partitions, x.owner, y.owner) && x.owner.Count() == 2
	})
	before := fmt.Sprint(x.owner.Owned())
	given, taken := y.owner.Moves()
	x.leave() // a static member's Close does not leave the group
	x = join(group, topic, seen, kgo.InstanceID("x"), kgo.Balancers(kgo.RangeBalancer()))
	check.Eventually(ctx, "the restarted member has partitions", 20*time.Second, func() bool { return x.owner.Count() == 2 })
	check.Equal("partitions of the restarted member", before, fmt.Sprint(x.owner.Owned()))
	givenAfter, takenAfter := y.owner.Moves()
	check.Equal("partitions given to the other meanwhile", given, givenAfter)
	check.Equal("partitions taken from the other meanwhile", taken, takenAfter)
	x.leave()
	y.leave()
	adm := admin()
	defer adm.Close()
	left, err := adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs("x", "y"))
	check.Must("remove static members", err)
	check.Must("remove each static member", left.Error())
	return "kept " + before + " over a restart"
}

func cooperative(ctx context.Context) string {
	topic, group := newTopic(ctx, partitions, nil), check.Name("group")
	seen := check.NewSeen()
	a := join(group, topic, seen, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	check.Eventually(ctx, "the first member owns all", 20*time.Second, func() bool { return a.owner.Count() == partitions })
	b := join(group, topic, seen, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	check.Eventually(ctx, "two members share", 30*time.Second, func() bool {
		return check.Share(partitions, a.owner, b.owner) && a.owner.Count() == 2
	})
	_, taken := a.owner.Moves()
	check.Equal("partitions taken from the first member", 2, taken)
	b.leave()
	check.Eventually(ctx, "the first member owns all again", 30*time.Second, func() bool { return a.owner.Count() == partitions })
	_, taken = a.owner.Moves()
	check.Equal("partitions ever taken from the first member", 2, taken)
	a.leave()
	return "two of four moved, two stayed"
}

func wantError(what string, want *kerr.Error, got error) {
	if !errors.Is(got, want) {
		check.Fail("%s: expected %s, got %v", what, want.Message, got)
	}
}

func topics(ctx context.Context) string {
	adm := admin()
	defer adm.Close()
	name := newTopic(ctx, 3, nil)
	copies := int16(check.Copies())
	_, err := adm.CreateTopic(ctx, 3, copies, nil, name)
	wantError("create twice", kerr.TopicAlreadyExists, err)
	_, err = adm.CreateTopic(ctx, 1, copies, nil, "no spaces")
	wantError("create with a bad name", kerr.InvalidTopicException, err)
	_, err = adm.CreateTopic(ctx, 1, 9, nil, check.Name("many"))
	wantError("create with too many copies", kerr.InvalidReplicationFactor, err)
	_, err = adm.CreateTopic(ctx, 0, copies, nil, check.Name("none"))
	wantError("create without partitions", kerr.InvalidPartitions, err)
	check.Eventually(ctx, "three partitions have leaders", 10*time.Second, func() bool {
		listed, err := adm.ListTopics(ctx, name)
		check.Must("list", err)
		return len(listed[name].Partitions) == 3 && listed[name].Partitions[2].Leader >= 0
	})
	grown, err := adm.UpdatePartitions(ctx, 5, name)
	check.Must("grow", err)
	check.Must("grow", grown.Error())
	check.Eventually(ctx, "five partitions", 10*time.Second, func() bool {
		listed, err := adm.ListTopics(ctx, name)
		check.Must("list", err)
		return len(listed[name].Partitions) == 5
	})
	shrunk, err := adm.UpdatePartitions(ctx, 2, name)
	check.Must("shrink", err)
	wantError("shrink", kerr.InvalidPartitions, shrunk.Error())
	deleted, err := adm.DeleteTopics(ctx, name)
	check.Must("delete", err)
	check.Must("delete", deleted.Error())
	deleted, err = adm.DeleteTopics(ctx, name)
	check.Must("delete", err)
	wantError("delete twice", kerr.UnknownTopicOrPartition, deleted.Error())
	listed, err := adm.ListTopics(ctx, name)
	check.Must("list", err)
	wantError("describe what is gone", kerr.UnknownTopicOrPartition, listed[name].Err)
	return "created, grown from 3 to 5, deleted; six refusals"
}

func setting(ctx context.Context, adm *kadm.Client, topic, key string) *kadm.Config {
	described, err := adm.DescribeTopicConfigs(ctx, topic)
	check.Must("describe configs", err)
	one, err := described.On(topic, nil)
	check.Must("describe configs", err)
	check.Must("describe configs", one.Err)
	for _, config := range one.Configs {
		if config.Key == key {
			return &config
		}
	}
	check.Fail("%s is not described", key)
	return nil
}

func configs(ctx context.Context) string {
	adm := admin()
	defer adm.Close()
	name := newTopic(ctx, 1, nil)
	alter := func(op kadm.IncrementalOp, key, value string) error {
		done, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: op, Name: key, Value: &value}}, name)
		check.Must("alter configs", err)
		return done[0].Err
	}
	check.Equal("retention.ms at first", "604800000", setting(ctx, adm, name, "retention.ms").MaybeValue())
	check.Must("set", alter(kadm.SetConfig, "retention.ms", "1234567"))
	check.Eventually(ctx, "the new retention is described", 10*time.Second, func() bool {
		now := setting(ctx, adm, name, "retention.ms")
		return now.MaybeValue() == "1234567" && now.Source.String() == "DYNAMIC_TOPIC_CONFIG"
	})
	check.Must("append", alter(kadm.AppendConfig, "cleanup.policy", "compact"))
	check.Eventually(ctx, "both policies", 10*time.Second, func() bool { return setting(ctx, adm, name, "cleanup.policy").MaybeValue() == "delete,compact" })
	check.Must("subtract", alter(kadm.SubtractConfig, "cleanup.policy", "delete"))
	check.Eventually(ctx, "one policy", 10*time.Second, func() bool { return setting(ctx, adm, name, "cleanup.policy").MaybeValue() == "compact" })
	wantError("a bad value", kerr.InvalidConfig, alter(kadm.SetConfig, "retention.ms", "soon"))
	wantError("an unknown setting", kerr.InvalidConfig, alter(kadm.SetConfig, "no.such.setting", "1"))
	check.Must("delete", alter(kadm.DeleteConfig, "retention.ms", ""))
	check.Eventually(ctx, "the default is back", 10*time.Second, func() bool { return setting(ctx, adm, name, "retention.ms").MaybeValue() == "604800000" })
	brokers, err := adm.DescribeBrokerConfigs(ctx)
	check.Must("describe the cluster's settings", err)
	check.Equal("answers for the cluster's settings", 1, len(brokers))
	return "set, appended, subtracted, deleted; two refusals"
}

func deleteRecords(ctx context.Context) string {
	adm := admin()
	defer adm.Close()
	topic := newTopic(ctx, 1, nil)
	sent := check.Sample(2, 1, 100)
	produce(ctx, topic, sent)
	deleteTo := func(at int64) (int64, error) {
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: at, LeaderEpoch: -1})
		done, err := adm.DeleteRecords(ctx, offsets)
		check.Must("delete records", err)
		one, _ := done.Lookup(topic, 0)
		return one.LowWatermark, one.Err
	}
	low, err := deleteTo(40)
	check.Must("delete to 40", err)
	check.Equal("low watermark", int64(40), low)
	starts, err := adm.ListStartOffsets(ctx, topic)
	check.Must("list offsets", err)
	start, _ := starts.Lookup(topic, 0)
	check.Equal("start of the log", int64(40), start.Offset)
	check.SameRecords(sent[40:], readAll(ctx, topic, 60, kgo.NewOffset().AtStart()))
	_, err = deleteTo(101)
	wantError("delete past the end", kerr.OffsetOutOfRange, err)
	low, err = deleteTo(-1)
	check.Must("delete all", err)
	check.Equal("low watermark after deleting all", int64(100), low)
	produce(ctx, topic, sent[:1])
	check.SameRecords(sent[:1], readAll(ctx, topic, 1, kgo.NewOffset().AtStart()))
	return "100 records, 40 gone, then all"
}

func groupsAdmin(ctx context.Context) string {
	adm := admin()
	defer adm.Close()
	topic, group := newTopic(ctx, partitions, nil), check.Name("group")
	seen := check.NewSeen()
	produce(ctx, topic, numbered("first", 20))
	a := join(group, topic, seen)
	check.Eventually(ctx, "all read", 20*time.Second, func() bool { return seen.Different() == 20*partitions })
	described, err := adm.DescribeGroups(ctx, group)
	check.Must("describe", err)
	check.Equal("state with a member", "Stable", described[group].State)
	check.Equal("members", 1, len(described[group].Members))
	deleted, err := adm.DeleteGroup(ctx, group)
	wantError("delete a group with a member", kerr.NonEmptyGroup, errors.Join(err, deleted.Err))
	a.leave()
	described, err = adm.DescribeGroups(ctx, group)
	check.Must("describe", err)
	check.Equal("state without members", "Empty", described[group].State)
	lag, err := adm.Lag(ctx, group)
	check.Must("lag", err)
	check.Equal("lag", int64(0), lag[group].Lag.Total())
	reset := kadm.Offsets{}
	reset.Add(kadm.Offset{Topic: topic, Partition: 0, At: 5, LeaderEpoch: -1})
	committed, err := adm.CommitOffsets(ctx, group, reset)
	check.Must("reset", err)
	check.Must("reset", committed.Error())
	again := check.NewSeen()
	b := join(group, topic, again)
	check.Eventually(ctx, "fifteen are read again", 20*time.Second, func() bool { return again.Total() == 15 })
	b.leave()
	check.Equal("read again", 15, again.Total())
	forgotten := kadm.TopicsSet{}
	forgotten.Add(topic, 1)
	gone, err := adm.DeleteOffsets(ctx, group, forgotten)
	check.Must("delete offsets", err)
	check.Must("delete offsets", gone.Error())
	offsets, err := adm.FetchOffsets(ctx, group)
	check.Must("fetch offsets", err)
	_, still := offsets.Lookup(topic, 1)
	check.Equal("partition 1 still has an offset", false, still)
	deleted, err = adm.DeleteGroup(ctx, group)
	check.Must("delete", errors.Join(err, deleted.Err))
	listed, err := adm.ListGroups(ctx)
	check.Must("list", err)
	_, still = listed[group]
	check.Equal("the deleted group is listed", false, still)
	deleted, err = adm.DeleteGroup(ctx, group)
	wantError("delete twice", kerr.GroupIDNotFound, errors.Join(err, deleted.Err))
	return "listed, described, reset, deleted; two refusals"
}

func brokerKilled(ctx context.Context) string {
	each := check.Records() * 5
	topic := newTopic(ctx, partitions, nil)
	cl := client(kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(500), kgo.RecordDeliveryTimeout(90*time.Second))
	defer cl.Close()
	var failed, acked atomic.Int64
	crashes := make(chan struct{}, 1)
	go func() {
		defer close(crashes)
		for i := 0; i < 2; i++ {
			at := int64((i + 1) * each * partitions / 3)
			for acked.Load() < at {
				time.Sleep(time.Millisecond)
			}
			check.Broker("crash", fmt.Sprint(1+i%check.Copies()))
		}
	}()
	sent := numbered("n", each)
	for _, record := range sent {
		cl.Produce(ctx, toKgo(topic, record), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			}
			acked.Add(1)
		})
	}
	check.Must("flush", cl.Flush(ctx))
	<-crashes
	check.Equal("records refused", int64(0), failed.Load())
	check.SameRecords(sent, readAll(ctx, topic, len(sent), kgo.NewOffset().AtStart()))
	return fmt.Sprintf("%d records through two kills", len(sent))
}

func offsetsByTime(ctx context.Context) string {
	topic := newTopic(ctx, 1, nil)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	cl := client()
	defer cl.Close()
	for i := 0; i < 100; i++ {
		record := &kgo.Record{Topic: topic, Value: []byte(fmt.Sprint(i)), Timestamp: base.Add(time.Duration(i) * time.Second)}
		if i%10 == 9 {
			check.Must("produce", cl.ProduceSync(ctx, record).FirstErr())
		} else {
			cl.Produce(ctx, record, nil)
		}
	}
	check.Must("flush", cl.Flush(ctx))
	adm := kadm.NewClient(cl)
	at := func(want int64, when time.Time) {
		listed, err := adm.ListOffsetsAfterMilli(ctx, when.UnixMilli(), topic)
		check.Must("offsets after", err)
		one, _ := listed.Lookup(topic, 0)
		check.Equal(fmt.Sprintf("first offset after %v", when.Sub(base)), want, one.Offset)
	}
	at(0, base.Add(-time.Minute))
	at(37, base.Add(37*time.Second))
	at(38, base.Add(37*time.Second+time.Millisecond))
	at(99, base.Add(99*time.Second))
	at(100, base.Add(100*time.Second)) // none: kadm answers with the end
	latest, err := adm.ListMaxTimestampOffsets(ctx, topic)
	check.Must("offset of the latest time", err)
	one, _ := latest.Lookup(topic, 0)
	check.Equal("offset of the latest time", int64(99), one.Offset)
	check.Equal("the latest time", base.Add(99*time.Second).UnixMilli(), one.Timestamp)
	got := readAll(ctx, topic, 40, kgo.NewOffset().AfterMilli(base.Add(60*time.Second).UnixMilli()))
	check.Equal("records from a time on", 40, len(got))
	check.Equal("the first of them", "60", string(got[0].Value))
	return "100 records a second apart"
}

func smallFetch(ctx context.Context) string {
	topic := newTopic(ctx, partitions, nil)
	sent := check.Sample(3, partitions, check.Records())
	produce(ctx, topic, sent, kgo.ProducerBatchMaxBytes(2000))
	got := readAll(ctx, topic, len(sent), kgo.NewOffset().AtStart(), kgo.FetchMaxBytes(512), kgo.FetchMaxPartitionBytes(100))
	check.SameRecords(sent, got)
	return fmt.Sprintf("%d records in fetches of 512 bytes", len(sent))
}

func largeMessage(ctx context.Context) string {
	limit := "4194304"
	topic := newTopic(ctx, 1, map[string]*string{"max.message.bytes": &limit})
	big := check.Record{Value: make([]byte, 3_000_000)}
	for i := range big.Value {
		big.Value[i] = byte(i * 7 / 3)
	}
	plain := []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(5_000_000), kgo.BrokerMaxWriteBytes(6_000_000)}
	produce(ctx, topic, []check.Record{big, {Value: []byte("small")}}, plain...)
	check.SameRecords([]check.Record{big, {Value: []byte("small")}}, readAll(ctx, topic, 2, kgo.NewOffset().AtStart(), kgo.FetchMaxPartitionBytes(1000)))
	cl := client(plain...)
	defer cl.Close()
	refused := toKgo(newTopic(ctx, 1, nil), big)
	wantError("too large for its topic", kerr.MessageTooLarge, cl.ProduceSync(ctx, refused).FirstErr())
	return "3 MB there and back; refused by the default limit"
}

func autoCreate(ctx context.Context) string {
	topic := check.Name("auto")
	produce(ctx, topic, numbered("n", 10), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(20))
	check.SameRecords(numbered("n", 10), readAll(ctx, topic, 10*partitions, kgo.NewOffset().AtStart()))
	return "4 partitions as num.partitions says"
}

func unknownTopic(ctx context.Context) string {
	cl := client(kgo.UnknownTopicRetries(1))
	defer cl.Close()
	wantError("produce", kerr.UnknownTopicOrPartition, cl.ProduceSync(ctx, &kgo.Record{Topic: check.Name("nowhere"), Value: []byte("x")}).FirstErr())
	adm := admin()
	defer adm.Close()
	listed, err := adm.ListEndOffsets(ctx, check.Name("nowhere"))
	if err == nil {
		err = listed.Error()
	}
	wantError("list offsets", kerr.UnknownTopicOrPartition, err)
	return "produce and list offsets are refused"
}
