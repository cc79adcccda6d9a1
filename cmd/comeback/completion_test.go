package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command explains itself with an example, and every flag names its value.
func TestHelp(t *testing.T) {
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		if cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s has no long help or no example", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); f.Value.Type() != "bool" && name != strings.ToUpper(name) {
				t.Errorf("%s --%s does not name its value: %s", cmd.CommandPath(), f.Name, f.Usage)
			}
			if f.Value.Type() == "bool" && strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s seems to take a value: %s", cmd.CommandPath(), f.Name, f.Usage)
			}
			if strings.Contains(f.DefValue, "0 B") {
				t.Errorf("%s --%s has no limit, and says 0", cmd.CommandPath(), f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newRig(t).app(io.Discard, io.Discard).root())
}

// A shell completes what a runbook names, engines, and files only where one belongs.
func TestCompletion(t *testing.T) {
	r, book := newRig(t), filesBook(t, "")
	const none, files, dirs = "\n:4\n", ":0\n", ":16\n"
	for _, c := range []struct{ line, want string }{
		{"backup BOOK ", "pages\tfiles" + none},
		{"retain BOOK ", "pages\tfiles" + none},
		{"wal save BOOK --from /tmp ", "pages\tfiles" + none},
		{"backup BOOK --copy ", "nearby" + none},
		{"rehearse BOOK --copy ", "nearby" + none},
		{"rehearse s3://dead/shop --copy ", none[1:]},
		{"demo ", none[1:]},
		{"version ", none[1:]},
		{"runs ", none[1:]},
		{"report show ./", dirs[1:]},
		{"wal fetch ", "md\n:8\n"},
		{"completion ", "bash\nzsh\nfish\npowershell" + none},
		{"moments BOOK --copy ", "nearby" + none},
		{"rescue BOOK --component ", "pages\tfiles" + none},
		{"wal push BOOK --component ", "pages\tfiles" + none},
		{"recover BOOK --engine ", "\nwal-g" + none},
		{"runbook keys ", "\nwal-g" + none},
		{"rehearse BOOK --to ", "latest\nbefore-xid:\n"},
		{"rehearse BOOK ", ":4\n"},
		{"recover BOOK --confirm ", ":4\n"},
		{"rehearse ", "md\n:8\n"},
		{"rehearse s3:", "s3://\n:6\n"},
		{"rehearse file:/", "file://\n:6\n"},
		{"rehearse file://", "file:///\n:6\n"},
		{"rehearse file://DIR/sh", "file://DIR/shop.md\n:6\n"},
		{"rehearse file://DIR/../", "file://DIR/../001/\nfile://DIR/../002/\n"},
		{"wal push BOOK ", files},
		{"rehearse BOOK --key ", files},
		{"rehearse BOOK --scratch ", dirs},
	} {
		there := strings.NewReplacer("BOOK", book, "DIR", filepath.Dir(book))
		args := strings.Fields(there.Replace(c.line))
		if c.want = there.Replace(c.want); strings.HasSuffix(c.line, " ") {
			args = append(args, "")
		}
		got := r.run(t.Context(), append([]string{"__complete"}, args...)...)
		if got.code != recovery.CameBack || !strings.Contains(got.out, c.want) || strings.HasPrefix(c.want, ":") && got.out != c.want {
			t.Errorf("%s: exit %d, %q", c.line, got.code, got.out)
		}
	}
}

// Runs are completed with what they are for, the newest first, and those for which there is no
// time by their ids alone. No copy is asked for anything.
func TestCompletion_runs(t *testing.T) {
	r, asked := newRig(t), newStoreThatAnswersNothing(t)
	now := time.Now()
	for i, id := range []string{"0a01", "0a02", "0b03"} {
		b, err := plan.Encode(&recovery.Plan{Format: 1, Run: id, System: "shop", Mode: recovery.Rehearsal, Created: now})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(r.state, "runs", id, recovery.PlanFile)
		written := now.Add(time.Duration(i) * time.Minute)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600), os.Chtimes(path, written, written)); err != nil {
			t.Fatal(err)
		}
	}
	says := "\trehearsal of shop, " + now.Local().Format("2 Jan 15:04") + "\n"
	for _, test := range []struct{ typed, want string }{
		{"", "0b03" + says + "0a02" + says + "0a01" + says + ":36\n"},
		{"0a", "0a02" + says + "0a01" + says + ":36\n"},
		{"7c", ":36\n"},
	} {
		if got := r.run(t.Context(), "__complete", "status", test.typed); got.out != test.want {
			t.Errorf("status %s: %q, want %q", test.typed, got.out, test.want)
		}
	}
	var out bytes.Buffer
	slow := r.app(&out, io.Discard)
	slow.now = func() time.Time { now = now.Add(readsRuns / 2); return now }
	if code, want := slow.run(t.Context(), []string{"__complete", "status", ""}), "0b03"+says+"0a02\n0a01\n:36\n"; code != recovery.CameBack || out.String() != want {
		t.Errorf("where it takes long: exit %d, %q, want %q", code, out.String(), want)
	}
	r.run(t.Context(), "__complete", "rehearse", "s3://dead/shop", "--copy", "")
	if n := asked(); n > 0 {
		t.Errorf("a copy was asked %d times", n)
	}
}

// newStoreThatAnswersNothing is where S3 is for this test; it counts who asks.
func newStoreThatAnswersNothing(t *testing.T) (asked func() int64) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		http.Error(w, "nothing", http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"} {
		t.Setenv(name, value)
	}
	return n.Load
}

// Everything that a component may say can be read, as the linter knows it.
func TestRunbookKeys(t *testing.T) {
	r := newRig(t)
	all := r.run(t.Context(), "runbook", "keys")
	for _, s := range vocabulary().Engines {
		one := r.run(t.Context(), "runbook", "keys", s.Engine)
		for _, got := range []output{all, one} {
			_, part, ok := strings.Cut(got.out, "kind: "+s.Kind+", with: "+s.Engine+"\n")
			part, _, _ = strings.Cut(part, "\nkind: ")
			if !ok || got.code != recovery.CameBack {
				t.Fatalf("%s of %s is not listed: exit %d\n%s", s.Engine, s.Kind, got.code, got.out)
			}
			for _, k := range s.Keys {
				_, says, ok := strings.Cut(part, "\n  "+k.Name+": "+k.Example+"\n")
				if words := strings.Join(strings.Fields(says), " "); !ok || !strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(words, "needed: "), "a list: "), k.Doc) ||
					k.Required != strings.HasPrefix(words, "needed: ") {
					t.Errorf("%s of %s: %s is not told:\n%s", s.Engine, s.Kind, k.Name, part)
				}
			}
		}
	}
	r.run(t.Context(), "runbook", "keys", "ptir").has(t, recovery.Usage, "there is no engine \"ptir\"", "pitr")
}
