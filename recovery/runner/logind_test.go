package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func place(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The last file that says so decides, as systemd reads them.
func TestEnvironment_killsAtLogout(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  bool
	}{
		{"nothing configured", nil, false},
		{"commented out", map[string]string{"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, false},
		{"yes", map[string]string{"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n"}, true},
		{"a drop-in says no", map[string]string{"etc/systemd/logind.conf": "KillUserProcesses=yes", "etc/systemd/logind.conf.d/a.conf": "KillUserProcesses=no"}, false},
		{"a drop-in of the vendor counts more than the main file", map[string]string{"etc/systemd/logind.conf": "KillUserProcesses=no", "usr/lib/systemd/logind.conf.d/a.conf": "KillUserProcesses = yes"}, true},
		{"the later name counts, wherever it lies", map[string]string{"etc/systemd/logind.conf.d/10.conf": "KillUserProcesses=no", "usr/lib/systemd/logind.conf.d/20.conf": "KillUserProcesses=yes"}, true},
		{"a drop-in is hidden by one of its name", map[string]string{"usr/lib/systemd/logind.conf.d/20.conf": "KillUserProcesses=yes", "etc/systemd/logind.conf.d/20.conf": ""}, false},
		{"one main file is read", map[string]string{"usr/lib/systemd/logind.conf": "KillUserProcesses=yes", "etc/systemd/logind.conf": "[Login]"}, false},
		{"the vendor says yes", map[string]string{"usr/lib/systemd/logind.conf.d/a.conf": "KillUserProcesses=1"}, true},
	} {
		root := t.TempDir()
		place(t, root, test.files)
		if got := kills(root); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if (environment{"USER=ops1"}).killsAtLogout("/") {
		t.Error("a process that logind does not know is ended by it")
	}
}

func TestEnvironment_scope(t *testing.T) {
	runtime, bin := t.TempDir(), t.TempDir()
	place(t, runtime, map[string]string{"systemd/private": ""})
	path := filepath.Join(bin, "systemd-run")
	if err := os.WriteFile(path, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	got := environment{"XDG_RUNTIME_DIR=" + runtime}.scope("comeback-7c31")
	if want := strings.Fields(path + " --user --scope --quiet --collect --unit comeback-7c31 --"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := (environment{"XDG_RUNTIME_DIR=" + t.TempDir()}).scope("x"); got != nil {
		t.Errorf("without a service manager: %q", got)
	}
}
