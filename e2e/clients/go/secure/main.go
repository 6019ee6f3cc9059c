// franz-go over mutual TLS: secure BOOTSTRAP TOPIC CA CERTIFICATE KEY writes a hundred records and reads them back.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

func main() {
	bootstrap, topic := os.Args[1], os.Args[2]
	authority, err := os.ReadFile(os.Args[3])
	must("authority", err)
	certificate, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
	must("certificate", err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AllowAutoTopicCreation(),
		kgo.DialTLSConfig(&tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{certificate}}))
	must("client", err)
	defer client.Close()
	ctx, stop := context.WithTimeout(context.Background(), 40*time.Second)
	defer stop()
	for i := 0; i < 100; i++ {
		must("produce", client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "go-%d", i)}).FirstErr())
	}
	seen := map[string]bool{}
	for len(seen) < 100 {
		fetches := client.PollFetches(ctx)
		must("poll", ctx.Err())
		fetches.EachRecord(func(record *kgo.Record) { seen[string(record.Value)] = true })
	}
	fmt.Println(len(seen))
}
