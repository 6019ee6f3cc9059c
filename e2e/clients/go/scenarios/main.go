// What only shows when much happens at once: order through kills and reconnects, rebalances while partitions grow, a stampede of members.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/e2e/clients/internal/check"
)

func main() {
	check.Run(map[string]check.Check{
		"order-through-restarts":           orderThroughRestarts,
		"rebalances-while-partitions-grow": rebalancesWhilePartitionsGrow,
		"5000-members-join":                manyMembersJoin,
		"lag-metric":                       lagMetric,
	})
}

func client(options ...kgo.Opt) *kgo.Client {
	base := []kgo.Opt{kgo.SeedBrokers(check.Bootstrap()...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(2 * time.Second)}
	made, err := kgo.NewClient(append(base, options...)...)
	check.Must("client", err)
	return made
}

func newTopic(ctx context.Context, parts int32) string {
	name := check.Name("scenario")
	cl := client()
	defer cl.Close()
	_, err := kadm.NewClient(cl).CreateTopic(ctx, parts, int16(check.Copies()), nil, name)
	check.Must("create "+name, err)
	return name
}

// cutting is a dialer whose connections can be cut all at once, as a network does.
type cutting struct {
	guard sync.Mutex
	open  map[net.Conn]bool
}

func (c *cutting) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.guard.Lock()
		c.open[conn] = true
		c.guard.Unlock()
	}
	return conn, err
}

func (c *cutting) cut() {
	c.guard.Lock()
	defer c.guard.Unlock()
	for conn := range c.open {
		_ = conn.Close() // it may be closed already
		delete(c.open, conn)
	}
}

// Several producers, several keys each: within a partition every producer's records keep their order, none is lost or doubled, while
// connections are cut and the broker is killed and comes back.
func orderThroughRestarts(ctx context.Context) string {
	const producers, parts, kills = 3, 3, 3
	each := check.Records() * 5
	topic := newTopic(ctx, parts)
	var acked, refused atomic.Int64
	cutter := &cutting{open: map[net.Conn]bool{}}
	var waiting sync.WaitGroup
	for who := 0; who < producers; who++ {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			cl := client(kgo.Dialer(cutter.dial), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(300))
			defer cl.Close()
			for i := 0; i < each; i++ {
				record := &kgo.Record{Topic: topic, Partition: int32(i % parts), Value: []byte(fmt.Sprintf("%d %d", who, i))}
				cl.Produce(ctx, record, func(_ *kgo.Record, err error) {
					if err != nil {
						refused.Add(1)
					}
					acked.Add(1)
				})
			}
			if err := cl.Flush(ctx); err != nil {
				refused.Add(1)
			}
		}()
	}
	total := int64(producers * each)
	for i := int64(1); i <= 2*kills; i++ {
		at := i * total / (2*kills + 1)
		check.Eventually(ctx, "records are acknowledged", 60*time.Second, func() bool { return acked.Load() >= at })
		if i%2 == 0 {
			check.Broker("crash", strconv.Itoa(1+int(i/2)%check.Copies()))
		} else {
			cutter.cut()
		}
	}
	waiting.Wait()
	check.Equal("records refused", int64(0), refused.Load())
	reader := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	next := map[string]int{}
	read := int64(0)
	for read < total && ctx.Err() == nil {
		fetches := reader.PollFetches(ctx)
		check.Must("fetch", fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			who, number, _ := strings.Cut(string(record.Value), " ")
			slot := fmt.Sprintf("%s in partition %d", who, record.Partition)
			if _, known := next[slot]; !known {
				next[slot] = int(record.Partition)
			}
			check.Equal("the next record of producer "+slot, strconv.Itoa(next[slot]), number)
			next[slot] += parts
			read++
		})
	}
	check.Equal("records read", total, read)
	return fmt.Sprintf("%d records of %d producers in order through %d kills and %d cut networks", total, producers, kills, kills)
}

// Consumers come, go and die while the topic grows from 2 to 12 partitions and records keep coming: every record is read, and at the end
// the committed offsets are the ends of the partitions.
func rebalancesWhilePartitionsGrow(ctx context.Context) string {
	words := ""
	for _, protocol := range []string{"classic", "consumer"} {
		words += oneStorm(ctx, protocol)
	}
	return strings.TrimSuffix(words, "; ")
}

