package code_test

import (
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/storage"
)

// object writes an object that git itself would not make, and gives its hash.
func (r *repository) object(kind, content string) string {
	r.t.Helper()
	cmd := exec.Command("git", "hash-object", "--literally", "-t", kind, "-w", "--stdin")
	cmd.Dir, cmd.Stdin = r.dir, strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// commitLiterally deploys a commit that git itself would not make.
func (r *repository) commitLiterally(tree, author string) {
	r.t.Helper()
	commit := r.object("commit", "tree "+tree+"\nparent "+r.git("rev-parse", "HEAD")+"\nauthor "+author+"\ncommitter "+author+"\n\nas of old\n")
	r.git("update-ref", "refs/heads/main", commit)
	r.commits, r.at = append(r.commits, commit), append(r.at, time.Now().Add(-time.Minute).UTC().Truncate(time.Second))
	r.record()
}

// Histories of old, in which git finds fault today, come back from bundles and from a remote.
func TestCheckout_historiesOfOld(t *testing.T) {
	for name, author := range map[string]string{
		"a time zone that there is not": "A Dev <dev@example.com> 1190000000 +51800",
		"no address":                    "A Dev 1190000000 +0000",
		"a time with a zero before it":  "A Dev <dev@example.com> 01190000000 +0000",
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []string{"bundle", "remote"} {
				r := newRepository(t)
				r.commitLiterally(r.git("rev-parse", "HEAD^{tree}"), author)
				with := component
				if from == "bundle" {
					r.bundle("shop.bundle", "--all", "HEAD")
				} else {
					with.Settings = maps.Clone(component.Settings)
					with.Settings["remote"] = []string{r.dir}
				}
				s, err := engine().Survey(t.Context(), with, recovery.Copy{Name: "nearby"}, r.store())
				if err != nil {
					t.Fatal(err)
				}
				p, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, r.store())
				if err != nil {
					t.Fatal(err)
				}
				end := enginetest.Restore(t, enginetest.Options{Engine: engine(), Component: with, Point: p, Owner: recovery.User{UID: -1, GID: -1}, Stores: map[string]storage.Store{"nearby": r.store()}})
				if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed || end.Steps[0].Outcome.Facts["commit"] != r.commits[3] {
					t.Errorf("from a %s the run ended as %s: %s (%s)", from, end.Result, says, hint)
				}
			}
		})
	}
}

// A commit that would write what is git's own, or outside of the tree, is not checked out.
func TestCheckout_hostile(t *testing.T) {
	for _, name := range []string{".git", ".GIT", "git~1", ".g\u200cit", "..", "."} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			entry := func(mode, name, hash string) string {
				raw := r.git("rev-parse", hash) // in hex
				var b strings.Builder
				b.WriteString(mode + " " + name + "\x00")
				for i := 0; i < len(raw); i += 2 {
					b.WriteByte(unhex(raw[i])<<4 | unhex(raw[i+1]))
				}
				return b.String()
			}
			inner := r.object("tree", entry("100755", "evil", "HEAD:bin/serve"))
			r.commitLiterally(r.object("tree", entry("40000", name, inner)), "A Dev <dev@example.com> 1190000000 +0000")
			r.bundle("shop.bundle", "--all", "HEAD")
			end := enginetest.Restore(t, r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"}))
			if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "invalid path '") || !strings.Contains(says, "/evil'") || hint == "" {
				t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
			}
		})
	}
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
