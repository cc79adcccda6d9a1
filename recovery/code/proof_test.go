package code_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/code"
)

// unnormalised commits files, and only then what .gitattributes asks of them.
func (r *repository) unnormalised() {
	r.t.Helper()
	r.write(filepath.Join(r.dir, ".gitattributes"), "* -text\n", 0o644)
	r.write(filepath.Join(r.dir, "dos.txt"), "one\r\ntwo\r\n", 0o644)
	r.write(filepath.Join(r.dir, "mixed\n.bat"), "one\r\ntwo\n", 0o755)
	r.git("add", "-A")
	r.git("commit", "--quiet", "-m", "as they are")
	r.write(filepath.Join(r.dir, ".gitattributes"), "*.txt text eol=lf\n*.bat text eol=crlf\n", 0o644)
	r.git("commit", "--quiet", "-m", "attributes", ".gitattributes")
	r.commits, r.at = append(r.commits, r.git("rev-parse", "HEAD")), append(r.at, time.Now().Add(-time.Minute).UTC().Truncate(time.Second))
	r.record()
	r.bundle("shop.bundle", "--all", "HEAD")
}

// Files whose line endings were committed otherwise than .gitattributes asks for come back:
// git calls them changed, and they are as the commit has them. What does differ is found.
func TestCheckout_unnormalised(t *testing.T) {
	r := newRepository(t)
	r.unnormalised()
	o := r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"})
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		b, _ := env.Binding("code")
		u, err := url.Parse(b.URL)
		if err != nil {
			return err
		}
		prove := func() ([]string, error) { return code.Proof(ctx, env, filepath.Dir(u.Path), r.commits[3]) }
		dos := filepath.Join(u.Path, "dos.txt")
		for _, name := range []string{"dos.txt", "mixed\n.bat"} { // git looks into them again
			if err := os.Chtimes(filepath.Join(u.Path, name), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				return err
			}
		}
		filtered, err := prove()
		if err != nil {
			return err
		}
		if got := strings.Join(filtered, ", "); got != "dos.txt, mixed\n.bat" {
			t.Errorf("git calls changed: %q", got)
		}
		for what, change := range map[string]func() error{
			"another content": func() error { return os.WriteFile(dos, []byte("one\r\n2\r\n"), 0o600) },
			"another mode":    func() error { return os.Chmod(dos, 0o755) },
			"a link":          func() error { return os.Symlink("VERSION", dos) },
			"nothing":         func() error { return nil },
		} {
			if err := os.Remove(dos); err != nil && !os.IsNotExist(err) {
				return err
			}
			if what == "another mode" {
				r.write(dos, "one\r\ntwo\r\n", 0o644)
			}
			if err := change(); err != nil {
				return err
			}
			if _, err := prove(); err == nil || !strings.Contains(err.Error(), "dos.txt") {
				t.Errorf("%s in a file's place: %v", what, err)
			}
		}
		return nil
	}
	end := enginetest.Restore(t, o)
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
		t.Fatalf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}
