package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
)

// heard is a writer that tells when a text was written to it.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	once sync.Once
	told chan struct{}
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(b)
	if strings.Contains(h.text.String(), h.want) {
		h.once.Do(func() { close(h.told) })
	}
	return len(b), nil
}

// A copy that does not answer is named while it is waited for, and standard output stays
// what it is for.
func TestWaits_silentCopy(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, v := range map[string]string{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://" + silent.Addr().String()} {
		t.Setenv(name, v)
	}
	r, book := newRig(t), filesBook(t, "")
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, _ := strings.Cut(string(text), "  nearby: ")
	_, tail, _ = strings.Cut(tail, "\n")
	text = fmt.Appendf(nil, "%s  nearby: {url: \"s3://copies/shop\", region: us-east-1, endpoint: \"http://%s\", path_style: true}\n%s", head, silent.Addr(), tail)
	if err := os.WriteFile(book, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tells string
		args  []string
	}{
		{"looking for pages in nearby", []string{"rehearse", book, "--json"}},
		{"looking for pages in nearby", []string{"rehearse", book, "--auto"}},
		{"looking for pages in nearby", []string{"recover", book, "--to", "latest", "--dry-run"}},
		{"looking for pages in nearby", []string{"moments", book}},
		{"reading what other hosts have filed", []string{"retain", book}},
		{"reading what other hosts have filed", []string{"check", book}},
		{"reading what other hosts have filed", []string{"report", "export", book, "--since", "2026-01-01"}},
		{"looking for the runbook in s3://copies/shop", []string{"rehearse", "s3://copies/shop", "--json"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		h := &heard{want: c.tells + " .. ", told: make(chan struct{})}
		ended := make(chan recovery.Exit, 1)
		go func() { ended <- r.app(&out, h).run(ctx, c.args) }()
		select {
		case <-h.told:
		case code := <-ended:
			t.Fatalf("%v: exit %d, %s", c.args, code, h.text.String())
		}
		cancel()
		want := recovery.Interrupted
		if c.args[0] == "check" { // which has a table of its own
			want = recovery.CheckUnknown
		}
		says := ""
		if slices.Contains(c.args, "--json") { // of a failure, too
			says = fmt.Sprintf(`"exit":%d}`, want)
		}
		if code := <-ended; code != want || (out.Len() > 0) != (says != "") || !strings.Contains(out.String(), says) {
			t.Errorf("%v: exit %d, %q\n%s", c.args, code, out.String(), h.text.String())
		}
	}
	r.noRun(t)
}

// What a command waits for before a run begins is told, part by part; nothing where it
// takes no time.
func TestWaits_told(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["DATABASE_URL"] = l.Layout.URL("postgres", "shop")
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, "\n## Switch\n\n```yaml\nswitch: database\n```\n")
	xid := fmt.Sprint(l.incident.Harm.XID)
	const survey = "looking for database in nearby .. "
	for _, c := range []struct {
		args  []string
		tells []string
	}{
		{[]string{"rehearse", book, "--dry-run", "--to", "before-xid:" + xid}, []string{survey, "looking for the moment before-xid:" + xid + " .. "}},
		{[]string{"recover", book, "--dry-run", "--to", "before-xid:" + xid}, []string{survey, "looking at what is live .. ", "counting what is lost with the moment before-xid:" + xid + " .. "}},
		{[]string{"rescue", book, "--dry-run", "--xid", xid}, []string{survey, "looking for the moment after-xid:" + xid + " of database .. ", "reading the log in nearby .. "}},
		{[]string{"moments", book}, []string{survey}},
		{[]string{"moments", book, "--around", "xid:" + xid}, []string{survey, "looking for transaction " + xid + " in nearby .. "}},
		{[]string{"wal", "save", book, "--from", t.TempDir()}, []string{survey}},
	} {
		for _, leap := range []time.Duration{meterPlain + time.Second, 0} {
			got := r.leaping(t, leap, c.args...)
			for _, text := range c.tells {
				if strings.Contains(got.err, text) != (leap > 0) {
					t.Errorf("%v, %v: %q is told wrongly:\n%s", c.args, leap, text, got.err)
				}
				if strings.Contains(got.out, text) {
					t.Errorf("%v: standard output has %q", c.args, text)
				}
			}
		}
	}
}

// leaping runs a command whose clock goes on by so much whenever somebody looks at it.
func (r *rig) leaping(t *testing.T, by time.Duration, args ...string) output {
	t.Helper()
	var out bytes.Buffer
	said := &heard{want: "\x00", told: make(chan struct{})}
	a := r.app(&out, said)
	var mu sync.Mutex
	now := time.Now()
	a.now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(by)
		return now
	}
	code := a.run(t.Context(), args)
	return output{code, out.String(), said.text.String()}
}
