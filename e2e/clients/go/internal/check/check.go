// Package check holds what the Go clients' programs share: which checks are asked, how an answer is printed, the records that are
// sent and what must come back, and the handle on the broker.
package check

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Check is one question of checks.txt; it panics with an explanation (Fail, Must) when the answer is no, and returns words otherwise.
type Check func(ctx context.Context) string

// NotOffered marks a check that this client has no way to be asked, with the reason.
func NotOffered(reason string) Check {
	return func(context.Context) string { panic(notOffered(reason)) }
}

type notOffered string

// Run asks what $CHECKS names and prints one line each; run.sh counts them.
func Run(checks map[string]Check) {
	for _, name := range strings.Fields(os.Getenv("CHECKS")) {
		ask, known := checks[name]
		if !known {
			continue
		}
		result, words := one(ask)
		fmt.Printf("%s\t%s\t%s\n", result, name, strings.ReplaceAll(words, "\n", " "))
	}
}

func one(ask Check) (result, words string) {
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	began := time.Now()
	defer func() {
		switch broken := recover().(type) {
		case nil:
		case notOffered:
			result, words = "n/a", string(broken)
		default:
			result, words = "FAILED", fmt.Sprint(broken)
			if os.Getenv("TRACE") != "" {
				debug.PrintStack()
			}
		}
	}()
	words = ask(ctx)
	return "ok", fmt.Sprintf("%s (%.1f s)", words, time.Since(began).Seconds())
}

func Fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func Must(what string, err error) {
	if err != nil {
		Fail("%s: %v", what, err)
	}
}

func Equal[T comparable](what string, want, got T) {
	if want != got {
		Fail("%s: expected %v, got %v", what, want, got)
	}
}

// Bootstrap is where the brokers listen.
func Bootstrap() []string { return strings.Split(os.Getenv("BOOTSTRAP"), ",") }

// Copies is what a topic of this cluster is created with.
func Copies() int {
	if os.Getenv("NODES") == "3" {
		return 3
	}
	return 1
}

// Records is how many a partition gets in a check that counts.
func Records() int {
	n, err := strconv.Atoi(os.Getenv("RECORDS"))
	Must("RECORDS", err)
	return n
}

var names sync.Mutex
var nextName int

// Name is fresh in this run.
func Name(prefix string) string {
	names.Lock()
	defer names.Unlock()
	nextName++
	return fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), nextName)
}

// Broker runs a verb of broker.sh.
func Broker(verb ...string) {
	out, err := exec.Command(os.Getenv("MILLRACE_CTL"), verb...).CombinedOutput()
	if err != nil {
		Fail("broker.sh %v: %v: %s", verb, err, out)
	}
}

// Header is one header of a record; a nil value is sent as null.
type Header struct {
	Key   string
	Value []byte
}

// Record is what is sent and what must come back, whatever the client calls its own type.
type Record struct {
	Partition  int32
	Key, Value []byte
	Headers    []Header
}

// Sample draws records for `partitions` partitions: text, binary, empty and null values, keys and none, headers and none.
func Sample(seed int64, partitions, each int) []Record {
	random := rand.New(rand.NewSource(seed))
	records := make([]Record, 0, partitions*each)
	for i := 0; i < each; i++ {
		for p := 0; p < partitions; p++ {
			record := Record{Partition: int32(p), Value: []byte(fmt.Sprintf("record %d of %d, %s", i, p, strings.Repeat("compressible ", random.Intn(8))))}
			switch i % 5 {
			case 0:
				record.Key = []byte(fmt.Sprintf("key-%d", i%17))
			case 1:
				record.Key, record.Value = []byte(fmt.Sprintf("key-%d", i%17)), nil
			case 2:
				record.Value = make([]byte, random.Intn(300)+1)
				random.Read(record.Value)
			case 3:
				record.Headers = []Header{{"trace", []byte{0, 1, 2, 255}}, {"trace", []byte("again")}, {"größe", []byte("ü")}}
			}
			records = append(records, record)
		}
	}
	return records
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// SameRecords holds what came back against what was sent, partition by partition, in order.
func SameRecords(sent, got []Record) {
	Equal("records", len(sent), len(got))
	next := map[int32][]Record{}
	for _, record := range sent {
		next[record.Partition] = append(next[record.Partition], record)
	}
	for _, record := range got {
		rest := next[record.Partition]
		if len(rest) == 0 {
			Fail("partition %d returned more than it was sent", record.Partition)
		}
		want := rest[0]
		next[record.Partition] = rest[1:]
		if !sameBytes(want.Key, record.Key) || !sameBytes(want.Value, record.Value) || len(want.Headers) != len(record.Headers) {
			Fail("partition %d, %d before its end: sent %q=%q with %d headers, got %q=%q with %d", record.Partition, len(rest), want.Key,
				want.Value, len(want.Headers), record.Key, record.Value, len(record.Headers))
		}
		for i, header := range want.Headers {
			if header.Key != record.Headers[i].Key || !bytes.Equal(header.Value, record.Headers[i].Value) {
				Fail("partition %d: header %d was %v, came back as %v", record.Partition, i, header, record.Headers[i])
			}
		}
	}
}

// Eventually asks until `true`, or fails with what was waited for.
func Eventually(ctx context.Context, what string, within time.Duration, true_ func() bool) {
	end := time.Now().Add(within)
	for !true_() {
		if time.Now().After(end) || ctx.Err() != nil {
			Fail("not within %s: %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
