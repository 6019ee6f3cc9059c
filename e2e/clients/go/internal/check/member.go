package check

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Member is this same program as a group member in a process of its own, so that it can die without a word.
// It is started as `program member GROUP TOPIC INSTANCE` and prints `owns 0 1 2` whenever its assignment changes.
type Member struct {
	process *exec.Cmd
	guard   sync.Mutex
	owned   string
}

func StartMember(group, topic, instance string) *Member {
	member := &Member{process: exec.Command(os.Args[0], "member", group, topic, instance)}
	member.process.Stderr = os.Stderr
	out, err := member.process.StdoutPipe()
	Must("pipe", err)
	Must("start a member", member.process.Start())
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if owned, ok := strings.CutPrefix(lines.Text(), "owns "); ok {
				member.guard.Lock()
				member.owned = owned
				member.guard.Unlock()
			}
		}
	}()
	return member
}

// Owned is how many partitions the member said it owns.
func (m *Member) Owned() int {
	m.guard.Lock()
	defer m.guard.Unlock()
	return len(strings.Fields(m.owned))
}

// Kill ends the process without letting it leave its group.
func (m *Member) Kill() {
	Must("kill a member", m.process.Process.Kill())
	_ = m.process.Wait() // always "signal: killed"
}

// PrintOwned is what a member's process says of its assignment.
func PrintOwned(partitions []int32) {
	fmt.Println("owns", strings.Trim(fmt.Sprint(partitions), "[]"))
}

// Seen gathers what a group's members read, from several goroutines.
type Seen struct {
	guard  sync.Mutex
	values map[string]int
	total  int
}

func NewSeen() *Seen { return &Seen{values: map[string]int{}} }

func (s *Seen) Add(value []byte) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.values[string(value)]++
	s.total++
}

func (s *Seen) Different() int { s.guard.Lock(); defer s.guard.Unlock(); return len(s.values) }
func (s *Seen) Total() int     { s.guard.Lock(); defer s.guard.Unlock(); return s.total }

// Owner follows one member's assignment from its rebalance callbacks.
type Owner struct {
	guard            sync.Mutex
	parts            map[int32]bool
	Revoked, Changed int
}

func NewOwner() *Owner { return &Owner{parts: map[int32]bool{}} }

func (o *Owner) Assign(partitions []int32) {
	o.guard.Lock()
	defer o.guard.Unlock()
	for _, p := range partitions {
		o.parts[p] = true
	}
	o.Changed += len(partitions)
}

func (o *Owner) Revoke(partitions []int32) {
	o.guard.Lock()
	defer o.guard.Unlock()
	for _, p := range partitions {
		if o.parts[p] {
			o.Revoked++
		}
		delete(o.parts, p)
	}
}

func (o *Owner) Reset() { o.guard.Lock(); defer o.guard.Unlock(); o.parts = map[int32]bool{} }

func (o *Owner) Owned() []int32 {
	o.guard.Lock()
	defer o.guard.Unlock()
	var owned []int32
	for p := int32(0); p < 1000; p++ {
		if o.parts[p] {
			owned = append(owned, p)
		}
	}
	return owned
}

func (o *Owner) Count() int { return len(o.Owned()) }

// Moves is how many partitions were ever given and taken.
func (o *Owner) Moves() (assigned, revoked int) {
	o.guard.Lock()
	defer o.guard.Unlock()
	return o.Changed, o.Revoked
}

// Share says whether the members own all of `partitions` between them, each partition once.
func Share(partitions int, owners ...*Owner) bool {
	seen := map[int32]bool{}
	total := 0
	for _, owner := range owners {
		for _, p := range owner.Owned() {
			seen[p] = true
			total++
		}
	}
	return total == partitions && len(seen) == partitions
}