func oneStorm(ctx context.Context, protocol string) string {
	topic, group := newTopic(ctx, 2), check.Name("storm")
	seen := check.NewSeen()
	random := rand.New(rand.NewSource(7))
	var rebalances atomic.Int64
	join := func() (leave func()) {
		options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.AutoCommitInterval(100 * time.Millisecond), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond),
			kgo.Balancers(kgo.CooperativeStickyBalancer()),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { rebalances.Add(1) })}
		if protocol == "consumer" {
			options = append(options, kgo.ServerSideBalancer())
		}
		cl := client(options...)
		polling, stop := context.WithCancel(ctx)
		var done sync.WaitGroup
		done.Add(1)
		go func() {
			defer done.Done()
			for polling.Err() == nil {
				cl.PollFetches(polling).EachRecord(func(r *kgo.Record) { seen.Add(r.Value) })
			}
		}()
		return func() {
			stop()
			done.Wait()
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "commit:", err) // another owns the partition by now and reads it again
			}
			cl.Close()
		}
	}
	producer := client(kgo.DefaultProduceTopic(topic))
	defer producer.Close()
	adm := kadm.NewClient(producer)
	var members []func()
	var leaving sync.WaitGroup
	sent, parts := 0, 2
	for round := 0; round < 25; round++ {
		for i := 0; i < 200; i++ {
			producer.Produce(ctx, &kgo.Record{Key: []byte(strconv.Itoa(i)), Value: []byte(fmt.Sprintf("%s-%d", protocol, sent))}, nil)
			sent++
		}
		switch choice := random.Intn(3); {
		case len(members) < 2 || choice == 0 && len(members) < 5:
			members = append(members, join())
		case choice == 1:
			leaving.Add(1)
			go func(leave func()) {
				defer leaving.Done()
				leave()
			}(members[0])
			members = members[1:]
		case parts < 12:
			parts += 2
			grown, err := adm.UpdatePartitions(ctx, parts, topic)
			check.Must("grow", errors.Join(err, grown.Error()))
		}
		time.Sleep(150 * time.Millisecond)
	}
	check.Must("flush", producer.Flush(ctx))
	check.Eventually(ctx, "every record is read", 60*time.Second, func() bool { return seen.Different() == sent })
	leaving.Wait()
	for _, leave := range members {
		leave()
	}
	// A commit that a rebalance overtook is refused, as it must be: a last member, alone, reads that again and commits it.
	defer join()()
	left := ""
	defer func() {
		if left != "" {
			fmt.Fprintln(os.Stderr, protocol, "left:", left)
		}
	}()
	check.Eventually(ctx, protocol+": nothing is left to commit", 15*time.Second, func() bool {
		ends, err := adm.ListEndOffsets(ctx, topic)
		check.Must("ends", err)
		commits, err := adm.FetchOffsets(ctx, group)
		check.Must("commits", err)
		left = ""
		ends.Each(func(end kadm.ListedOffset) {
			if commit, ok := commits.Lookup(topic, end.Partition); end.Offset > 0 && (!ok || commit.At != end.Offset) {
				left += fmt.Sprintf(" %d: committed %d, end %d;", end.Partition, commit.At, end.Offset)
			}
		})
		return left == ""
	})
	return fmt.Sprintf("%s: %d records over %d assignments to %d partitions, %d read again; ", protocol, sent, rebalances.Load(), parts, seen.Total()-sent)
}

// lagMetric holds the broker's own figure of a group's lag against what the group left unread.
func lagMetric(ctx context.Context) string {
	topic, group := newTopic(ctx, 1), check.Name("lagging")
	cl := client(kgo.DefaultProduceTopic(topic), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for i := 0; i < 100; i++ {
		cl.Produce(ctx, &kgo.Record{Value: []byte("x")}, nil)
	}
	check.Must("flush", cl.Flush(ctx))
	fetches := cl.PollRecords(ctx, 30)
	check.Must("fetch", fetches.Err())
	check.Must("commit", cl.CommitRecords(ctx, fetches.Records()...))
	want := strconv.Itoa(100 - len(fetches.Records()))
	found := ""
	host, port, _ := net.SplitHostPort(check.Bootstrap()[0])
	number, _ := strconv.Atoi(port)
	brokers := len(check.Bootstrap())
	check.Eventually(ctx, "the lag is on a broker's /metrics", 20*time.Second, func() bool {
		for n := 0; n < brokers; n++ {
			answer, err := http.Get(fmt.Sprintf("http://%s:%d/metrics", host, number+20+n))
			check.Must("/metrics", err)
			text, err := io.ReadAll(answer.Body)
			check.Must("/metrics", err)
			_ = answer.Body.Close() // read to its end
			for _, line := range strings.Split(string(text), "\n") {
				if strings.Contains(line, "lag") && strings.Contains(line, `"`+group+`"`) && strings.HasSuffix(line, " "+want) {
					found = line
				}
			}
		}
		return found != ""
	})
	return found
}
