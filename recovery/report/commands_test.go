package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The commands that are printed are the commands that work, whatever the
// directory is called.
func TestCommands(t *testing.T) {
	dir, path := written(t), makeKey(t, "-t", "ed25519")
	signWith(t, dir, path)
	odd := filepath.Join(t.TempDir(), `it's "a" $(run)`)
	must(t, os.Rename(dir, odd))
	signers := filepath.Join(t.TempDir(), "my signers")
	must(t, os.WriteFile(signers, []byte("o'ps1 "+publicKey(t, path+".pub")+"\n"), 0o600))
	commands := Commands(odd, signers, "o'ps1")
	out := mustRun(t, "sh", "-euc", strings.Join(commands, "\n"))
	if !strings.Contains(out, "Good") || !strings.Contains(out, JSONFile+": OK") {
		t.Errorf("%s", out)
	}
	must(t, os.WriteFile(filepath.Join(odd, RunbookFile), []byte("x"), 0o600))
	if out, err := command(t, "", "", "sh", "-euc", strings.Join(commands, "\n")); err == nil {
		t.Errorf("a changed runbook passes: %s", out)
	}
	if got := strings.Join(Commands("/srv/run", "", ""), "; "); got != "cd /srv/run; ssh-keygen -Y verify -f YOUR_ALLOWED_SIGNERS -I NAME "+
		"-n report@comeback -s SHA256SUMS.sig < SHA256SUMS; sha256sum --strict -c SHA256SUMS" {
		t.Errorf("%s", got)
	}
}
