package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/report"
)

// A report that was changed is shown without what would act on a terminal, and said not to
// verify; and no later report is signed with what it, or one that nobody has signed, says.
func TestReport_changed(t *testing.T) {
	t.Parallel()
	ctx, book, r := t.Context(), pictures(t), newRig(t)
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	rehearse := func(more ...string) string {
		return r.begun(t, func() {
			r.run(ctx, append([]string{"rehearse", book, "--plain"}, more...)...).has(t, recovery.CameBack)
		})
	}
	changed, whole := rehearse("--key", key), rehearse("--key", key)
	unsigned := rehearse() // nobody signs it
	r.runnersEnd(t)

	if got := r.run(ctx, "report", "show", whole); strings.Contains(got.err, "verify") || !strings.Contains(got.out, "\n## ") {
		t.Errorf("a whole report is shown as %s%s", got.out, got.err)
	}
	if got := r.run(ctx, "report", "show", unsigned); !strings.Contains(got.err, "is whole, but the report is not signed") || !strings.Contains(got.err, "comeback report sign") || strings.Contains(got.err, "verify") {
		t.Errorf("one that is not signed is shown with %s", got.err)
	}
	for name, more := range map[string]string{report.MarkdownFile: "\x1b]0;title\x07 \u202eREHEARSED\n", report.JSONFile: " "} {
		path := filepath.Join(changed, name)
		b, err := os.ReadFile(path)
		if err = errors.Join(err, os.WriteFile(path, append(b, more...), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	got := r.run(ctx, "report", "show", changed)
	if got.code != recovery.CameBack || !strings.Contains(got.err, "does not verify: ") || !strings.Contains(got.out, "REHEARSED\n") || strings.ContainsAny(got.out, "\x1b\x07\u202e") {
		t.Errorf("exit %d %q\n%s", got.code, got.out, got.err)
	}

	b, err := os.ReadFile(filepath.Join(rehearse("--key", key), report.PlanFile))
	var p recovery.Plan
	if err = errors.Join(err, json.Unmarshal(b, &p)); err != nil || len(p.Earlier) != 1 || p.Earlier[0].Run != filepath.Base(whole) {
		t.Errorf("it is compared with %+v, %v; only %s verifies", p.Earlier, err, filepath.Base(whole))
	}
}

// A key that is not there is told before anything is looked at, with what may stand there.
func TestKey_notThere(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	r.run(t.Context(), "rehearse", p.book, "--plain", "--key", "nosuch").has(t, recovery.Usage, "--key nosuch: ", "name the file of an SSH private key")
	r.noRun(t)
}

// What is said in two ways is not said to be missing.
func TestRescue_saidTwice(t *testing.T) {
	t.Parallel()
	o := rescuing{xids: []uint{81214}}
	o.to = "latest"
	if err := o.check(); recovery.ExitOf(err) != recovery.Usage || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("%v", err)
	}
}
