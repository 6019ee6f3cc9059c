package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/e2e/clients/internal/check"
)

// wire is one connection that speaks requests one at a time.
type wire struct {
	conn    net.Conn
	counter int32
}

func dial(address string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", address, 30*time.Second)
	return &wire{conn: conn}, err
}

func (w *wire) ask(request kmsg.Request, answer kmsg.Response) error {
	w.counter++
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("stampede"))
	if _, err := w.conn.Write(formatter.AppendRequest(nil, request, w.counter)); err != nil {
		return err
	}
	if err := w.conn.SetReadDeadline(time.Now().Add(100 * time.Second)); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(w.conn, size[:]); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(w.conn, body); err != nil {
		return err
	}
	answer.SetVersion(request.GetVersion())
	if answer.IsFlexible() {
		return answer.ReadFrom(body[5:]) // correlation id, no tags
	}
	return answer.ReadFrom(body[4:])
}

// crowd is where the members note where they stand.
type crowd struct {
	group, topic string
	guard        sync.Mutex
	generation   map[int]int32 // of each member that has its assignment
	leads        map[int]bool
	trouble      map[string]int
	done         chan struct{}
}

func (c *crowd) stands(number int, generation int32, leads bool) {
	c.guard.Lock()
	defer c.guard.Unlock()
	c.generation[number], c.leads[number] = generation, leads
}

func (c *crowd) moves(number int) {
	c.guard.Lock()
	defer c.guard.Unlock()
	delete(c.generation, number)
}

func (c *crowd) fails(err error) {
	c.guard.Lock()
	defer c.guard.Unlock()
	c.trouble[err.Error()]++
}

// settled says whether all members are in one generation, with one leader.
func (c *crowd) settled(members int) bool {
	c.guard.Lock()
	defer c.guard.Unlock()
	generations, leaders := map[int32]bool{}, 0
	for number, generation := range c.generation {
		generations[generation] = true
		if c.leads[number] {
			leaders++
		}
	}
	return len(c.trouble) > 0 || len(c.generation) == members && len(generations) == 1 && leaders == 1
}

// Each member is a connection that joins, syncs, heartbeats, and joins again when told to: in the end all are in one generation, each
// with the assignment that the one leader made for it.
func manyMembersJoin(ctx context.Context) string {
	members := 5000
	if limit := check.Records() * 5; limit < members { // fewer in the short form
		members = limit
	}
	c := &crowd{group: check.Name("stampede"), topic: newTopic(ctx, 1), generation: map[int]int32{}, leads: map[int]bool{}, trouble: map[string]int{}, done: make(chan struct{})}
	coordinator := coordinatorOf(c.group)
	began := time.Now()
	var waiting sync.WaitGroup
	for number := 0; number < members; number++ {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			if err := c.member(number, coordinator); err != nil {
				c.fails(err)
			}
		}()
	}
	check.Eventually(ctx, fmt.Sprintf("%d members are in one generation", members), 110*time.Second, func() bool { return c.settled(members) })
	took := time.Since(began)
	close(c.done)
	waiting.Wait()
	if len(c.trouble) > 0 {
		check.Fail("%d kinds of trouble, for one: %v", len(c.trouble), first(c.trouble))
	}
	return fmt.Sprintf("%d members in one generation after %.1f s", members, took.Seconds())
}

const rebalanceInProgress, memberIDRequired = 27, 79

func (c *crowd) member(number int, coordinator string) error {
	w, err := dial(coordinator)
	if err != nil {
		return err
	}
	defer w.conn.Close()
	id := ""
	for {
		joined, err := w.join(c.group, c.topic, id)
		if err != nil {
			return err
		}
		id = joined.MemberID
		if joined.ErrorCode == memberIDRequired {
			continue
		}
		assignment, again, err := w.sync(c.group, id, joined)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		if string(assignment) != "for "+id {
			return fmt.Errorf("member %s was given %q", id, assignment)
		}
		c.stands(number, joined.Generation, joined.LeaderID == id)
		for !again {
			select {
			case <-c.done:
				return nil
			case <-time.After(2 * time.Second):
			}
			if again, err = w.heartbeat(c.group, id, joined.Generation); err != nil {
				return err
			}
		}
		c.moves(number)
	}
}

func first(counts map[string]int) string {
	for words, count := range counts {
		return fmt.Sprintf("%s (%d times)", words, count)
	}
	return ""
}

func coordinatorOf(group string) string {
	w, err := dial(check.Bootstrap()[0])
	check.Must("dial", err)
	defer w.conn.Close()
	found := kmsg.NewPtrFindCoordinatorResponse()
	check.Eventually(context.Background(), "there is a coordinator", 20*time.Second, func() bool {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.Version, find.CoordinatorKey = 3, group
		check.Must("find coordinator", w.ask(find, found))
		return found.ErrorCode == 0
	})
	return net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port)))
}

func (w *wire) join(group, topic, id string) (*kmsg.JoinGroupResponse, error) {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.MemberID, join.ProtocolType = 7, group, id, "consumer"
	join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 60_000, 90_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = "range", []byte(topic)
	join.Protocols = append(join.Protocols, protocol)
	joined := kmsg.NewPtrJoinGroupResponse()
	if err := w.ask(join, joined); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if joined.ErrorCode != 0 && joined.ErrorCode != memberIDRequired {
		return nil, fmt.Errorf("join: error %d", joined.ErrorCode)
	}
	return joined, nil
}

func (w *wire) sync(group, id string, joined *kmsg.JoinGroupResponse) (assignment []byte, again bool, err error) {
	request := kmsg.NewPtrSyncGroupRequest()
	request.Version, request.Group, request.MemberID, request.Generation = 4, group, id, joined.Generation
	for _, member := range joined.Members { // only the leader is told them
		one := kmsg.NewSyncGroupRequestGroupAssignment()
		one.MemberID, one.MemberAssignment = member.MemberID, []byte("for "+member.MemberID)
		request.GroupAssignment = append(request.GroupAssignment, one)
	}
	synced := kmsg.NewPtrSyncGroupResponse()
	if err := w.ask(request, synced); err != nil {
		return nil, false, fmt.Errorf("sync: %w", err)
	}
	if synced.ErrorCode != 0 && synced.ErrorCode != rebalanceInProgress {
		return nil, false, fmt.Errorf("sync: error %d", synced.ErrorCode)
	}
	return synced.MemberAssignment, synced.ErrorCode == rebalanceInProgress, nil
}

func (w *wire) heartbeat(group, id string, generation int32) (again bool, err error) {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Version, request.Group, request.MemberID, request.Generation = 4, group, id, generation
	answer := kmsg.NewPtrHeartbeatResponse()
	if err := w.ask(request, answer); err != nil {
		return false, fmt.Errorf("heartbeat: %w", err)
	}
	if answer.ErrorCode != 0 && answer.ErrorCode != rebalanceInProgress {
		return false, fmt.Errorf("heartbeat: error %d", answer.ErrorCode)
	}
	return answer.ErrorCode == rebalanceInProgress, nil
}
