package isolation_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// Of what lies beside the box's own, directories are hidden, however many there are, and
// no link is followed.
func TestBox_Beside(t *testing.T) {
	dir := place(t)
	var beside []string
	for i := range 600 {
		beside = append(beside, filepath.Join(dir, fmt.Sprintf("comeback-%04d%s", i, strings.Repeat("x", 230))))
		if err := os.MkdirAll(filepath.Join(beside[i], "in"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"proc": "/proc", "run": "/run", "dev": "/dev", "usr": "/usr", "root": "/", "in": beside[0] + "/in"} {
		beside = append(beside, filepath.Join(dir, "comeback-"+name))
		if err := os.Symlink(to, beside[len(beside)-1]); err != nil {
			t.Fatal(err)
		}
	}
	boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
		b.Beside = beside
		out, err := output(t, &b, attr, script(t, `ls -d "$1"/comeback-*/in; test -e /proc/self/status && test -e /dev/null && echo whole`, dir))
		if !strings.HasSuffix(out, "whole") || strings.Contains(out, "comeback-0") || err != nil {
			t.Errorf("%.400s, %v", out, err)
		}
	})
}

// What cannot be hidden or handed over is no want of a box: nothing runs without one.
func TestBox_Start_refused(t *testing.T) {
	touched := filepath.Join(t.TempDir(), "touched")
	boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
		for name, start := range map[string]func() (string, error){
			"hide": func() (string, error) {
				b := b
				b.Hide = []string{"/proc"}
				return output(t, &b, attr, script(t, `touch "$1"`, touched))
			},
			"list": func() (string, error) {
				return output(t, &b, attr, script(t, `touch "$1"`, touched, strings.Repeat("x", 1<<18)))
			},
		} {
			out, err := start()
			if _, ran := os.Lstat(touched); err == nil || errors.Is(err, recovery.ErrNoIsolation) || ran == nil || !strings.Contains(err.Error(), "box") {
				t.Errorf("%s: %s, %v", name, out, err)
			}
		}
	})
}
